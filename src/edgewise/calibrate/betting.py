"""A betting test of a mean: wealth that can't grow on average unless the mean is below α.

A unit (an example, or a cluster of them) has the value Z = its loss - α, at most 1 - α. Before
each unit a share λ is staked, from what came before; the wealth is the product of 1 - λ Z. With
0 ≤ λ ≤ 1 / (1 - α) it is never negative, and where E[Z] ≥ 0 it is a supermartingale, so it ever
reaches 1/δ with probability at most δ (Ville 1939). Nothing is assumed of Z but its upper end,
so losses below zero are fine. Source: Waudby-Smith and Ramdas, Estimating means of bounded random
variables by betting (2024).

The stake is theirs for a known number of units, with the target left to reach in the place of
1/δ (Voráček and Orabona, STaR-Bets, 2025): λ = sqrt(2 log(1/(δ W)) / (units left * E[Z²])), so
that who is behind stakes more, and who has arrived stakes nothing. It is capped at
(4 / (n α))^(1/4) of the most allowed: of few losses, each worth 1, one must not ruin it.

For the mean among the kept, an example that is not kept has Z = 0; given which ones are kept, the
kept ones are independent still, so their number takes the place of n. Which of a cluster's are
kept may say something of its losses, so there n stays the number of clusters.

The stake changes between blocks of units, not within: the products of a block are one numpy call
for hundreds of thresholds. Units are taken in a fixed shuffled order, so that a file sorted by
its answers is no order to bet on.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_PRIOR_UNITS = 10
_SEED = 20_240_229


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """Losses by unit, from which the value at any threshold follows. Made by `stakes_of`."""

    units: int
    unit: Integers
    """Of each example, in the order in which units are bet on; ascending."""
    step: Integers
    """Of each example: the place in the sequence of thresholds from which on it is kept."""
    part: Floats
    """What each example adds to its unit's loss once it is kept."""
    weight: Floats
    """Its share of its unit."""
    among_kept: bool
    """Whether α is asked of the kept ones only, rather than of all."""
    alone: bool
    """Whether each unit is one example."""


def stakes_of(step: Integers, losses: Floats, clusters: Integers | None, *, kept: bool) -> Stakes:
    """Gather examples into units: each by itself, or each cluster as the mean of its examples.

    Parameters
    ----------
    step
        The place in the sequence of thresholds from which on an example is kept.
    clusters
        The number of each example's cluster, 0 to the number of clusters - 1.
    kept
        Whether the mean is that among the kept.
    """
    unit = np.arange(len(step)) if clusters is None else clusters
    size = np.bincount(unit)
    place = np.empty(len(size), dtype=np.int64)
    place[np.random.default_rng(_SEED).permutation(len(size))] = np.arange(len(size))
    weight = 1.0 / size[unit]
    order = np.argsort(place[unit], kind="stable")
    return Stakes(
        units=len(size),
        unit=place[unit][order],
        step=step[order],
        part=(losses * weight)[order],
        weight=weight[order],
        among_kept=kept,
        alone=clusters is None,
    )


def passes(stakes: Stakes, steps: range, alpha: float, delta: float) -> NDArray[np.bool_]:
    """Say for each place of the sequence in `steps` whether its mean is shown to be below α."""
    columns = np.arange(steps.start, steps.stop)
    return _reaches(stakes, columns, np.full(len(columns), alpha), delta)


def upper_limit(stakes: Stakes, step: int, alphas: Floats, delta: float) -> float:
    """Give the lowest of falling levels that is rejected with all before it; 1 if none is.

    The levels are fixed before, and the largest at or under the true mean stands in the way of
    those under it: so this is a limit at level 1 - δ.
    """
    rejected = _reaches(stakes, np.full(len(alphas), step), alphas, delta)
    count = len(alphas) if rejected.all() else int(np.argmin(rejected))
    return float(alphas[count - 1]) if count else 1.0


def _reaches(stakes: Stakes, steps: Integers, alphas: Floats, delta: float) -> NDArray[np.bool_]:
    target = -math.log(delta)
    counted = stakes.among_kept and stakes.alone
    n = np.full(len(steps), stakes.units)
    if counted:
        n = np.searchsorted(np.sort(stakes.step), steps, side="right")
    most = np.minimum(1.0, (4.0 / (np.maximum(n, 1) * alphas)) ** 0.25) / (1.0 - alphas)
    squares, wealth = _PRIOR_UNITS * alphas * (1.0 - alphas), np.zeros(len(steps))
    seen = np.zeros(len(steps), dtype=np.int64)
    for size, kept, block in _blocks(stakes, steps, alphas):
        left = np.maximum(target - wealth, 0.0)
        ahead = np.maximum(n - seen, 1)
        stake = np.minimum(np.sqrt(2.0 * left * (_PRIOR_UNITS + seen) / (ahead * squares)), most)
        growth = np.maximum(1.0 - stake * block, 0.0).prod(axis=0)
        with np.errstate(divide="ignore"):
            wealth += np.log(growth)
        squares = squares + (block**2).sum(axis=0)
        seen += kept if counted else size
    return wealth >= target


def _blocks(
    stakes: Stakes, steps: Integers, alphas: Floats
) -> Iterator[tuple[int, Integers, Floats]]:
    """Give units a few at a time: how many, the examples kept at each step, and the values Z."""
    seen = 0
    while seen < stakes.units:
        size = min(seen // 4 + 1, (stakes.units - seen) // 32 + 1)
        first, last = np.searchsorted(stakes.unit, [seen, seen + size])
        part = slice(int(first), int(last))
        kept = stakes.step[part, None] <= steps[None, :]
        value = np.where(kept, stakes.part[part, None], 0.0)
        if stakes.among_kept:
            value -= np.where(kept, stakes.weight[part, None] * alphas[None, :], 0.0)
        if not stakes.alone:
            starts = np.searchsorted(stakes.unit[part], np.arange(seen, seen + size))
            value = np.add.reduceat(value, starts, axis=0)
        yield size, kept.sum(axis=0), value if stakes.among_kept else value - alphas[None, :]
        seen += size
