"""Binomial tails, exact to rounding, from a table of log-factorials."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def log_factorials(n: int) -> Floats:
    """Give log(k!) for k = 0..n."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])


class Binomial:
    """Distributions of the number of successes in `n` trials. Holds one table."""

    def __init__(self, n: int) -> None:
        self.n = n
        table = log_factorials(n)
        self._choose = table[n] - table - table[::-1]
        self._k = np.arange(n + 1)

    def pmf(self, p: float) -> Floats:
        """Give P(K = k) for k = 0..n."""
        return self._first(self.n + 1, p)

    def cdf(self, k: int, p: float) -> float:
        """Give P(K ≤ k)."""
        if k < 0:
            return 0.0
        return min(1.0, float(self._first(min(k, self.n) + 1, p).sum()))

    def upper_limit(self, k: int, level: float) -> float:
        """Give the Clopper–Pearson upper limit: the largest p with P(K ≤ k) ≥ `level`."""
        if k >= self.n:
            return 1.0
        low, high = k / self.n, 1.0
        while low < (middle := (low + high) / 2) < high:
            low, high = (middle, high) if self.cdf(k, middle) >= level else (low, middle)
        return high

    def _first(self, count: int, p: float) -> Floats:
        """Give P(K = k) for k = 0..count - 1: a lower tail needs no more."""
        if p <= 0.0 or p >= 1.0:
            whole = np.zeros(self.n + 1)
            whole[0 if p <= 0.0 else self.n] = 1.0
            return whole[:count]
        k = self._k[:count]
        logs = self._choose[:count] + k * math.log(p) + (self.n - k) * math.log1p(-p)
        return np.asarray(np.exp(logs), dtype=float)
