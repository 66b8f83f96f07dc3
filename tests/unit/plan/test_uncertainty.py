"""Draws against what is known of their distributions; choices under them against closed forms."""

import numpy as np
import pytest
from plan_numbers import model, numbers
from scipy.special import ndtr
from scipy.stats import sobol_indices, uniform

from edgewise.errors import UsageError
from edgewise.plan.information import worth_of_all, worth_of_one
from edgewise.plan.sensitivity import sobol, swing
from edgewise.plan.uncertainty import (
    check_draws,
    costs_of,
    draw_numbers,
    percentiles,
    sample,
    spreads,
)
from edgewise.records import Distribution, Shape

VOLUME, PRICE, DEFERRED = (
    "workload.requests_per_month",
    "workload.device_usd",
    "costs.assume.deferral_share",
)
GROWTH = "costs.growth_per_month"
N = 100_000


def triangular(low: float, mode: float, high: float) -> Distribution:
    return Distribution(shape=Shape.TRIANGULAR, low=low, mode=mode, high=high)


def between(p5: float, p95: float) -> Distribution:
    return Distribution(shape=Shape.LOGNORMAL if p5 > 0 else Shape.NORMAL, low=p5, high=p95)


@pytest.mark.parametrize(
    "one",
    [
        triangular(10, 20, 60),
        triangular(10, 10, 60),
        triangular(10, 60, 60),
        triangular(10, 11, 60),
        triangular(10, 59, 60),
        between(5, 80),
    ],
)
def test_draws_have_the_percentiles_that_were_asked_for(one: Distribution) -> None:
    values = sample(PRICE, one, N, 0)

    assert percentiles(PRICE, one) == pytest.approx(np.quantile(values, [0.05, 0.95]), rel=0.02)


def test_two_numbers_are_the_ends_of_a_normal_where_one_is_not_above_0() -> None:
    values = sample(GROWTH, between(-0.02, 0.04), N, 0)

    assert np.quantile(values, [0.05, 0.5, 0.95]) == pytest.approx([-0.02, 0.01, 0.04], abs=5e-4)


def test_a_triangular_one_has_its_mean_and_a_point_is_a_point() -> None:
    assert sample(PRICE, triangular(10, 20, 60), N, 0).mean() == pytest.approx(30, rel=0.01)
    assert set(sample(PRICE, triangular(7, 7, 7), 100, 0)) == {7.0}
    assert percentiles(PRICE, triangular(7, 7, 7)) == (7, 7)


def test_no_draw_is_where_its_number_can_not_be() -> None:
    values = sample(DEFERRED, between(0.5, 1.6), 1000, 0)

    assert values.max() == 1.0
    assert percentiles(DEFERRED, between(0.5, 1.6)) == (0.5, 1.0)


def test_a_number_has_the_same_draws_whatever_else_is_drawn() -> None:
    price = {PRICE: triangular(10, 20, 60)}

    alone = draw_numbers(numbers(), price, 100, seed=3)
    beside = draw_numbers(numbers(), {VOLUME: between(1, 2), **price}, 100, seed=3)
    other = draw_numbers(numbers(), price, 100, seed=4)

    assert np.array_equal(alone[PRICE], beside[PRICE])
    assert not np.array_equal(alone[PRICE], other[PRICE])
    assert isinstance(alone[VOLUME], float)


@pytest.mark.parametrize("draws", [0, 99, 1_000_001])
def test_a_number_of_draws_that_says_nothing_is_refused(draws: int) -> None:
    with pytest.raises(UsageError) as caught:
        check_draws(draws)

    assert caught.value.what == f"not a number of draws: {draws}"
    assert caught.value.where == "draws"
    assert caught.value.hint == "give 100 to 1,000,000"
    check_draws(10_000)


def test_a_coin_between_two_options_gives_each_half_and_half_the_regret() -> None:
    # The edge costs 10 or 30 as often, the cloud always 20.
    costs = np.array([[10.0, 30.0] * 500, [20.0, 20.0] * 500])

    edge, cloud = spreads(("edge", "cloud"), costs)

    assert edge.cheapest_share == cloud.cheapest_share == 0.5
    assert edge.mean_usd == cloud.mean_usd == 20
    assert (edge.p5_usd, edge.p95_usd) == (10, 30)
    assert edge.mean_regret_usd == cloud.mean_regret_usd == 5
    assert edge.p95_regret_usd == 10
    assert worth_of_all(costs) == 5


def test_knowing_the_only_uncertain_number_is_worth_what_knowing_all_is() -> None:
    # The cloud costs a uniform 0..2 and the edge 1: knowing saves E[max(1 - x, 0)] = 1/4.
    x = np.linspace(0, 2, 10_001)
    costs = np.stack((np.ones_like(x), x))

    assert worth_of_all(costs) == pytest.approx(0.25, abs=1e-3)
    assert worth_of_one(costs, x) == pytest.approx(0.25, abs=2e-3)
    noise = np.random.default_rng(0).permutation(x)
    assert worth_of_one(costs, noise) < 0.01
    assert worth_of_one(costs, np.ones_like(x)) == 0.0


def test_knowing_one_of_two_numbers_is_worth_its_part() -> None:
    # The difference is x + y, both standard normal: E[max(x, 0)] = 1 / sqrt(2 pi) for one of them,
    # and sqrt(2) times that for both.
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, N))
    costs = np.stack((np.zeros(N), x + y))

    half = 1 / np.sqrt(2 * np.pi)
    assert worth_of_one(costs, x) == pytest.approx(half, rel=0.03)
    assert worth_of_all(costs) == pytest.approx(half * np.sqrt(2), rel=0.03)


def test_indices_are_those_of_a_product_worked_out_by_hand() -> None:
    # y = a b, both of mean 1: V = va + vb + va vb, S_a = va / V, T_a = (va + va vb) / V.
    uncertain = {PRICE: triangular(0, 1, 2), VOLUME: triangular(0.5, 1, 1.5)}
    va, vb = 1 / 6, 1 / 24
    whole = va + vb + va * vb

    found = sobol(
        lambda n: np.asarray(n[PRICE]) * np.asarray(n[VOLUME]), {}, uncertain, draws=N, seed=0
    )

    assert found[PRICE].first_order == pytest.approx(va / whole, abs=0.02)
    assert found[PRICE].total == pytest.approx((va + va * vb) / whole, abs=0.02)
    assert found[VOLUME].first_order == pytest.approx(vb / whole, abs=0.02)
    assert found[VOLUME].total == pytest.approx((vb + va * vb) / whole, abs=0.02)


def test_indices_of_the_ishigami_function_agree_with_its_closed_form_and_with_scipy() -> None:
    # A normal number's rank is uniform; the function is on [-pi, pi] in each of three.
    names = (PRICE, VOLUME, "workload.watts")
    flat = {name: between(1.0, 2.0) for name in names}

    def angle(values: object) -> np.ndarray:
        logs = np.log(np.asarray(values, dtype=float))
        deviates = (logs - np.log(2) / 2) / (np.log(2) / 2 / 1.6448536269514722)
        return np.asarray((2 * ndtr(deviates) - 1) * np.pi)

    def ishigami(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.sin(x[0]) + 7 * np.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * np.sin(x[0]))

    found = sobol(
        lambda n: ishigami(np.stack([angle(n[name]) for name in names])),
        {},
        flat,
        draws=N,
        seed=0,
    )
    theirs = sobol_indices(
        func=ishigami,
        n=2**14,
        dists=[uniform(loc=-np.pi, scale=2 * np.pi)] * 3,
        rng=np.random.default_rng(0),
    )

    firsts = [found[name].first_order for name in names]
    totals = [found[name].total for name in names]
    assert firsts == pytest.approx([0.3139, 0.4424, 0.0], abs=0.02)
    assert totals == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.02)
    assert firsts == pytest.approx(theirs.first_order, abs=0.02)
    assert totals == pytest.approx(theirs.total_order, abs=0.02)


def test_a_number_that_changes_nothing_has_no_index() -> None:
    still = sobol(lambda _: np.zeros(100), {}, {PRICE: triangular(1, 2, 3)}, draws=100, seed=0)

    assert (still[PRICE].first_order, still[PRICE].total) == (0, 0)


def test_a_swing_is_the_outcome_at_both_ends_of_one_number() -> None:
    one = between(10.0, 100.0)

    low, high = swing(lambda n: np.asarray(n[PRICE]) - np.asarray(n[VOLUME]), numbers(), PRICE, one)

    assert (low, high) == pytest.approx((10 - 1e6, 100 - 1e6))


def test_costs_of_draws_are_a_row_an_option() -> None:
    drawn = draw_numbers(numbers(), {PRICE: triangular(24, 48, 72)}, 50, 0)

    costs = costs_of(model(), ("edge", "cloud"), drawn, 50)

    assert costs.shape == (2, 50)
    assert costs[0] == pytest.approx(np.asarray(drawn[PRICE]) * 100 / 24)
    assert set(costs[1]) == {2000.0}
