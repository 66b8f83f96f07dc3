"""Anderson and Darling's A²: its value by hand, and how often a true family exceeds its limit."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from plan_numbers import PROFILE

from edgewise.records import LatencyBucket, Profile
from edgewise.simulate.fitting import Fit, fit_arrivals, fit_times
from edgewise.simulate.goodness import distances, gamma_5, misfit

Floats = NDArray[np.float64]
RNG = np.random.default_rng


def test_both_distances_are_those_worked_out_by_hand() -> None:
    ks, ad = distances(np.array([0.75, 0.25]), lambda x: x)

    assert ks == pytest.approx(0.25)
    # -n - 1/n [1 (ln .25 + ln .25) + 3 (ln .75 + ln .75)]
    assert ad == pytest.approx(-2 - 0.5 * (2 * math.log(0.25) + 6 * math.log(0.75)))


def test_what_a_family_holds_for_impossible_is_a_large_number() -> None:
    _, ad = distances(np.array([0.0, 0.5, 1.0]), lambda x: x)

    assert 100.0 < ad < math.inf


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("exponential", lambda rng: rng.exponential(3.0, 120)),
        ("lognormal", lambda rng: rng.lognormal(1.0, 0.5, 120)),
        ("gamma", lambda rng: rng.gamma(1.5, 2.0, 120)),
        ("gamma", lambda rng: rng.gamma(6.0, 2.0, 120)),
    ],
)
def test_a_true_family_exceeds_its_limit_in_one_of_twenty(
    name: str, draw: Callable[[np.random.Generator], Floats]
) -> None:
    rng, exceeds = RNG(11), 0
    for _ in range(400):
        one = named(fit_times(draw(rng)).fits, name)
        assert one.ad is not None
        assert one.ad_5 is not None
        exceeds += one.ad > one.ad_5

    assert 6 <= exceeds <= 36  # 20 are expected; beyond these one run in a thousand


def test_a_heavy_tail_is_found_where_the_middle_fits() -> None:
    rng = RNG(3)
    values = np.concatenate([rng.exponential(1.0, 980), rng.exponential(12.0, 20)])

    one = named(fit_times(values).fits, "exponential")

    assert one.ad is not None
    assert one.ad_5 is not None
    assert one.ad > 3 * one.ad_5


def timed(quantiles: list[tuple[float, float]], *buckets: LatencyBucket) -> Profile:
    return replace(PROFILE, p50_ms=10, p95_ms=20, buckets=buckets, latency_quantiles=(*quantiles,))


def lasting(p50_ms: float, p95_ms: float, n: int = 50) -> LatencyBucket:
    return LatencyBucket(
        above_length=0, up_to_length=9, n=n, p50_ms=p50_ms, p95_ms=p95_ms, p99_ms=p95_ms
    )


def test_a_profile_whose_answers_are_lognormal_is_not_off() -> None:
    sigma = math.log(2) / 1.6448536269514722
    z = {0.05: -1.6448536269514722, 0.5: 0.0, 0.95: 1.6448536269514722}
    fits = [(share, 10 * math.exp(sigma * one)) for share, one in z.items()]

    assert misfit(timed(fits)) == pytest.approx(0.0, abs=1e-9)
    assert misfit(timed([])) is None


def test_a_profile_is_off_by_the_largest_gap_of_its_quantiles() -> None:
    # Of one lognormal, half is below 10 ms and nearly all below 100 ms.
    halves = [(0.1, 10.0), (0.5, 10.0), (0.6, 100.0), (0.99, 100.0)]

    assert misfit(timed(halves)) == pytest.approx(0.0, abs=0.02)
    assert misfit(timed([(0.9, 10.0)])) == pytest.approx(0.4)
    assert misfit(timed([(0.1, 10.0)])) == pytest.approx(0.4)
    # By length, each kind is of one time.
    kinds = (lasting(10, 10), lasting(100, 100))
    assert misfit(timed(halves, *kinds)) == 0.0
    assert misfit(timed([(0.1, 50.0)], *kinds)) == pytest.approx(0.4)
    assert misfit(timed([(0.1, 0.0)])) == pytest.approx(0.1)


def test_a_shape_without_a_table_has_no_limit() -> None:
    assert gamma_5(0.5) is None
    assert gamma_5(1.0) == pytest.approx(0.786)
    assert gamma_5(1e9) == pytest.approx(0.752, abs=1e-3)


def test_arrivals_of_two_rates_fit_a_process_of_two_states_and_no_poisson_one() -> None:
    rng, moments, now_s, busy = RNG(2), [0.0], 0.0, False
    for _ in range(60):
        end_s = now_s + rng.exponential(20.0 if busy else 60.0)
        rate = 20.0 if busy else 1.0
        while (now_s := now_s + rng.exponential(1.0 / rate)) < end_s:
            moments.append(now_s)
        now_s, busy = end_s, not busy

    found = fit_arrivals(np.array(moments)).fits

    poisson, both = named(found, "poisson"), named(found, "mmpp2")
    assert poisson.ad is not None
    assert poisson.ad_5 is not None
    assert both.ad is not None
    assert both.ks is not None
    assert poisson.ad > 100 * poisson.ad_5
    assert both.ad < poisson.ad / 50
    assert both.ks < 0.03
    assert both.ad_5 is None


def test_a_daily_cycle_fits_on_its_own_clock() -> None:
    rng, moments, now_s = RNG(5), [0.0], 0.0
    while now_s < 3 * 86_400.0:
        hour = now_s % 86_400.0 // 3600.0
        now_s += rng.exponential(20.0 if 8 <= hour < 18 else 200.0)
        moments.append(now_s)

    found = fit_arrivals(np.array(moments)).fits

    cycle, poisson = named(found, "daily cycle"), named(found, "poisson")
    assert cycle.ad is not None
    assert poisson.ad is not None
    assert cycle.ad < 3.0
    assert poisson.ad > 100 * cycle.ad


def named(fits: tuple[Fit, ...], name: str) -> Fit:
    return next(one for one in fits if one.name == name)
