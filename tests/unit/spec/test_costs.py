"""`costs` of a project file: distributions in place of numbers, and money of another currency."""

from pathlib import Path

import pytest

from edgewise.errors import InvalidSpec
from edgewise.records import NUMBERS, Costs, Distribution, Shape, Upkeep, VolumeDiscount
from edgewise.spec import json_schema, load_spec

HEAD = """name: a
task: text-classification
model: {source: m.onnx}
data: {train: a.csv, calibration: b.csv, test: c.csv}
"""


def read(folder: Path, text: str) -> Costs:
    return load_spec(write(folder, text)).costs


def write(folder: Path, text: str) -> Path:
    path = folder / "edgewise.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


def test_a_file_without_costs_has_every_default(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Costs()


def test_numbers_of_a_plan_that_the_file_does_not_give_are_named(tmp_path: Path) -> None:
    text = """tiers: {cloud: {usd_per_request: 0.002, rtt_ms: {p95: 200}}}
workload: {devices: 1, requests_per_month: {p5: 1, p95: 10}}
"""

    found = load_spec(write(tmp_path, text)).defaults

    assert found == (
        "workload.device_usd",
        "workload.horizon_months",
        "workload.usd_per_device_month",
        "workload.usd_per_kwh",
        "tiers.cloud.rtt_ms.p50",
        "costs.cloud.usd_per_gpu_hour",
        "costs.cloud.usd_per_million_input_tokens",
        "costs.cloud.usd_per_million_output_tokens",
    )


def test_every_part_becomes_its_record(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """costs:
  edge: {share: 0.5, country: DEU}
  cloud: {discounts: [{from_requests: 1000, share: 0.1}], usd_per_gpu_hour: 2}
  assume: {p95_ms: 20, peak_memory: 2.5GiB, size: 16MiB}
  upkeep: {hybrid: {on_call_surface: 3}}
""",
    )

    assert (found.edge.share, found.edge.country) == (0.5, "DEU")
    assert found.cloud.discounts == (VolumeDiscount(from_requests=1000, share=0.1),)
    assert found.assume.peak_memory_bytes == int(2.5 * 2**30)
    assert found.assume.size_bytes == 16 * 2**20
    assert found.upkeep == {"hybrid": Upkeep(on_call_surface=3)}


def test_a_number_may_be_a_distribution_anywhere(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """tiers: {cloud: {usd_per_request: {p5: 0.001, p95: 0.004}}}
workload: {devices: {low: 10, mode: 12.4, high: 30}, requests_per_month: {p5: 0, p95: 10}}
costs: {growth_per_month: {p5: -0.01, p95: 0.03}}
""",
    )

    spec = load_spec(path)

    assert spec.cloud is not None
    assert spec.cloud.usd_per_request == pytest.approx(0.002)
    assert spec.workload.devices == 12
    assert spec.workload.requests_per_month == 5
    assert spec.costs.growth_per_month == pytest.approx(0.01)
    shapes = {name: one.shape for name, one in spec.costs.uncertain.items()}
    assert shapes == {
        "tiers.cloud.usd_per_request": Shape.LOGNORMAL,
        "workload.devices": Shape.TRIANGULAR,
        "workload.requests_per_month": Shape.NORMAL,
        "costs.growth_per_month": Shape.NORMAL,
    }


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("{low: 1, high: 2}", "not a distribution: {'low': 1, 'high': 2}"),
        ("{p5: 1, p95: many}", "not a distribution: {'p5': 1, 'p95': 'many'}"),
        ("{p5: 1, p95: true}", "not a distribution"),
        ("{p5: -1, p95: 2}", "-1 to 2 is not within 0 to inf"),
        ("{low: 1, mode: 5, high: 2}", "not in order: (1.0, 5.0, 2.0)"),
        ("{p5: 1, p95: .nan}", "not in order"),
    ],
)
def test_a_distribution_that_can_not_be_is_shown_where_it_stands(
    tmp_path: Path, value: str, what: str
) -> None:
    path = write(tmp_path, f"workload:\n  device_usd: {value}\n")

    with pytest.raises(InvalidSpec) as caught:
        load_spec(path)

    assert f"`workload.device_usd`: {what}" in caught.value.what
    assert caught.value.where == f"{path}:6:15"
    assert caught.value.hint


@pytest.mark.parametrize("value", ["-1", ".nan", "lots"])
def test_a_price_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        read(tmp_path, f"costs: {{cloud: {{usd_per_gpu_hour: {value}}}}}\n")

    assert "`costs.cloud.usd_per_gpu_hour`" in caught.value.what
    assert caught.value.hint.startswith("usd_per_gpu_hour: ")


def test_money_of_another_currency_becomes_usd(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """tiers: {cloud: {usd_per_request: 0.01, budget_usd: 10}}
workload: {device_usd: {low: 10, mode: 20, high: 30}, watts: 5, usd_per_kwh: {p5: 1, p95: 4}}
budget: {usd_per_day: 6, callers: {shop: {usd_per_month: 8}}}
audit: {usd_per_day: 10}
costs:
  currency: EUR
  usd_per_unit: 1.5
  edge: &same {usd_per_gb: 2, joules_per_request: 3}
  cloud: {usd_per_gpu_hour: 4}
""",
    )

    spec = load_spec(path)

    assert spec.cloud is not None
    assert spec.cloud.usd_per_request == pytest.approx(0.015)
    assert spec.cloud.budget_usd == 15
    budget = spec.routing.budget
    assert budget is not None
    assert budget.total.usd_per_day == 9
    assert budget.callers["shop"].usd_per_month == 12
    assert spec.audit is not None
    assert spec.audit.usd_per_day == 15
    assert spec.workload.device_usd == 30
    assert spec.workload.watts == 5
    assert spec.costs.edge.usd_per_gb == 3
    assert spec.costs.edge.joules_per_request == 3
    assert spec.costs.uncertain["workload.device_usd"] == Distribution(
        shape=Shape.TRIANGULAR, low=15, mode=30, high=45
    )
    assert spec.costs.uncertain["workload.usd_per_kwh"].low == 1.5


def test_a_section_that_stands_in_two_places_is_converted_once(tmp_path: Path) -> None:
    spec = load_spec(
        write(
            tmp_path,
            "costs:\n  usd_per_unit: 2\n  currency: GBP\n"
            "  upkeep: {edge: &a {artifact_kinds: 1}, hybrid: *a}\n"
            "  cloud: {usd_per_gpu_hour: 1}\n",
        )
    )

    assert spec.costs.cloud.usd_per_gpu_hour == 2
    assert spec.costs.upkeep["edge"] == spec.costs.upkeep["hybrid"]


def test_another_currency_needs_its_rate(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec) as caught:
        read(tmp_path, "costs: {currency: EUR}\n")

    assert "EUR needs usd_per_unit" in caught.value.what
    assert caught.value.where.endswith(":5:8")
    assert caught.value.hint


def test_a_rate_without_its_currency_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec) as caught:
        read(tmp_path, "costs: {usd_per_unit: 1.08}\n")

    assert "usd_per_unit is for another currency" in caught.value.what
    assert caught.value.where.endswith(":5:8")
    assert caught.value.hint


@pytest.mark.parametrize("growth", ["5", "{low: 0, mode: 2, high: 5}"])
def test_growth_in_percent_is_refused(tmp_path: Path, growth: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        read(tmp_path, f"costs: {{growth_per_month: {growth}}}\n")

    assert "growth_per_month" in caught.value.what
    assert "share" in caught.value.hint


def test_percentiles_out_of_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec) as caught:
        read(tmp_path, "costs: {assume: {p50_ms: 5, p95_ms: 2}}\n")

    assert "p50_ms is above p95_ms" in caught.value.what


def test_a_section_that_is_no_mapping_is_left_to_the_shape(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec) as caught:
        read(tmp_path, "costs: 5\n")

    assert "`costs`" in caught.value.what


def test_editors_know_that_a_number_may_be_a_distribution() -> None:
    parts = json_schema()["$defs"]

    price = parts["Workload"]["properties"]["device_usd"]
    assert price["anyOf"][1] == {"$ref": "#/$defs/Distribution"}
    marked = [
        key
        for part in parts.values()
        for key, one in part.get("properties", {}).items()
        if {"$ref": "#/$defs/Distribution"} in one.get("anyOf", ())
    ]
    assert len(marked) == len(NUMBERS)
