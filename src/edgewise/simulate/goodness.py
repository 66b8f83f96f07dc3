"""How well a family fits: two distances between what was seen and what the family says.

Kolmogorov and Smirnov's is the largest gap between both distribution functions. Anderson and
Darling's A² is the mean square of that gap, weighed so that the tails count as much as the middle:
it finds the heavy tail that a queue suffers from and that the largest gap does not show.

A² of a sample that is from the family, its parameters fitted to it, exceeds `at_5` in 5 % of cases
(M. Stephens in R. D'Agostino and M. Stephens, Goodness-of-Fit Techniques, 1986, tables 4.7, 4.11
and 4.21). It is given where the numbers are independent and the family's table is known.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgewise.records import Profile

Floats = NDArray[np.float64]
_NORMAL = NormalDist()
_TINY = np.finfo(np.float64).tiny
_EXPONENTIAL_5 = 1.321
_NORMAL_5 = 0.752
_GAMMA_SHAPES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 20.0, 1000.0)
_GAMMA_5 = (0.786, 0.768, 0.762, 0.759, 0.758, 0.757, 0.755, 0.754, 0.754, 0.753, 0.752)


def distances(values: Floats, below: Callable[[Floats], Floats]) -> tuple[float, float]:
    """Give Kolmogorov and Smirnov's distance, 0 to 1, and Anderson and Darling's A².

    Parameters
    ----------
    below
        The family's distribution function, of sorted numbers.
    """
    ordered = np.sort(values)
    expected, n = below(ordered), len(ordered)
    steps = np.arange(n + 1) / n
    largest = float(max((steps[1:] - expected).max(), (expected - steps[:-1]).max()))
    # A number that the family holds for impossible counts as one that it holds for next to it.
    inside = np.clip(expected, _TINY, 1.0 - np.finfo(np.float64).epsneg)
    weights = 2.0 * np.arange(1, n + 1) - 1.0
    logs = np.log(inside) + np.log1p(-inside[::-1])
    return largest, float(-n - (weights * logs).sum() / n)


def exponential_5(n: int) -> float:
    """Give the A² that 5 % of exponential samples of this size exceed."""
    return _EXPONENTIAL_5 / (1.0 + 0.6 / n)


def normal_5(n: int) -> float:
    """Give the same for normal samples, and so for the logarithms of lognormal ones."""
    return _NORMAL_5 / (1.0 + 0.75 / n + 2.25 / n**2)


def gamma_5(shape: float) -> float | None:
    """Give the same for gamma samples; `None` below a shape of 1, for which there is no table."""
    if shape < _GAMMA_SHAPES[0]:
        return None
    return float(np.interp(1.0 / shape, 1.0 / np.array(_GAMMA_SHAPES)[::-1], _GAMMA_5[::-1]))


def misfit(profile: Profile) -> float | None:
    """Give how far the lognormals of a profile's lengths are off its timed answers, 0 to 1.

    That is the largest gap between both distribution functions at the quantiles that the profile
    keeps; `None` where it keeps none.
    """
    if not profile.latency_quantiles:
        return None
    whole = [(profile.n, profile.p50_ms, profile.p95_ms)]
    parts = [(one.n, one.p50_ms, one.p95_ms) for one in profile.buckets] or whole
    n = sum(count for count, _, _ in parts)
    gaps = [0.0]
    for ms in {ms for _, ms in profile.latency_quantiles}:
        shares = [share for share, other in profile.latency_quantiles if other == ms]
        below, within = (
            sum(count * _share(ms, p50_ms, p95_ms, tie=tie) for count, p50_ms, p95_ms in parts) / n
            for tie in (0.0, 1.0)
        )
        gaps += [min(shares) - within, below - max(shares)]
    return max(gaps)


def _share(ms: float, p50_ms: float, p95_ms: float, *, tie: float) -> float:
    """Give the share of a lognormal below a time; `tie` where all of it is one time, and this."""
    if not 0.0 < p50_ms < p95_ms:
        return tie if ms == p50_ms else float(ms > p50_ms)
    if ms <= 0.0:
        return 0.0
    sigma = math.log(p95_ms / p50_ms) / _NORMAL.inv_cdf(0.95)
    return _NORMAL.cdf(math.log(ms / p50_ms) / sigma)
