"""What `edgewise.yaml` says of live traffic: each key a rule, each mistake with its place."""

from pathlib import Path

import pytest

from edgewise import PreRouter
from edgewise.errors import InvalidSpec
from edgewise.records import (
    ApiKey,
    BreakerRules,
    BudgetRules,
    DeviceRule,
    HedgeRules,
    OfflineRules,
    PreRouteRules,
    ProbeRules,
    RetryRules,
    RoutingSpec,
    SpendingLimit,
    write_json,
)
from edgewise.spec import load_spec

PLAIN = """name: tiny
task: text-classification
model: {source: model}
data: {train: train.csv, calibration: calibration.csv, test: test.csv}
tiers:
  cloud: {endpoint: "http://localhost:1"}
"""
FULL = """routing:
  deadline_ms: 250
  retry: {most: 2, share: 0.2, burst: 5, pause_ms: 20}
  breaker: {window: 30, window_s: 10, minimum_calls: 6, failure_share: 0.4, open_s: 1}
  hedge: {share: 0.1, least_ms: 2}
  probe: {idle_s: 60, open_s: 1, timeout_ms: 500}
  preroute: {weights: weights.json, min_gain: 0.25, usd_per_quality: 0.02, late_ms_per_quality: 900}
  device:
    - {name: battery, on_battery: true, battery_below: 0.2, requests_per_min_above: 10}
    - {name: memory, memory_free_below: 128MiB}
budget:
  path: spent
  usd_per_day: 5
  usd_per_month: 100
  each_caller: {usd_per_day: 1}
  callers: {shop: {usd_per_month: 20}}
offline: {path: queue, max_bytes: 1MiB, max_age_s: 60, key: {env: QUEUE_KEY}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "edgewise.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_key_becomes_the_rule_of_its_name(tmp_path: Path) -> None:
    router = PreRouter.fit(["one two", "three"] * 20, [0.0, 1.0] * 20, [1.0, 0.5] * 20)
    write_json(tmp_path / "weights.json", router.weights)

    found = load_spec(write(tmp_path, PLAIN + FULL)).routing

    assert found == RoutingSpec(
        deadline_ms=250.0,
        retry=RetryRules(most=2, share=0.2, burst=5.0, pause_ms=20.0),
        breaker=BreakerRules(
            window=30, window_s=10.0, minimum_calls=6, failure_share=0.4, open_s=1.0
        ),
        hedge=HedgeRules(share=0.1, least_ms=2.0),
        probe=ProbeRules(idle_s=60.0, open_s=1.0, timeout_ms=500.0),
        preroute=PreRouteRules(
            weights=router.weights, min_gain=0.25, usd_per_quality=0.02, late_ms_per_quality=900.0
        ),
        device=(
            DeviceRule(
                name="battery", on_battery=True, battery_below=0.2, requests_per_min_above=10.0
            ),
            DeviceRule(name="memory", memory_free_below_bytes=128 * 2**20),
        ),
        budget=BudgetRules(
            path="spent",
            total=SpendingLimit(usd_per_day=5.0, usd_per_month=100.0),
            each_caller=SpendingLimit(usd_per_day=1.0),
            callers={"shop": SpendingLimit(usd_per_month=20.0)},
        ),
        offline=OfflineRules(
            path="queue", max_bytes=2**20, max_age_s=60.0, key=ApiKey(env="QUEUE_KEY")
        ),
    )


def test_without_a_word_the_rules_are_the_policys_own_defaults(tmp_path: Path) -> None:
    assert load_spec(write(tmp_path, PLAIN)).routing == RoutingSpec()


def test_sections_that_are_named_alone_take_the_records_defaults(tmp_path: Path) -> None:
    text = PLAIN + "routing: {hedge: {}, probe: {}}\noffline: {}\nbudget: {usd_per_day: 1}\n"

    found = load_spec(write(tmp_path, text)).routing

    assert (found.hedge, found.probe) == (HedgeRules(), ProbeRules())
    assert found.offline == OfflineRules(path="state/queue")
    assert found.budget == BudgetRules(path="state/budget", total=SpendingLimit(usd_per_day=1.0))


@pytest.mark.parametrize(
    ("text", "at", "what", "hint"),
    [
        ("routing: {hegde: {}}", "7:11", "unknown key `routing.hegde`", "`hedge`"),
        ("routing: {retry: {most: -1}}", "7:25", "`routing.retry.most`", "0: never"),
        ("routing: {retry: {share: .nan}}", "7:26", "`routing.retry.share`", "per call"),
        ("routing: {breaker: {window: 3}}", "7:20", "would never open", "left alone"),
        ("routing: {deadline_ms: 0}", "7:24", "`routing.deadline_ms`", "bring none"),
        ("audit: {on_void: pray}", "7:18", "`audit.on_void`", "cloud_only"),
        ("routing: {device: [{name: hot}]}", "7:20", "no condition", "not the first choice"),
        (
            "routing: {device: [{name: a, load_above: x}]}",
            "7:42",
            "`routing.device.0.load_above`",
            "per core",
        ),
        (
            "routing: {device: [{name: a, lode_above: 1}]}",
            "7:30",
            "unknown key `routing.device.0.lode_above`",
            "`load_above`",
        ),
        (
            "routing: {device: [{name: a, throttled: true}, {name: a, load_above: 2}]}",
            "7:10",
            "same name",
            "live requests",
        ),
        (
            "routing: {preroute: {min_gain: 0}}",
            "7:21",
            "`routing.preroute.weights` is",
            "--explain",
        ),
        (
            "routing: {preroute: {weights: none.json, min_gain: 0}}",
            "7:31",
            "no such file",
            "PreRouter.fit",
        ),
        ("budget: {}", "7:9", "it limits nothing", "live requests may cost"),
        ("budget: {usd_per_day: -5}", "7:23", "`budget.usd_per_day`", "UTC"),
        (
            "budget: {callers: {shop: {usd_a_day: 1}}}",
            "7:27",
            "unknown key `budget.callers.shop.usd_a_day`",
            "`usd_per_day`",
        ),
        ("offline: {key: hunter2}", "7:16", "`offline.key`", "seals"),
        ("offline: {max_bytes: lots}", "7:22", "not a size", "64MiB"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, text: str, at: str, what: str, hint: str
) -> None:
    path = write(tmp_path, PLAIN + text + "\n")

    with pytest.raises(InvalidSpec) as caught:
        load_spec(path)

    assert what in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.where == f"{path}:{at}"
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("tiers", "at", "what", "hint"),
    [
        ('{endpoint: "host/v2"}', "6:21", "`tiers.cloud.endpoint`", "https://"),
        ('{endpoint: "https:///v2"}', "6:21", "`tiers.cloud.endpoint`", "https://"),
        ('{endpoint: "ftp://host"}', "6:21", "`tiers.cloud.endpoint`", "https://"),
        (
            '{endpoint: "https://a", equals: {west: b}}',
            "6:49",
            "`tiers.cloud.equals.west`",
            "https://",
        ),
        (
            '{endpoint: "https://a", equals: {edge: "https://b"}}',
            "6:43",
            "`edge` is a tier",
            "name",
        ),
        ('{equals: {west: "https://b"}}', "6:20", "without an endpoint", "tiers.cloud.endpoint"),
        ('{endpoint: "https://a", max_in_flight: 0}', "6:49", "max_in_flight", "at once"),
    ],
)
def test_a_mistake_in_the_tiers_is_named_with_its_place(
    tmp_path: Path, tiers: str, at: str, what: str, hint: str
) -> None:
    text = PLAIN.replace('{endpoint: "http://localhost:1"}', tiers)
    path = write(tmp_path, text)

    with pytest.raises(InvalidSpec) as caught:
        load_spec(path)

    assert what in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.where == f"{path}:{at}"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('tiers:\n  cloud: {endpoint: "http://localhost:1"}\n', "", "no cloud to go to"),
        (
            "task: text-classification\nmodel: {",
            "task: image-classification\nmodel: {image: {height: 8, width: 8}, ",
            "reads text, not images",
        ),
    ],
)
def test_a_pre_router_needs_a_text_and_a_cloud(
    tmp_path: Path, old: str, new: str, what: str
) -> None:
    assert old in PLAIN
    text = PLAIN.replace(old, new) + "routing: {preroute: {weights: w.json, min_gain: 0}}\n"

    with pytest.raises(InvalidSpec) as caught:
        load_spec(write(tmp_path, text))

    assert what in caught.value.what
    assert caught.value.hint
    assert ":11" in caught.value.where


def test_a_region_may_name_an_equal_tier(tmp_path: Path) -> None:
    text = PLAIN.replace(':1"}', ':1", equals: {eu-west: "http://localhost:2"}}')
    text += "privacy: {residency: {eu: [edge, eu-west]}}\n"

    spec = load_spec(write(tmp_path, text))

    assert spec.cloud is not None
    assert spec.cloud.equals == {"eu-west": "http://localhost:2"}
    assert spec.privacy.residency == {"eu": ("edge", "eu-west")}
