"""The Hoeffding–Bentkus p-value: for losses in [0, 1], from their sum alone."""

import math

from edgewise.calibrate.binomial import Binomial


class HoeffdingBentkus:
    """P-values of "the mean is at least α" for one number of examples. Holds a table.

    Source: Bates, Angelopoulos, Lei, Malik and Jordan, Distribution-free, risk-controlling
    prediction sets (2021), with Bentkus (2004): the smaller of Hoeffding's bound with its
    Kullback–Leibler exponent and e times the binomial tail at the sum, rounded up.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._binomial = Binomial(n)

    def p_value(self, total: float, alpha: float) -> float:
        """Give the p-value of a sum of losses."""
        mean = total / self.n
        if mean >= alpha:
            return 1.0
        hoeffding = math.exp(-self.n * _divergence(mean, alpha))
        whole = math.ceil(total - 1e-9)
        return min(1.0, hoeffding, math.e * self._binomial.cdf(whole, alpha))


def _divergence(mean: float, alpha: float) -> float:
    """Give the Kullback–Leibler divergence of two coins, for 0 ≤ `mean` < `alpha` < 1."""
    lost = mean * math.log(mean / alpha) if mean > 0.0 else 0.0
    return lost + (1.0 - mean) * math.log((1.0 - mean) / (1.0 - alpha))
