"""Populations to draw from, and how many violations chance explains."""

from scipy.stats import binom

from edgewise.testing.populations import Population, Tally, tally

__all__ = ["Population", "Tally", "most_violations", "tally"]


def most_violations(draws: int, delta: float, chance: float = 0.001) -> int:
    """Give the count that a rate of exactly `delta` exceeds with less than this chance."""
    return int(binom.isf(chance, draws, delta))
