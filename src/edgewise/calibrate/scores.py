"""How far confidence is from probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Answers of alike confidence: what they promised, and how often they were right."""

    confidence: float
    accuracy: float
    n: int


def reliability_bins(
    confidence: ArrayLike, correct: ArrayLike, bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Group answers into bins of equal count by confidence; empty input gives none.

    Answers of one confidence count as their mean each, in whichever bin: no order parts them.
    """
    c, y = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    _, place, count = np.unique(c, return_inverse=True, return_counts=True)
    y = (np.bincount(place, y, len(count)) / count)[place]
    order = np.argsort(c, kind="stable")
    return tuple(
        ReliabilityBin(
            confidence=float(c[part].mean()), accuracy=float(y[part].mean()), n=len(part)
        )
        for part in np.array_split(order, bins)
        if len(part)
    )


def ece(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """Give the expected calibration error over bins of equal count."""
    found = reliability_bins(confidence, correct, bins)
    total = sum(b.n for b in found)
    return sum(b.n * abs(b.confidence - b.accuracy) for b in found) / total


def brier(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Give the mean squared distance between confidence and being right (Brier 1950)."""
    return float(
        np.mean((np.asarray(confidence, dtype=float) - np.asarray(correct, dtype=float)) ** 2)
    )
