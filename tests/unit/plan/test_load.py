"""The busiest hour against what the servers can do, summed by hand."""

from dataclasses import replace

import pytest
from plan_numbers import KNOWN, basis

from edgewise.plan import Evidence, plan_from
from edgewise.plan.load import overloaded, peak_of
from edgewise.plan.numbers import SECONDS_A_MONTH, numbers_of
from edgewise.records import (
    Autoscaling,
    Batching,
    CloudCosts,
    CloudTier,
    Costs,
    EdgeTier,
    Origin,
    PlanBasis,
    QueueRules,
    ServiceFormula,
    TraceReplay,
)

TENTH = replace(KNOWN, p50_ms=100.0, p95_ms=100.0, edge_loss=0.0)
DAY = TraceReplay(
    trace="day.csv",
    requests=1000,
    span_s=86_400.0,
    per_s=0.0116,
    gap_cv2=1.0,
    peak_ratio=3.0,
    input_tokens=100.0,
    output_tokens=10.0,
)
SERVICE = ServiceFormula(base_ms=50.0, per_input_token_ms=0.25, per_output_token_ms=2.5)
"""100 ms for a request of the day."""


def asked(per_s: float, **changes: object) -> PlanBasis:
    """Ten devices, and so many requests a second on the mean of the month."""
    given = basis(requests_per_month=per_s * SECONDS_A_MONTH, devices=10)
    return replace(given, **changes)  # type: ignore[arg-type]


def words(option: str, given: PlanBasis, evidence: Evidence = TENTH) -> list[str]:
    return overloaded(option, given, evidence, numbers_of(given, evidence.deferral_share))


def daily(ratio: float) -> Costs:
    return Costs(cloud=CloudCosts(peak_ratio=ratio))


def test_the_busiest_hour_is_the_traces_then_the_daily_cycles_then_the_mean() -> None:
    cycle = numbers_of(asked(1.0, costs=daily(1.5)), 0.25)
    even = numbers_of(asked(1.0), 0.25)
    traced, short = replace(TENTH, replay=DAY), replace(TENTH, replay=replace(DAY, peak_ratio=None))

    assert (peak_of(traced, cycle).ratio, peak_of(traced, cycle).source) == (3.0, "day.csv")
    assert (peak_of(short, cycle).ratio, peak_of(short, cycle).origin) == (1.5, Origin.GIVEN)
    assert peak_of(short, cycle).source == "costs.cloud.peak_ratio"
    assert (peak_of(TENTH, even).ratio, peak_of(TENTH, even).origin) == (1.0, Origin.ASSUMED)
    assert "without workload.trace, and no costs.cloud.peak_ratio" in peak_of(TENTH, even).source
    assert "day.csv is under two hours" in peak_of(short, even).source


def test_a_fleet_that_bears_the_mean_may_not_bear_the_busiest_hour() -> None:
    # Ten devices of 100 ms do 100 requests a second.
    calm, busy = asked(60.0), asked(60.0, costs=daily(1.7))

    assert words("edge", calm) == []
    assert words("edge", busy) == [
        "load binds: the edge is unstable in the busiest hour, 1.7 times the mean by "
        "costs.cloud.peak_ratio, for its 10 devices are brought 1.02 times what they can do"
    ]
    assert words("hybrid", busy) == words("edge", busy)
    assert words("cloud", busy) == []
    assert "3 times the mean by day.csv" in words("edge", calm, replace(TENTH, replay=DAY))[0]


@pytest.mark.parametrize(("per_s", "unstable"), [(99.9, 0), (100.0, 1)])
def test_as_much_as_can_be_done_is_too_much(per_s: float, unstable: int) -> None:
    assert len(words("edge", asked(per_s))) == unstable


def test_the_clouds_servers_are_held_to_what_comes_to_them() -> None:
    cloud = CloudTier(servers=4, service=SERVICE)
    traced = replace(TENTH, replay=replace(DAY, peak_ratio=2.0))

    # 4 servers of 100 ms do 40 a second; 30 are brought on the mean and 60 in the busiest hour.
    given = asked(30.0, cloud=cloud)
    assert words("cloud", given, traced) == [
        "load binds: the cloud is unstable in the busiest hour, 2 times the mean by day.csv, for "
        "its 4 servers are brought 1.5 times what they can do"
    ]
    assert words("hybrid", given, traced) == []
    assert words("edge", given, traced) == []
    assert words("cloud", asked(30.0, cloud=replace(cloud, servers=None)), traced) == []
    assert words("cloud", asked(30.0, cloud=None), traced) == []


def test_without_a_trace_the_tokens_are_those_of_the_costs() -> None:
    costs = Costs(cloud=CloudCosts(input_tokens=100.0, output_tokens=10.0))
    cloud = CloudTier(servers=4, service=SERVICE)

    assert words("cloud", asked(39.0, cloud=cloud, costs=costs)) == []
    assert "are brought 1.05 times" in words("cloud", asked(42.0, cloud=cloud, costs=costs))[0]


def test_equal_clouds_batches_and_scaling_carry_more() -> None:
    cloud = CloudTier(servers=4, service=replace(SERVICE, base_ms=100.0))
    scaled = QueueRules(autoscaling=Autoscaling(least=1, most=8))
    batched = QueueRules(batching=Batching(most=4, added_share=1 / 3))

    for one in (
        replace(cloud, equals={"other": "http://x"}),
        replace(cloud, queue=scaled),
        replace(cloud, queue=batched),
    ):
        # Twice the 40 requests a second of 4 servers of 100 ms.
        assert words("cloud", asked(79.0, cloud=one)) == []
        assert len(words("cloud", asked(81.0, cloud=one))) == 1


def test_servers_that_come_and_go_are_held_to_the_most_that_may_come() -> None:
    scaled = QueueRules(autoscaling=Autoscaling(least=1, most=8))
    cloud = CloudTier(service=replace(SERVICE, base_ms=100.0), queue=scaled)

    assert words("cloud", asked(79.0, cloud=cloud)) == []
    assert "its 8 servers are brought" in words("cloud", asked(81.0, cloud=cloud))[0]


def test_a_devices_servers_that_come_and_go_are_held_to_the_most_of_them() -> None:
    scaled = EdgeTier(servers=1, queue=QueueRules(autoscaling=Autoscaling(least=1, most=4)))

    # Ten devices of up to four servers of 100 ms do 400 requests a second.
    assert words("edge", asked(399.0, edge=scaled)) == []
    assert "are brought 1.01 times" in words("edge", asked(404.0, edge=scaled))[0]


def test_growth_that_a_tier_will_not_bear_within_the_horizon_is_told() -> None:
    def told(per_s: float, growth: float, **changes: object) -> list[str]:
        given = asked(per_s, costs=Costs(growth_per_month=growth), **changes)
        return [one for one in plan_from(given, TENTH).warnings if "grow" in one]

    # Ten devices of 100 ms do 100 a second: 80 are 96.8 in the third month, 106.5 in the fourth.
    assert told(80.0, 0.1) == [
        "edge and hybrid: requests grow by 0.1 a month, and from month 4 on the edge is unstable "
        "at the month's mean, for its 10 devices are brought 1.06 times what they can do"
    ]
    assert told(80.0, 0.0) == []
    assert told(80.0, -0.1) == []
    assert told(10.0, 0.1) == []  # 89.5 in the last of 24 months
    assert told(101.0, 0.1) == []  # it is too much from the first month on, which a reason says
    assert len(told(80.0, 0.1, cloud=None)) == 1
    # 4 servers of 100 ms do 40 a second, and 30 are 43.9 in the fifth month.
    cloud = CloudTier(servers=4, service=ServiceFormula(base_ms=100.0))
    near, far = told(30.0, 0.1, cloud=cloud)
    assert near.startswith("edge and hybrid: requests grow by 0.1 a month, and from month 14 on")
    assert far.startswith("cloud: requests grow by 0.1 a month, and from month 5 on the cloud is")


def test_an_edge_with_a_formula_is_held_to_it_and_without_any_time_to_nothing() -> None:
    slow = EdgeTier(service=ServiceFormula(base_ms=200.0), servers=2)
    unknown = replace(TENTH, p95_ms=None)

    assert words("edge", asked(99.0, edge=slow)) == []
    assert len(words("edge", asked(101.0, edge=slow))) == 1
    assert words("edge", asked(1e9), unknown) == []


def test_the_plan_says_by_which_hour_it_goes() -> None:
    name = "busiest hour over the mean, for the load"
    for evidence, origin, value in (
        (TENTH, Origin.ASSUMED, 1.0),
        (replace(TENTH, replay=DAY), Origin.GIVEN, 3.0),
    ):
        told = {one.name: one for one in plan_from(asked(40.0), evidence).figures}
        assert (told[name].origin, told[name].value) == (origin, value)

    swamped = plan_from(asked(40.0), replace(TENTH, replay=DAY))
    assert [one.name for one in swamped.options if one.feasible] == ["cloud"]
