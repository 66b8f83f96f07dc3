"""The range that each activation gets in 8 bits, from sample inputs of any lengths.

The samples stream twice: the first pass finds each tensor's extremes, the second counts a
histogram between them. Memory is one sample's activations and `BINS` counts a tensor, however many
samples there are and whatever their shapes.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewise.optimize.graphs.activations import observe
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

BINS = 2048
LEVELS = 256
TAIL_SHARE = 1e-4
_CLIPS = 100

Range = tuple[float, float]


class Calibrator(StrEnum):
    """How a range is chosen from the values seen.

    `MINMAX` takes the extremes. `PERCENTILE` leaves a share of `TAIL_SHARE` of the values that are
    not zero outside. `ENTROPY` clips where the quantized distribution differs least from the one
    seen (Kullback–Leibler; Migacz, "8-bit inference with TensorRT", 2017): made for convolution
    nets, it cuts off the few large channels that a transformer lives on (MiniLM's mean cosine falls
    from .988 to .85).
    """

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"


def measure_ranges(
    model: "onnx.ModelProto",
    names: Sequence[str],
    samples: Sequence[Tensors],
    calibrator: Calibrator,
) -> dict[str, Range]:
    """Give the range of each tensor called `names`; it always holds zero."""
    extremes = dict.fromkeys(names, (0.0, 0.0))
    for found in observe(model, names, samples):
        for name, values in found.items():
            low, high = extremes[name]
            extremes[name] = (min(low, float(values.min())), max(high, float(values.max())))
    if calibrator is Calibrator.MINMAX:
        return extremes
    counts = _count(model, extremes, samples)
    choose = clip_tails if calibrator is Calibrator.PERCENTILE else clip_by_entropy
    return {name: choose(counts[name], extremes[name]) for name in names}


def clip_tails(counts: NDArray[np.int64], extremes: Range) -> Range:
    """Leave half of `TAIL_SHARE` of the values outside at each end."""
    low, high = extremes
    total = int(counts.sum())
    if total == 0 or low == high:
        return extremes
    edges = np.linspace(low, high, len(counts) + 1)
    below = np.cumsum(counts) / total
    first = int(np.searchsorted(below, TAIL_SHARE / 2, side="right"))
    last = int(np.searchsorted(below, 1.0 - TAIL_SHARE / 2, side="left"))
    return min(float(edges[first]), 0.0), max(float(edges[min(last, len(counts) - 1) + 1]), 0.0)


def clip_by_entropy(counts: NDArray[np.int64], extremes: Range) -> Range:
    """Clip where the quantized histogram is nearest to the one counted."""
    low, high = extremes
    reach = max(-low, high)
    if counts.sum() == 0 or low == high:
        return extremes
    edges = np.linspace(low, high, len(counts) + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    best, found = np.inf, extremes
    for share in np.linspace(1.0, 1.0 / _CLIPS, _CLIPS):
        clipped = max(low, -share * reach), min(high, share * reach)
        lost = _divergence(counts, middles, clipped)
        if lost < best:
            best, found = lost, clipped
    return found


def _divergence(counts: NDArray[np.int64], middles: NDArray[np.float64], clipped: Range) -> float:
    low, high = clipped
    inside = np.flatnonzero((middles >= low) & (middles <= high))
    if len(inside) < 2:
        return float("inf")
    first, last = int(inside[0]), int(inside[-1]) + 1
    kept = counts[first:last].astype(np.float64)
    level = ((middles[first:last] - low) / (high - low) * LEVELS).astype(np.int64)
    level = np.minimum(level, LEVELS - 1)
    filled = kept > 0
    weight = np.bincount(level, kept, LEVELS)
    width = np.bincount(level, filled, LEVELS)
    spread = np.where(filled, (weight / np.maximum(width, 1))[level], 0.0)
    seen = kept.copy()
    seen[0] += counts[:first].sum()
    seen[-1] += counts[last:].sum()
    p, q = seen / seen.sum(), spread / max(spread.sum(), 1.0)
    there = p > 0
    return float(np.sum(p[there] * np.log(p[there] / np.maximum(q[there], 1e-12))))


def _count(
    model: "onnx.ModelProto", extremes: Mapping[str, Range], samples: Sequence[Tensors]
) -> dict[str, NDArray[np.int64]]:
    counts: dict[str, NDArray[Any]] = {name: np.zeros(BINS, np.int64) for name in extremes}
    for found in observe(model, list(extremes), samples):
        for name, values in found.items():
            low, high = extremes[name]
            if low < high:
                # zero is exact in every range, so it says nothing about where to clip
                counts[name] += np.histogram(values[values != 0], BINS, (low, high))[0]
    return counts
