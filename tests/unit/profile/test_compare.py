"""Times to ratios, and the order of turns."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.profile.compare import ratio_to_first, turns


def test_a_ratio_by_hand() -> None:
    first = np.array([[[1.0, 2.0, 4.0]] * 3])
    own = np.array([[[2.0, 4.0, 8.0], [3.0, 6.0, 400.0], [2.5, 5.0, 0.1]]])

    ratio, low, high = ratio_to_first(own, first, np.random.default_rng(0))

    assert ratio == 2.5
    assert (low, high) == (2.0, 3.0)


def test_what_slows_a_whole_round_does_not_move_the_ratio() -> None:
    rng = np.random.default_rng(1)
    first = rng.uniform(1, 2, (5, 6, 8))
    load = rng.uniform(1, 10, (5, 6, 1))

    assert ratio_to_first(1.5 * first * load, first * load, rng) == pytest.approx((1.5, 1.5, 1.5))


def test_a_sitting_that_differs_widens_the_interval() -> None:
    rng = np.random.default_rng(3)
    first = rng.lognormal(0, 0.01, (5, 20, 8))
    alike = first * rng.lognormal(0, 0.01, (5, 20, 8))
    luck = np.array([0.9, 1.1, 1.0, 0.95, 1.05]).reshape(5, 1, 1)

    _, low, high = ratio_to_first(alike, first, np.random.default_rng(0))
    _, lower, higher = ratio_to_first(alike * luck, first, np.random.default_rng(0))

    assert high - low < 0.01
    assert lower < 0.96
    assert higher > 1.04


@pytest.mark.parametrize(("luck", "fewest"), [(0.0, 190), (0.02, 180)])
def test_the_interval_holds_the_true_ratio_nearly_as_often_as_it_says(
    luck: float, fewest: int
) -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        base = rng.lognormal(0, 0.3, (8, 15, 1))
        first, own = (
            base * rng.lognormal(0, luck, (8, 1, 1)) * rng.lognormal(0, 0.1, (8, 15, 8))
            for _ in range(2)
        )
        _, low, high = ratio_to_first(own, first, rng)
        held += low <= 1.0 <= high

    # 95 % of 200 is 190; eight sittings are few where processes differ; 180 has a chance of 0.3 %.
    assert held >= fewest


@given(st.integers(2, 6), st.integers(0, 100))
def test_each_round_asks_each_bundle_once(count: int, number: int) -> None:
    assert sorted(turns(count, number)) == list(range(count))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_each_bundle_comes_first_as_often_as_last(count: int) -> None:
    rounds = [turns(count, number) for number in range(2 * count)]

    assert Counter(order[0] for order in rounds) == Counter(range(count)) + Counter(range(count))
    assert Counter(order[-1] for order in rounds) == Counter(order[0] for order in rounds)
