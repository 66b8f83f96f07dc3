"""Venn-Abers: isotonic regression asked twice, once for each answer that may be the truth.

For a score s, isotonic regression is fitted to the calibration scores together with (s, 0), and
again with (s, 1); their values at s, p0 and p1, hold the chance between them, whatever the
distribution (Vovk and Petej, Venn-Abers predictors, 2014). One number is made of them as
p1 / (1 - p0 + p1). Both change at calibration scores alone, so a table of steps tells all.

Pooling adjacent violators gives the same result in any order: the blocks of all points before s
and of all points behind it are kept for every place, and only those that touch s are pooled anew.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class _Block(NamedTuple):
    total: float
    weight: float
    beyond: "_Block | None"
    """The next block away from the place that is looked at."""

    @property
    def mean(self) -> float:
        return self.total / self.weight


def fit_steps(scores: Floats, correct: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give the scores at which the confidence changes, and its values.

    The values are, in turn, that below the first score, at it, between it and the second, and so
    on: one more than twice the scores.
    """
    x, at = np.unique(scores, return_inverse=True)
    weights, totals = np.bincount(at).tolist(), np.bincount(at, correct).tolist()
    points = list(zip(totals, weights, strict=True))
    below, above = _piles(points, 1.0), _piles(points[::-1], -1.0)[::-1]
    values = []
    for place in range(len(points) + 1):
        values.append(_merged(0.0, 0.0, below[place], above[place]))
        if place < len(points):
            values.append(_merged(*points[place], below[place], above[place + 1]))
    inputs, outputs = [], [values[0]]
    for place, score in enumerate(x.tolist()):
        here, behind = values[2 * place + 1], values[2 * place + 2]
        if not here == behind == outputs[-1]:
            inputs.append(score)
            outputs += [here, behind]
    return tuple(inputs), tuple(outputs)


def _piles(points: list[tuple[float, float]], sign: float) -> list[_Block | None]:
    """Give the pooled blocks of the first 0, 1, ... points, nearest first.

    `sign` is 1 where values rise towards the place that is looked at, else -1.
    """
    pile: _Block | None = None
    found: list[_Block | None] = [None]
    for total, weight in points:
        pile = _pushed(_Block(total, weight, pile), sign)
        found.append(pile)
    return found


def _pushed(block: _Block, sign: float) -> _Block:
    beyond = block.beyond
    while beyond is not None and sign * (beyond.mean - block.mean) >= 0.0:
        total, weight = block.total + beyond.total, block.weight + beyond.weight
        block, beyond = _Block(total, weight, beyond.beyond), beyond.beyond
    return block


def _merged(total: float, weight: float, below: _Block | None, above: _Block | None) -> float:
    low, high = (
        _value(_Block(total + label, weight + 1.0, None), below, above) for label in (0.0, 1.0)
    )
    return high / (1.0 - low + high)


def _value(block: _Block, below: _Block | None, above: _Block | None) -> float:
    while True:
        if below is not None and below.mean >= block.mean:
            near, below = below, below.beyond
        elif above is not None and above.mean <= block.mean:
            near, above = above, above.beyond
        else:
            return block.mean
        block = _Block(block.total + near.total, block.weight + near.weight, None)
