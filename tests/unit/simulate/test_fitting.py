"""Families are told apart, and their numbers found again."""

import math

import numpy as np
import pytest

from edgewise.errors import InvalidData
from edgewise.simulate.fitting import Fit, Fits, fit_arrivals, fit_times
from edgewise.simulate.gamma import digamma, gamma_cdf, trigamma

RNG = np.random.default_rng


def named(fits: Fits, name: str) -> Fit:
    return next(one for one in fits.fits if one.name == name)


def aic_of(fit: Fit) -> float:
    assert fit.aic is not None
    return fit.aic


def test_poisson_arrivals_are_told_and_their_rate_found() -> None:
    at_s = np.cumsum(RNG(1).exponential(0.5, 4000))

    found = fit_arrivals(at_s)

    poisson = named(found, "poisson")
    assert poisson.parameters["per_s"] == pytest.approx(2.0, rel=0.05)
    assert poisson.ks is not None
    assert poisson.ks < 1.63 / math.sqrt(4000)
    assert found.cv2 == pytest.approx(1.0, abs=0.15)
    assert abs(found.autocorrelation) < 0.05
    assert abs(aic_of(named(found, "mmpp2")) - aic_of(poisson)) < 20


def test_two_rates_that_alternate_are_found_again() -> None:
    rng, moments, now_s, busy = RNG(2), [], 0.0, False
    for _ in range(60):
        end_s = now_s + rng.exponential(20.0 if busy else 60.0)
        rate = 20.0 if busy else 1.0
        while (now_s := now_s + rng.exponential(1.0 / rate)) < end_s:
            moments.append(now_s)
        now_s, busy = end_s, not busy

    found = fit_arrivals(np.array(moments))

    best = found.fits[0]
    assert best.name == "mmpp2"
    assert best.parameters["per_s_calm"] == pytest.approx(1.0, rel=0.3)
    assert best.parameters["per_s_busy"] == pytest.approx(20.0, rel=0.1)
    assert best.cv2 == pytest.approx(found.cv2, rel=0.5)
    assert found.cv2 > 5.0


def test_a_daily_cycle_is_told() -> None:
    rng = RNG(3)
    at_s = np.sort(
        np.concatenate(
            [[0.0]] + [day * 86_400 + rng.normal(43_200, 7_000, 900) % 86_400 for day in range(4)]
        )
    )

    found = fit_arrivals(at_s)

    rates = named(found, "daily cycle").parameters
    assert max(rates, key=lambda hour: rates[hour]) in {f"per_s_{h:02d}h" for h in range(10, 15)}
    assert aic_of(named(found, "daily cycle")) < aic_of(named(found, "poisson"))


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("exponential", RNG(4).exponential(3.0, 3000), {"mean": 3.0}),
        ("lognormal", RNG(5).lognormal(1.0, 0.5, 3000), {"median": math.e, "sigma": 0.5}),
        ("gamma", RNG(6).gamma(4.0, 2.0, 3000), {"shape": 4.0, "scale": 2.0}),
    ],
)
def test_times_find_their_family(
    name: str, values: "np.ndarray[tuple[int], np.dtype[np.float64]]", expected: dict[str, float]
) -> None:
    found = fit_times(values)

    one = named(found, name)
    assert aic_of(one) <= aic_of(found.fits[0]) + 2.0
    assert one.parameters == pytest.approx(expected, rel=0.1)
    assert one.ks is not None
    assert one.ks < 1.63 / math.sqrt(3000)
    assert one.cv2 == pytest.approx(found.cv2, rel=0.15)


@pytest.mark.parametrize("shape", [1e5, 1e8, 1e11])
def test_times_that_hardly_differ_have_a_gamma_that_is_nearly_normal(shape: float) -> None:
    # By Stirling: at the mean, half and a third of the density of a standard deviation.
    x = shape + np.array([-1.0, 0.0, 1.0]) * math.sqrt(shape)

    below = gamma_cdf(shape, x)

    third = 1.0 / 3.0 / math.sqrt(2.0 * math.pi * shape)
    assert below[1] == pytest.approx(0.5 + third, abs=1e-6)
    assert below[[0, 2]] == pytest.approx([0.158655, 0.841345], abs=1e-5)


def test_times_that_differ_by_rounding_alone_are_constant() -> None:
    # The same sum of tokens times what each takes, in another order.
    rounded = np.array([0.1 + 0.7, 0.3 + 0.5] * 20)

    assert np.ptp(rounded) > 0.0
    assert [one.name for one in fit_times(rounded).fits] == ["constant"]


def test_equal_times_are_constant() -> None:
    found = fit_times(np.full(30, 2.5))

    assert found.fits[0].name == "constant"
    assert found.fits[0].aic is None
    assert found.fits[0].parameters == {"value": 2.5}
    assert found.cv2 == 0.0


def test_too_few_numbers_are_refused() -> None:
    with pytest.raises(InvalidData) as few:
        fit_times(np.ones(3))
    assert (few.value.what, few.value.where) == ("too few to fit: 3 numbers", "times")
    assert few.value.hint

    with pytest.raises(InvalidData) as none:
        fit_times(np.array([0.0] + [1.0] * 30))
    assert (none.value.what, none.value.where) == ("a time is not above 0", "times")
    assert none.value.hint


def test_the_gamma_functions_have_the_values_of_the_tables() -> None:
    assert digamma(1.0) == pytest.approx(-0.5772156649015329)
    assert digamma(0.5) == pytest.approx(-1.9635100260214235)
    assert trigamma(1.0) == pytest.approx(math.pi**2 / 6)
    assert trigamma(0.5) == pytest.approx(math.pi**2 / 2)
    x = np.array([0.0, 0.5, 1.0, 3.0, 20.0])
    assert gamma_cdf(1.0, x) == pytest.approx(1.0 - np.exp(-x), abs=1e-10)
    # Of shape 3: 1 - e^-x (1 + x + x² / 2).
    assert gamma_cdf(3.0, x) == pytest.approx(1 - np.exp(-x) * (1 + x + x * x / 2), abs=1e-10)
