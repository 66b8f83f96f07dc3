"""Percentiles of a hybrid's latency from those of its tiers. Lognormal shapes are assumed."""

import math

_Z95 = 1.6448536269514722


def mixture_p95(edge: tuple[float, float], cloud: tuple[float, float], deferral: float) -> float:
    """Give the p95 of a hybrid in ms.

    A share `deferral` pays edge and cloud; the rest the edge alone. Each tier is lognormal with
    the given (p50, p95); the edge's part of a deferred request is taken at its median.

    Parameters
    ----------
    edge, cloud
        (p50_ms, p95_ms), 0 < p50 ≤ p95.
    deferral
        In 0..1.
    """
    low, high = 0.0, edge[1] * 100 + cloud[1] * 100
    for _ in range(80):
        middle = (low + high) / 2
        below = (1 - deferral) * _below(middle, edge) + deferral * _below(middle - edge[0], cloud)
        low, high = (middle, high) if below < 0.95 else (low, middle)
    return high


def _below(x: float, quantiles: tuple[float, float]) -> float:
    if x <= 0:
        return 0.0
    p50, p95 = quantiles
    sigma = math.log(p95 / p50) / _Z95
    if sigma == 0:
        return 1.0 if x >= p50 else 0.0
    return 0.5 * (1 + math.erf(math.log(x / p50) / sigma / math.sqrt(2)))
