"""Times to ratios, and the order of turns."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.profile.compare import ratio_to_first, turns


def test_a_ratio_by_hand() -> None:
    first = np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    own = np.array([[2.0, 4.0, 8.0], [3.0, 6.0, 400.0], [2.5, 5.0, 0.1]])

    ratio, low, high = ratio_to_first(own, first, np.random.default_rng(0))

    assert ratio == 2.5
    assert (low, high) == (2.0, 3.0)


def test_what_slows_a_whole_round_does_not_move_the_ratio() -> None:
    rng = np.random.default_rng(1)
    first = rng.uniform(1, 2, (30, 8))
    load = rng.uniform(1, 10, (30, 1))

    assert ratio_to_first(1.5 * first * load, first * load, rng) == pytest.approx((1.5, 1.5, 1.5))


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(300):
        base = rng.lognormal(0, 0.3, (40, 1))
        first, own = (base * rng.lognormal(0, 0.1, (40, 8)) for _ in range(2))
        _, low, high = ratio_to_first(own, first, rng)
        held += low <= 1.0 <= high

    # 95 % of 300 is 285; below 270 has a chance under 0.1 % if the interval is honest.
    assert 270 <= held <= 300


@given(st.integers(2, 6), st.integers(0, 100))
def test_each_round_asks_each_bundle_once(count: int, number: int) -> None:
    assert sorted(turns(count, number)) == list(range(count))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_each_bundle_comes_first_as_often_as_last(count: int) -> None:
    rounds = [turns(count, number) for number in range(2 * count)]

    assert Counter(order[0] for order in rounds) == Counter(range(count)) + Counter(range(count))
    assert Counter(order[-1] for order in rounds) == Counter(order[0] for order in rounds)
