"""An exact test of a mean of values in {-1, 0, 1}: the difference of two paired accuracies.

X is 1 where the edge kept a wrong answer and the cloud was right, -1 the other way round, 0
elsewhere. The hypothesis is E[X] ≥ α; a small sum S of n examples is evidence against it. The
probability q of X ≠ 0 is a nuisance. Berger and Boos (1994) bound it first: with q_hi its upper
confidence limit at level 1 - γ, the p-value is γ + sup over q ≤ q_hi of P(S ≤ s; q, α).

Where the supremum is: for a given q, S is stochastically smallest at mean α, and
dP(S ≤ s)/dq = n/2 (f(s + 1) - f(s)), f the mass function of the sum of n - 1 examples. While
q ≤ 1/2 the polynomial p₋ + p₀ z + p₊ z² has real roots, so the sum is a shifted sum of
2(n - 1) independent Bernoulli variables; it is unimodal with its mode within 1 of its mean
(n - 1) α (Darroch 1964). So for s ≤ (n - 1) α - 2 the derivative is not negative, and the
supremum is at q_hi. Elsewhere the p-value is 1. The same roots make S the difference of two
independent binomials, which gives its tail exactly.
"""

import math

import numpy as np

from edgewise.calibrate.binomial import Binomial

_NUISANCE_SHARE = 0.1
_MOST_DISCORDANT = 0.5


class PairedTest:
    """P-values for one number of examples. Holds tables; made by `certify`."""

    def __init__(self, n: int, delta: float) -> None:
        self.n = n
        self.gamma = _NUISANCE_SHARE * delta
        self._binomial = Binomial(n)
        self._limits: dict[int, float] = {}

    def p_value(self, total: int, discordant: int, alpha: float) -> float:
        """Give the p-value of "the mean is at least `alpha`": from the sum, the count of X ≠ 0."""
        limit = self._limit(discordant)
        if limit < alpha:
            return self.gamma
        if limit > _MOST_DISCORDANT or total > (self.n - 1) * alpha - 2:
            return 1.0
        return min(1.0, self.gamma + self._tail(total, (limit + alpha) / 2, (limit - alpha) / 2))

    def _limit(self, discordant: int) -> float:
        if discordant not in self._limits:
            self._limits[discordant] = self._binomial.upper_limit(discordant, self.gamma)
        return self._limits[discordant]

    def _tail(self, total: int, plus: float, minus: float) -> float:
        """Give P(S ≤ total), S = Bin(n, b) - Bin(n, c), with b and 1 - c the roots."""
        mean = 1.0 + plus - minus
        root = math.sqrt(max(mean * mean - 4.0 * plus, 0.0))
        large = (mean + root) / 2
        wins, losses = self._binomial.pmf(plus / large), self._binomial.pmf(1.0 - large)
        below = np.minimum(np.cumsum(wins), 1.0)
        at = np.arange(self.n + 1) + total
        inside = (at >= 0) & (losses > 0.0)
        return float((losses[inside] * below[np.minimum(at[inside], self.n)]).sum())
