"""Accuracy and its interval."""

import math
from collections.abc import Sequence

from edgewise.errors import InvalidData


def accuracy(predicted: Sequence[str], truth: Sequence[str]) -> float:
    """Give the share of predictions that equal the truth.

    Raises
    ------
    InvalidData
        When there is nothing to compare, or the lengths differ.
    """
    if not truth or len(predicted) != len(truth):
        what = f"{len(predicted)} predictions for {len(truth)} labels"
        raise InvalidData(what, where="accuracy", hint="give one prediction for each label")
    return sum(a == b for a, b in zip(predicted, truth, strict=True)) / len(truth)


def wilson_interval(right: int, n: int, *, z: float = 1.959963984540054) -> tuple[float, float]:
    """Give the Wilson score interval of a share, 95 % by default.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927).

    Raises
    ------
    InvalidData
        When `n` is not positive or `right` is outside 0..n.
    """
    if n <= 0 or not 0 <= right <= n:
        raise InvalidData(
            f"{right} right of {n}", where="wilson_interval", hint="give 0 ≤ right ≤ n, n > 0"
        )
    share, z2 = right / n, z * z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)
