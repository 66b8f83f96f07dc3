"""Distributions and discounts check themselves."""

import math

import pytest

from edgewise.errors import InvalidRecord
from edgewise.records import Distribution, Shape, VolumeDiscount


def test_what_stands_for_a_distribution_is_its_mode_or_its_median() -> None:
    three = Distribution(shape=Shape.TRIANGULAR, low=1, mode=2, high=9)
    wide = Distribution(shape=Shape.LOGNORMAL, low=1, high=100)
    normal = Distribution(shape=Shape.NORMAL, low=-2, high=4)

    assert three.centre == 2
    assert wide.centre == pytest.approx(10)
    assert normal.centre == 1


@pytest.mark.parametrize(
    ("shape", "low", "mode", "high", "what"),
    [
        (Shape.TRIANGULAR, 3, 2, 9, "not in order: (3, 2, 9)"),
        (Shape.LOGNORMAL, 3, None, math.inf, "not in order: (3, inf)"),
        (Shape.LOGNORMAL, 3, 4, 5, "a lognormal distribution of 3 numbers"),
        (Shape.TRIANGULAR, 3, None, 5, "a triangular distribution of 2 numbers"),
        (Shape.LOGNORMAL, 0, None, 5, "p5 is 0"),
    ],
)
def test_a_distribution_that_can_not_be_is_refused(
    shape: Shape, low: float, mode: float | None, high: float, what: str
) -> None:
    with pytest.raises(InvalidRecord) as caught:
        Distribution(shape=shape, low=low, mode=mode, high=high)

    assert caught.value.what == what
    assert caught.value.where == "Distribution"
    assert caught.value.hint


def test_a_discount_of_more_than_all_is_refused() -> None:
    with pytest.raises(InvalidRecord) as caught:
        VolumeDiscount(from_requests=5, share=1.5)

    assert caught.value.what == "1.5 off from 5 requests on"
    assert caught.value.where == "VolumeDiscount"
    assert caught.value.hint == "give a count ≥ 0 and a share in 0..1"
