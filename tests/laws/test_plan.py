"""Laws of money: dearer is never cheaper, equal is equal, chance is repeatable, choice helps."""

import json
import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_numbers import basis, model, numbers

from edgewise.plan import Evidence, break_even, plan_from
from edgewise.plan.cashflow import net_present_cost
from edgewise.plan.cost import CostModel
from edgewise.plan.information import worth_of_all, worth_of_one
from edgewise.plan.volume import crossing_of, flip_of
from edgewise.records import (
    NUMBERS,
    Costs,
    Distribution,
    Objective,
    Plan,
    Shape,
    VolumeDiscount,
    encode,
)

PRICES = sorted(name for name in NUMBERS if "usd" in name)
COST = model()
AMOUNTS = st.floats(0.0, 1e4)
SHARES = st.floats(0.0, 1.0)

values = st.fixed_dictionaries(
    {
        "workload.requests_per_month": st.floats(0.0, 1e8),
        "workload.devices": st.integers(1, 10_000).map(float),
        "workload.watts": st.floats(0.0, 100.0),
        "costs.assume.deferral_share": SHARES,
        "costs.edge.spares": SHARES,
        "costs.edge.lifetime_months": st.floats(1.0, 100.0),
        "costs.edge.joules_per_request": st.floats(0.0, 1e3),
        "costs.edge.updates_per_month": st.floats(0.0, 30.0),
        "costs.edge.up_gb_per_device_month": st.floats(0.0, 30.0),
        "costs.cloud.input_tokens": st.floats(0.0, 1e4),
        "costs.cloud.cached_share": SHARES,
        "costs.cloud.output_tokens": st.floats(0.0, 1e4),
        "costs.cloud.gpu_s_per_request": st.floats(0.0, 1.0),
        "costs.cloud.peak_ratio": st.floats(1.0, 2.0),
        "costs.cloud.down_kb_per_request": st.floats(0.0, 1e3),
        **dict.fromkeys(PRICES, AMOUNTS),
    }
).map(numbers)
discounts = st.lists(
    st.builds(VolumeDiscount, from_requests=st.floats(0.0, 1e8), share=SHARES), max_size=3
)
evidence = st.builds(
    Evidence,
    p50_ms=st.just(10.0),
    p95_ms=st.floats(10.0, 100.0),
    peak_memory_bytes=st.none(),
    size_bytes=st.none(),
    edge_loss=st.none() | st.floats(-0.1, 0.1),
    hybrid_loss=st.none(),
    deferral_share=SHARES,
    deferral_rows=st.integers(0, 1000),
    promised=st.booleans(),
)


@settings(deadline=None, max_examples=50)
@given(n=values, name=st.sampled_from(PRICES), more=AMOUNTS, off=discounts)
def test_no_option_gets_cheaper_when_a_price_rises(
    n: dict[str, float], name: str, more: float, off: list[VolumeDiscount]
) -> None:
    cost = CostModel(horizon_months=24, discounts=off)

    for option in cost.options:
        before = float(cost.monthly(option, n))
        after = float(cost.monthly(option, {**n, name: n[name] + more}))
        assert after >= before * (1 - 1e-12)


@given(
    devices=st.integers(1, 10_000),
    device_usd=AMOUNTS,
    lifetime=st.integers(1, 120),
    opex=AMOUNTS,
    watts=st.floats(0.0, 100.0),
    fixed=AMOUNTS,
    price=st.floats(1e-6, 10.0),
    volume=st.floats(1.0, 1e9),
)
def test_break_even_and_every_flip_solve_to_equal_cost(
    devices: int,
    device_usd: float,
    lifetime: int,
    opex: float,
    watts: float,
    fixed: float,
    price: float,
    volume: float,
) -> None:
    given_numbers = {
        "lifetime_months": float(lifetime),
        "opex_usd_per_device_month": opex,
        "watts": watts,
        "fixed_usd": fixed,
        "usd_per_request": price,
    }
    found = break_even(devices=devices, device_usd=device_usd, **given_numbers)

    assert found.requests_per_month is not None
    assert math.isclose(
        found.requests_per_month * price, found.monthly_edge_usd, rel_tol=1e-9, abs_tol=1e-9
    )
    flip = found.flips(volume)
    if flip.devices is not None and flip.devices >= 1:
        fleet = break_even(devices=flip.devices, device_usd=device_usd, **given_numbers)
        assert math.isclose(fleet.monthly_edge_usd, volume * price, rel_tol=1e-6, abs_tol=1e-6)
    if flip.device_usd is not None:
        device = break_even(devices=devices, device_usd=flip.device_usd, **given_numbers)
        assert math.isclose(device.monthly_edge_usd, volume * price, rel_tol=1e-6, abs_tol=1e-6)


@settings(deadline=None, max_examples=50)
@given(n=values, option=st.sampled_from(("edge", "hybrid")), off=discounts)
def test_at_a_crossing_both_bills_are_equal_or_servers_step_over_it(
    n: dict[str, float], option: str, off: list[VolumeDiscount]
) -> None:
    cost = CostModel(horizon_months=24, discounts=off)
    n = {**n, "costs.cloud.usd_per_gpu_hour": 0.0}

    crossing = crossing_of(cost, n, option).requests_per_month

    if crossing is not None and crossing > 0:
        there = {**n, "workload.requests_per_month": crossing}
        near, far = (float(cost.monthly(one, there)) for one in (option, "cloud"))
        assert math.isclose(near, far, rel_tol=1e-6, abs_tol=1e-6)


@settings(deadline=None)
@given(n=values, option=st.sampled_from(("edge", "hybrid")))
def test_a_flip_is_where_the_whole_bills_are_equal(n: dict[str, float], option: str) -> None:
    flip = flip_of(COST, n, option)

    if flip.device_usd is not None and flip.reasons == ():
        there = {**n, "workload.device_usd": flip.device_usd}
        near, far = (float(COST.monthly(one, there)) for one in (option, "cloud"))
        assert math.isclose(near, far, rel_tol=1e-6, abs_tol=1e-4)


@settings(deadline=None, max_examples=40)
@given(n=values, months=st.integers(1, 60), option=st.sampled_from(("edge", "cloud", "hybrid")))
def test_undiscounted_cash_is_the_monthly_cost_times_the_months(
    n: dict[str, float], months: int, option: str
) -> None:
    cost = model(months)

    total = net_present_cost(cost, n, months, option)

    expected = months * float(cost.monthly(option, n))
    assert math.isclose(total, expected, rel_tol=1e-9, abs_tol=1e-6)


@settings(deadline=None, max_examples=15)
@given(known=evidence, seed=st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_bytes(known: Evidence, seed: int) -> None:
    unsure = Distribution(shape=Shape.TRIANGULAR, low=30, mode=48, high=90)
    one = basis(Costs(uncertain={"workload.device_usd": unsure}))

    texts = {json.dumps(encode(plan_from(one, known, draws=200, seed=seed))) for _ in range(2)}

    assert len(texts) == 1


@settings(deadline=None, max_examples=30)
@given(known=evidence, limit=st.none() | st.floats(1.0, 300.0), volume=st.floats(0.0, 1e8))
def test_one_more_option_never_raises_the_optimum(
    known: Evidence, limit: float | None, volume: float
) -> None:
    with_cloud = replace(
        basis(None, requests_per_month=volume), objective=Objective(latency_p95_ms=limit)
    )
    alone = replace(with_cloud, cloud=None)

    both = plan_from(with_cloud, known, draws=100)
    edge = plan_from(alone, known, draws=100)

    assert optimum(both) <= optimum(edge)


def optimum(plan: Plan) -> float:
    """Give the cost of the cheapest feasible option; infinite where there is none."""
    costs = (one.monthly_usd or 0.0 for one in plan.options if one.feasible)
    return min(costs, default=math.inf)


@settings(deadline=None, max_examples=40)
@given(
    known=evidence,
    volume=st.floats(0.0, 1e8),
    limit=st.floats(1.0, 300.0),
    allowed=st.floats(0.0, 0.2),
    more=st.floats(0.0, 300.0),
    wider=st.floats(0.0, 0.2),
)
def test_a_relaxed_constraint_never_makes_it_worse(
    known: Evidence, volume: float, limit: float, allowed: float, more: float, wider: float
) -> None:
    tight = Objective(latency_p95_ms=limit, max_quality_loss=allowed)
    looser = (
        replace(tight, latency_p95_ms=limit + more),
        replace(tight, latency_p95_ms=None),
        replace(tight, max_quality_loss=allowed + wider),
    )
    one = basis(None, requests_per_month=volume)

    least = [
        optimum(plan_from(replace(one, objective=objective), known, draws=100))
        for objective in (tight, *looser)
    ]

    assert max(least[1:]) <= least[0]


@settings(deadline=None, max_examples=30)
@given(known=evidence, seed=st.integers(0, 2**32), low=st.floats(1.0, 50.0))
def test_the_shares_of_the_draws_and_of_the_requests_sum_to_one(
    known: Evidence, seed: int, low: float
) -> None:
    unsure = {
        "workload.device_usd": Distribution(shape=Shape.TRIANGULAR, low=low, mode=60, high=900)
    }

    found = plan_from(basis(Costs(uncertain=unsure)), known, draws=200, seed=seed)

    assert found.certainty is not None
    assert math.isclose(sum(one.cheapest_share for one in found.certainty.spreads), 1.0)
    for curve in found.latency:
        shares = [share for share, _ in curve.points]
        assert shares == sorted(shares)


@settings(deadline=None)
@given(n=values, option=st.sampled_from(("edge", "hybrid")), off=discounts)
def test_a_crossing_is_a_volume_or_none_with_its_reason(
    n: dict[str, float], option: str, off: list[VolumeDiscount]
) -> None:
    found = crossing_of(CostModel(horizon_months=24, discounts=off), n, option)

    if found.requests_per_month is None:
        assert found.reasons
    else:
        assert 0 <= found.requests_per_month < math.inf


@settings(deadline=None, max_examples=30)
@given(
    costs=st.lists(
        st.lists(st.floats(-1e6, 1e6), min_size=40, max_size=40), min_size=1, max_size=3
    ),
    values=st.lists(st.floats(-1e3, 1e3), min_size=40, max_size=40),
)
def test_knowing_one_number_is_worth_something_between_nothing_and_all(
    costs: list[list[float]], values: list[float]
) -> None:
    table = np.asarray(costs)

    worth = worth_of_one(table, np.asarray(values))

    assert 0 <= worth <= max(worth_of_all(table), 0.0)
