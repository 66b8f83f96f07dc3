"""Monthly bills against sums made by hand."""

import math

import numpy as np
import pytest
from plan_numbers import basis, model, numbers

from edgewise.plan.cost import CostModel
from edgewise.plan.numbers import Value, numbers_of
from edgewise.plan.servers import Staffing
from edgewise.records import NUMBERS, Costs, VolumeDiscount


def test_the_edge_writes_its_devices_off_and_the_cloud_bills_its_calls() -> None:
    n = numbers()

    assert model().monthly("edge", n) == pytest.approx(100 * 48 / 24)
    assert model().monthly("cloud", n) == pytest.approx(2000)
    assert model().monthly("hybrid", n) == pytest.approx(200 + 500)


def test_every_line_of_the_edge_is_its_own_product() -> None:
    n = numbers(
        {
            "workload.fixed_usd": 2400.0,
            "workload.usd_per_device_month": 1.5,
            "workload.watts": 5.0,
            "workload.usd_per_kwh": 0.2,
            "costs.edge.share": 0.5,
            "costs.edge.spares": 0.1,
            "costs.edge.lifetime_months": 48.0,
            "costs.edge.joules_per_request": 36.0,
            "costs.edge.updates_per_month": 2.0,
            "costs.edge.usd_per_update": 0.05,
            "costs.edge.up_gb_per_device_month": 0.5,
            "costs.edge.down_gb_per_device_month": 1.5,
            "costs.edge.usd_per_gb": 3.0,
        }
    )

    lines = model().lines("edge", n)

    assert lines == {
        "devices": pytest.approx(100 * 1.1 * 48 * 0.5 / 48),
        "engineering": pytest.approx(100),
        "support": pytest.approx(150),
        "power": pytest.approx(100 * 2.5 / 1000 * 730 * 0.2),
        "updates": pytest.approx(100 * 2 * 0.05),
        "devices' link": pytest.approx(100 * 2 * 3),
        # A million answers of 36 J are 10 kWh.
        "energy per request": pytest.approx(2.0),
    }


def test_every_line_of_the_cloud_is_its_own_product() -> None:
    n = numbers(
        {
            "costs.edge.usd_per_gb": 3.0,
            "costs.cloud.input_tokens": 1000.0,
            "costs.cloud.cached_share": 0.5,
            "costs.cloud.output_tokens": 100.0,
            "costs.cloud.usd_per_million_input_tokens": 2.5,
            "costs.cloud.usd_per_million_cached_tokens": 0.5,
            "costs.cloud.usd_per_million_output_tokens": 10.0,
            "costs.cloud.up_kb_per_request": 10.0,
            "costs.cloud.down_kb_per_request": 2.0,
            "costs.cloud.usd_per_egress_gb": 0.1,
            "costs.cloud.minimum_usd_per_month": 5000.0,
        }
    )

    lines = model().lines("cloud", n)

    # 500 tokens at 2.5, 500 at 0.5 and 100 at 10 USD a million are 0.0025 USD a request.
    assert lines["requests"] == pytest.approx(2000)
    assert lines["tokens"] == pytest.approx(2500)
    assert lines["egress"] == pytest.approx(0.2)
    assert lines["up to the minimum"] == pytest.approx(5000 - 4500.2)
    assert lines["link to the cloud"] == pytest.approx(36)
    assert lines["servers"] == 0.0


def test_cached_tokens_cost_what_others_do_where_nothing_else_is_said() -> None:
    one = basis()

    found = numbers_of(one, 0.0)

    tokens: dict[str, Value] = {
        "costs.cloud.input_tokens": 1000.0,
        "costs.cloud.cached_share": 0.75,
        "costs.cloud.usd_per_million_input_tokens": np.array([2.0, 20.0]),
    }
    each = CostModel(horizon_months=24).tokens_usd_per_request({**found, **tokens})
    assert np.asarray(each).tolist() == pytest.approx([0.002, 0.02])
    assert found["costs.edge.lifetime_months"] == 24
    assert "costs.edge.joules_per_request" not in found
    assert set(found) <= set(NUMBERS)


def test_a_discount_holds_for_the_requests_beyond_its_count() -> None:
    rules = (
        VolumeDiscount(from_requests=800_000, share=0.5),
        VolumeDiscount(from_requests=500_000, share=0.2),
    )
    cut = CostModel(horizon_months=24, discounts=rules)

    # 500,000 at the full price, 300,000 at 0.0016 and 200,000 at 0.001 USD.
    assert cut.monthly("cloud", numbers()) == pytest.approx(1000 + 480 + 200)


def test_a_year_of_draws_costs_what_each_draw_costs() -> None:
    prices = np.array([10.0, 48.0, 200.0])
    n = numbers()

    many = model().monthly("hybrid", {**n, "workload.device_usd": prices})

    one = [model().monthly("hybrid", {**n, "workload.device_usd": p}) for p in prices]
    assert np.asarray(many) == pytest.approx(one)


def erlang_late_share(servers: int, load: float, pace: float) -> float:
    """By the textbook's sums: the chance to wait, times that of waiting longer than a service."""
    terms = [math.exp(k * math.log(load) - math.lgamma(k + 1)) for k in range(servers)]
    last = terms[-1] * load / servers * servers / (servers - load)
    return last / (sum(terms) + last) * math.exp(-(servers - load) * pace)


@pytest.mark.parametrize("load", [0.04, 0.6, 3.0, 20.5, 90.0])
@pytest.mark.parametrize("cv2", [1.0, 7.0])
def test_servers_are_the_fewest_that_keep_nearly_all_from_waiting(load: float, cv2: float) -> None:
    needed = int(Staffing(cv2).servers(load))
    pace = 2 / (cv2 + 1)

    assert erlang_late_share(needed, load, pace) <= 0.05
    if needed - 1 > load:
        assert erlang_late_share(needed - 1, load, pace) > 0.05


def test_beyond_the_table_the_reserve_is_enough_for_any_load() -> None:
    few, many = Staffing().servers([350.0, 1_000_000.0])

    assert 0.03 < erlang_late_share(int(few), 350.0, 1.0) <= 0.05
    assert many == 1_000_003
    assert Staffing().servers(0.0) == 0


def test_servers_are_paid_by_the_hour_and_follow_the_day() -> None:
    hourly = {"costs.cloud.usd_per_gpu_hour": 2.0, "tiers.cloud.usd_per_request": 0.0}
    idle = numbers({**hourly, "costs.cloud.gpu_s_per_request": 0.001})
    # 26.28 million requests a month are 10 a second: a load of 5 servers with half a second each.
    busy = {"workload.requests_per_month": 26_280_000.0, "costs.cloud.gpu_s_per_request": 0.5}

    one = model()

    flat = one.monthly("cloud", numbers({**hourly, **busy}))
    waved = one.monthly("cloud", numbers({**hourly, **busy, "costs.cloud.peak_ratio": 2.0}))

    assert model().monthly("cloud", idle) == pytest.approx(1460)
    assert flat == pytest.approx(1460 * float(Staffing().servers(5.0)))
    assert isinstance(waved, float)
    assert flat < waved < 2 * flat


def test_a_model_without_a_cloud_has_the_edge_alone() -> None:
    assert CostModel(horizon_months=1, has_cloud=False).options == ("edge",)
    assert basis(Costs()).costs == Costs()
