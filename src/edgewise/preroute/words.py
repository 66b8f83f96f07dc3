"""A linear model of the gain over hashed words: ridge, fitted by conjugate gradients.

A row holds each bucket once, over the root of their number: how often a word stands is not asked.
The penalty is lighter on rare words, as a weight by inverse document frequency makes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewise.preroute.features import Reading

Floats = NDArray[np.float64]
BITS = 18
_MIXER = 0x9E3779B1
_LEAST_PROMPTS = 3
_MOST_WORDS = 8000
_STEPS, _CLOSE = 60, 1e-4
_PENALTY = 10.0


@dataclass(frozen=True, slots=True)
class Rows:
    """Buckets by prompt, as one flat list."""

    row: NDArray[np.int64]
    bucket: NDArray[np.int64]
    value: Floats
    n: int

    def take(self, chosen: NDArray[np.int64]) -> "Rows":
        """Give some of the rows, renumbered in the order of `chosen`."""
        number = np.full(self.n, -1)
        number[chosen] = np.arange(len(chosen))
        row = number[self.row]
        kept = row >= 0
        return Rows(row[kept], self.bucket[kept], self.value[kept], len(chosen))


def buckets_of(words: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Give the buckets of a reading's words, sorted; equal ones stand side by side."""
    buckets = ((words * _MIXER) & 0xFFFFFFFF) >> (32 - bits)
    buckets.sort()
    return buckets


def rows_of(readings: Sequence[Reading]) -> Rows:
    """Lay out readings as rows, each bucket once."""
    found = [np.unique(buckets_of(one.words, BITS)) for one in readings]
    counts = np.array([len(one) for one in found], np.int64)
    return Rows(
        np.repeat(np.arange(len(found)), counts),
        np.concatenate(found),
        np.repeat(1.0 / np.sqrt(np.maximum(counts, 1)), counts),
        len(found),
    )


def fit_words(rows: Rows, gain: Floats) -> Floats:
    """Give one weight a bucket; all but some thousands are 0.

    A word counts from three prompts on; of those the heaviest are kept.
    """
    size = 1 << BITS
    frequency = np.bincount(rows.bucket, minlength=size)
    known = np.flatnonzero(frequency >= min(_LEAST_PROMPTS, rows.n))
    weights = np.zeros(size)
    if not len(known):
        return weights
    column = np.full(size, -1)
    column[known] = np.arange(len(known))
    kept = column[rows.bucket] >= 0
    columns, row = column[rows.bucket[kept]], rows.row[kept]
    rarity = np.log((1 + rows.n) / (1 + frequency[known])) + 1
    value = rows.value[kept] * rarity[columns]
    penalty = _PENALTY * float(value @ value) / rows.n
    means = _sums(columns, value, len(known)) / rows.n

    def forward(v: Floats) -> Floats:
        found: Floats = _sums(row, value * v[columns], rows.n) - float(means @ v)
        return found

    def backward(r: Floats) -> Floats:
        found: Floats = _sums(columns, value * r[row], len(known)) - means * float(r.sum())
        return found

    solved = _solve(lambda v: backward(forward(v)) + penalty * v, backward(gain - gain.mean()))
    weight = solved * rarity
    heavy = np.argsort(-np.abs(weight) * np.sqrt(frequency[known]), kind="stable")[:_MOST_WORDS]
    weights[known[heavy]] = weight[heavy]
    return weights


def score_words(rows: Rows, weights: Floats) -> Floats:
    """Give each row's sum."""
    return _sums(rows.row, rows.value * weights[rows.bucket], rows.n)


def _sums(place: NDArray[np.int64], values: Floats, n: int) -> Floats:
    return np.asarray(np.bincount(place, values, minlength=n), dtype=np.float64)


def _solve(apply: Callable[[Floats], Floats], target: Floats) -> Floats:
    found = np.zeros_like(target)
    residual = target.copy()
    direction = residual.copy()
    size = start = float(residual @ residual)
    for _ in range(_STEPS):
        if size <= start * _CLOSE**2:
            break
        image = apply(direction)
        step = size / float(direction @ image)
        found += step * direction
        residual -= step * image
        before, size = size, float(residual @ residual)
        direction = residual + (size / before) * direction
    return found
