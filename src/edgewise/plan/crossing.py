"""Volumes at which two bills are equal, where discounts, minimums and servers bend them."""

from collections.abc import Callable, Sequence

import numpy as np

from edgewise.plan.numbers import FloatArray

LARGEST = 1e13
_POINTS = 4000


def crossings(
    difference: Callable[[FloatArray], FloatArray], knots: Sequence[float] = ()
) -> tuple[float, ...]:
    """Give each volume at which `difference` changes its sign, the smallest first.

    Parameters
    ----------
    difference
        Of two monthly bills by volume, for an array of volumes.
    knots
        Volumes at which a bill bends, such as where a discount begins.

    Notes
    -----
    The sign is read at 4,000 volumes up to 1e13 and at the knots, and each change is halved down
    to the last digit, so two changes between neighbours of the grid are missed.
    """
    grid = np.unique(np.concatenate(([0.0], np.geomspace(1.0, LARGEST, _POINTS), knots)))
    sign = np.sign(difference(grid))
    some = np.flatnonzero(sign)
    turns = np.flatnonzero(sign[some[:-1]] * sign[some[1:]] < 0)
    low, high = grid[some[turns]], grid[some[turns + 1]]
    began = sign[some[turns]]
    for _ in range(200):
        middle = (low + high) / 2
        same = np.sign(difference(middle)) == began
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return tuple(float(value) for value in high)
