"""Files of placement: read into records, and refused with line and column."""

from pathlib import Path

import pytest

from edgewise.errors import InvalidSpec
from edgewise.records import CutProfile, MeasuredCut, Origin, Target, TierKind, write_json
from edgewise.spec import load_placement

EXAMPLES = Path(__file__).parents[3] / "examples"
SHORT = """\
name: short
tiers: {cloud: {kind: cloud}}
device_classes: {api: {}}
pools: [{tier: cloud, device_class: api}]
models:
  m: {size: 10MB, profiles: {api: {mean_ms: 5, p95_ms: 9}}}
workloads:
  w:
    requests_per_month: 1000
    qualities: {m: {value: 0.8, low: 0.7, high: 0.9}}
energy_kwh_per_month: 2
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "placement.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_becomes_a_problem(tmp_path: Path) -> None:
    problem = load_placement(written(tmp_path, SHORT))

    assert problem.tiers[0].kind is TierKind.CLOUD
    assert problem.joules_per_month == 7.2e6
    profile = problem.profiles[0]
    assert (profile.peak_memory_bytes, profile.memory_origin) == (30_000_000, Origin.ASSUMED)
    phones = load_placement(EXAMPLES / "phone_fleet/placement.yaml")
    assert [one.name for one in phones.cuts[0].points] == ["stem", "stage2", "stage3"]
    assert phones.profiles[0].memory_origin is Origin.MEASURED
    shops = load_placement(EXAMPLES / "retail_site/placement.yaml")
    assert shops.handovers[0].far == "reviews-large"


def test_money_of_another_currency_becomes_usd(tmp_path: Path) -> None:
    text = SHORT.replace("mean_ms: 5", "usd_per_request: 0.01, mean_ms: 5")
    text = text.replace("device_class: api", "device_class: api, usd_per_month: 4")
    text += "budget_usd_per_month: 10\ncurrency: EUR\nusd_per_unit: 1.5\n"

    problem = load_placement(written(tmp_path, text))

    assert problem.profiles[0].usd_per_request == pytest.approx(0.015)
    assert problem.pools[0].usd_per_month == pytest.approx(6.0)
    assert problem.budget_usd_per_month == pytest.approx(15.0)
    assert problem.usd_per_kwh == 0.15


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("currency: EUR\n", "EUR needs usd_per_unit"),
        ("usd_per_unit: 2\n", "usd_per_unit is for another currency"),
        ("currency: EUR\nusd_per_unit: -1\n", "usd_per_unit"),
    ],
)
def test_a_currency_and_its_rate_go_together(more: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec) as caught:
        load_placement(written(tmp_path, SHORT + more))

    assert what in caught.value.what


@pytest.mark.parametrize(
    ("old", "new", "what", "at", "hint"),
    [
        ("tier: cloud", "tier: moon", "`moon` is no tier", "4:16", "cloud"),
        ("device_class: api", "device_class: box", "`box` is no device class", "4:37", "api"),
        ("{api: {mean", "{box: {mean", "`box` is no device class", "6:30", "api"),
        ("{m: {value", "{n: {value", "`n` is no model", "10:17", "m"),
        (
            "mean_ms: 5",
            "mean_m: 5",
            "unknown key `models.m.profiles.api.mean_m`",
            "6:36",
            "mean_ms",
        ),
        ("low: 0.7", "low: 0.85", "give low <= value <= high", "10:20", "by model"),
        ("p95_ms: 9", "p95_ms: -9", "greater than 0", "6:56", "p95 of the service time"),
        ("1000", ".nan", "finite number", "9:25", "in all"),
        ("kind: cloud", "kind: moon", "'device', 'site' or 'cloud'", "2:23", "device, site"),
        ("    requests_per_month: 1000\n", "", "is missing", "9:5", "every key"),
    ],
)
def test_a_mistake_is_shown_where_it_stands(
    old: str, new: str, what: str, at: str, hint: str, tmp_path: Path
) -> None:
    path = written(tmp_path, SHORT.replace(old, new, 1))

    with pytest.raises(InvalidSpec) as caught:
        load_placement(path)

    assert what in caught.value.what
    assert caught.value.where == f"{path}:{at}"
    assert hint in caught.value.hint


def test_a_file_that_is_not_there_is_asked_for_as_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec) as caught:
        load_placement(tmp_path / "gone.yaml")

    assert caught.value.what == "no such placement file"
    assert caught.value.where == str(tmp_path / "gone.yaml")
    assert caught.value.hint.startswith("write one as docs/guides/placement.md shows")


def test_what_no_single_key_shows_is_refused_too(tmp_path: Path) -> None:
    twice = SHORT.replace(
        "[{tier: cloud, device_class: api}]",
        "[{tier: cloud, device_class: api}, {tier: cloud, device_class: api}]",
    )

    with pytest.raises(InvalidSpec) as caught:
        load_placement(written(tmp_path, twice))

    assert caught.value.what == "PlacementProblem: pool given twice: cloud/api"
    assert caught.value.hint == "remove one of them"


CUTS = """\
    cuts: [{model: m, near: api, far: api, MORE}]
energy_kwh_per_month: 2
"""


@pytest.mark.parametrize(
    ("more", "what", "hint"),
    [
        ("points: []", "give either points or measured", "models that may be cut"),
        (
            "points: [{name: a, activation: 1kB, before_ms: 1, after_ms: 1}], "
            "measured: {near: cuts.json}",
            "give either points or measured",
            "models that may be cut",
        ),
        ("measured: {}", "give near, far or both", "files of `edgewise cuts`"),
        ("measured: {far: cuts.json}", "cuts.json: no such file", "measure it with `edgewise cuts"),
    ],
)
def test_cuts_are_given_or_measured(more: str, what: str, hint: str, tmp_path: Path) -> None:
    text = SHORT.replace("energy_kwh_per_month: 2\n", CUTS.replace("MORE", more))

    with pytest.raises(InvalidSpec) as caught:
        load_placement(written(tmp_path, text))

    assert what in caught.value.what
    assert caught.value.where.startswith(str(tmp_path / "placement.yaml"))
    assert hint in caught.value.hint


def test_a_file_of_measured_cuts_is_read_from_beside_the_placement(tmp_path: Path) -> None:
    measured = CutProfile(
        model_sha256="aa",
        target=Target(
            cpu="c",
            cpu_features=(),
            cores=1,
            memory_bytes=1,
            threads=1,
            runtime="onnxruntime",
            runtime_version="1",
        ),
        whole_ms=2.0,
        input_bytes=10,
        rounds=4,
        points=(MeasuredCut(tensor="t", sent_bytes=1, head_ms=1.0, tail_ms=1.0),),
    )
    write_json(tmp_path / "cuts.json", measured)
    text = SHORT.replace(
        "energy_kwh_per_month: 2\n", CUTS.replace("MORE", "measured: {near: cuts.json}")
    )

    (cuts,) = load_placement(written(tmp_path, text)).cuts

    assert (cuts.near_measured, cuts.far_measured, cuts.points) == (measured, None, ())
