"""Boosted trees of the four outcomes, whose splits are the same across a level.

The targets are the products of the two tiers' qualities: both right, near alone, far alone,
neither. A tree is grown on all four, which tells what is hard from what is hopeless; of its leaves
only the gain, far alone minus near alone, is kept.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bins = NDArray[np.int64]
DEPTH, TREES = 5, 150
_BINS = 24
_RATE, _ROWS, _COLUMNS, _SHRINK = 0.06, 0.7, 0.3, 30.0


@dataclass(frozen=True, slots=True)
class Trees:
    """Oblivious trees; `leaf` holds the gain."""

    feature: NDArray[np.int64]
    """Shape (trees, depth)."""
    threshold: NDArray[np.float32]
    leaf: Floats
    """Shape (trees, 2**depth)."""
    offset: float


def fit_trees(
    forms: NDArray[np.float32], edge: Floats, cloud: Floats, *, seed: int, trees: int = TREES
) -> Trees:
    """Grow trees on rows of features; the same seed gives the same trees."""
    rng = np.random.default_rng(seed)
    cuts = [_cuts(column) for column in forms.T]
    bins = np.stack([np.searchsorted(c, x, "left") for c, x in zip(cuts, forms.T, strict=True)])
    usable = np.array([at for at, c in enumerate(cuts) if len(c)], np.int64)
    target = np.stack(
        [edge * cloud, edge * (1 - cloud), (1 - edge) * cloud, (1 - edge) * (1 - cloud)]
    )
    mean = target.mean(axis=1)
    residual = target - mean[:, None]
    feature = np.zeros((trees, DEPTH), np.int64)
    threshold = np.full((trees, DEPTH), np.inf, np.float32)
    leaf = np.zeros((trees, 1 << DEPTH))
    for tree in range(trees if len(usable) else 0):
        chosen = np.flatnonzero(rng.random(len(forms)) < _ROWS)
        tried = rng.choice(usable, max(1, int(len(usable) * _COLUMNS)), replace=False)
        here = np.zeros(len(chosen), np.int64)
        everyone = np.zeros(len(forms), np.int64)
        sample, seen = residual[:, chosen], bins[:, chosen]
        for level in range(DEPTH):
            at, cut = _best_split(seen, sample, here, 1 << level, tried, cuts)
            here = here * 2 + (seen[at] > cut)
            everyone = everyone * 2 + (bins[at] > cut)
            feature[tree, level], threshold[tree, level] = at, cuts[at][cut]
        count = np.bincount(here, minlength=1 << DEPTH) + _SHRINK
        sums = np.stack([np.bincount(here, r, minlength=1 << DEPTH) for r in sample])
        value = sums * (_RATE / count)
        residual -= value[:, everyone]
        leaf[tree] = value[2] - value[1]
    return Trees(feature, threshold, leaf, float(mean[2] - mean[1]))


def score_trees(fitted: Trees, forms: NDArray[np.float32], stages: tuple[int, ...]) -> Floats:
    """Give the gain after each number of trees: shape (stages, n)."""
    total = np.full(len(forms), fitted.offset)
    found = []
    for tree in range(max(stages)):
        at = np.zeros(len(forms), np.int64)
        for feature, threshold in zip(fitted.feature[tree], fitted.threshold[tree], strict=True):
            at = at * 2 + (forms[:, feature] > threshold)
        total = total + fitted.leaf[tree][at]
        if tree + 1 in stages:
            found.append(total)
    return np.stack(found)


def _cuts(column: NDArray[np.float32]) -> NDArray[np.float32]:
    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    found = np.unique(np.quantile(column, inner).astype(np.float32))
    below: NDArray[np.float32] = found[found < column.max()]
    return below


def _best_split(
    bins: Bins,
    residual: Floats,
    leaf: Bins,
    leaves: int,
    tried: Bins,
    cuts: list[NDArray[np.float32]],
) -> tuple[int, int]:
    """Give the feature and the cut that explain most of the residuals, over all leaves at once."""
    best, found = -np.inf, (int(tried[0]), 0)
    for at in tried:
        key = leaf * _BINS + bins[at]
        left = np.bincount(key, minlength=leaves * _BINS).reshape(leaves, _BINS).cumsum(axis=1)
        right = left[:, -1:] - left
        gain = np.zeros(_BINS)
        for row in residual:
            low = np.bincount(key, row, minlength=leaves * _BINS).reshape(leaves, _BINS)
            low = low.cumsum(axis=1)
            high = low[:, -1:] - low
            gain += (low**2 / (left + _SHRINK) + high**2 / (right + _SHRINK)).sum(axis=0)
        cut = int(gain[: len(cuts[at])].argmax())
        if gain[cut] > best:
            best, found = gain[cut], (int(at), cut)
    return found
