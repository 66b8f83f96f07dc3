"""How late answers are: percentiles and curves of a hybrid from those of its tiers.

Where the workload has a trace they are those of its replay. Else lognormal shapes are assumed, but
for the edge's own curve where its answers were timed, and nobody waits for a server.
"""

import math
from collections.abc import Iterator
from statistics import NormalDist

from edgewise.plan.evidence import Evidence
from edgewise.records import LATENCY_SHARES, LatencyCurve, PlanBasis

_OPTIONS = ("edge", "cloud", "hybrid")
_NORMAL = NormalDist()
_Z95 = _NORMAL.inv_cdf(0.95)

Quantiles = tuple[float, float]
"""(p50_ms, p95_ms), 0 < p50 ≤ p95."""


def latency_curves(basis: PlanBasis, evidence: Evidence) -> tuple[LatencyCurve, ...]:
    """Give the distribution of each option's latency, where something is known of it.

    That is what the workload's trace came to when it was replayed, else a formula.
    """
    by_option = {one.option: one for one in _formulas(basis, evidence)}
    if evidence.replay is not None:
        for name in _OPTIONS:
            one = evidence.replay.of(name)
            if one is not None and one.points:
                by_option[name] = LatencyCurve(
                    option=name,
                    points=one.points,
                    is_measured=False,
                    is_simulated=True,
                    arrival_cv2=evidence.replay.gap_cv2,
                )
    return tuple(by_option[name] for name in _OPTIONS if name in by_option)


def _formulas(basis: PlanBasis, evidence: Evidence) -> Iterator[LatencyCurve]:
    near: Quantiles | None = None
    if evidence.p50_ms is not None and evidence.p95_ms is not None:
        near = (evidence.p50_ms, evidence.p95_ms)
        timed = evidence.latency_quantiles
        points = timed or tuple((share, quantile(near, share)) for share in LATENCY_SHARES)
        yield LatencyCurve(option="edge", points=points, is_measured=bool(timed))
    if basis.cloud is None:
        return
    far = (basis.cloud.rtt_p50_ms, basis.cloud.rtt_p95_ms)
    points = tuple((share, quantile(far, share)) for share in LATENCY_SHARES)
    yield LatencyCurve(option="cloud", points=points, is_measured=False)
    if near is not None:
        deferral = evidence.deferral_share
        points = tuple(
            (share, mixture_quantile(near, far, deferral, share)) for share in LATENCY_SHARES
        )
        yield LatencyCurve(option="hybrid", points=points, is_measured=False)


def mixture_p95(edge: Quantiles, cloud: Quantiles, deferral: float) -> float:
    """Give the p95 of a hybrid in ms."""
    return mixture_quantile(edge, cloud, deferral, 0.95)


def mixture_quantile(edge: Quantiles, cloud: Quantiles, deferral: float, share: float) -> float:
    """Give the time in ms that a share of a hybrid's answers are within.

    A share `deferral` pays edge and cloud; the rest the edge alone. Each tier is lognormal; the
    edge's part of a deferred request is taken at its median.

    Parameters
    ----------
    deferral
        In 0..1.
    share
        In 0.01..0.99.
    """
    low, high = 0.0, edge[1] * 100 + cloud[1] * 100
    for _ in range(80):
        middle = (low + high) / 2
        below = (1 - deferral) * _below(middle, edge) + deferral * _below(middle - edge[0], cloud)
        low, high = (middle, high) if below < share else (low, middle)
    return high


def quantile(quantiles: Quantiles, share: float) -> float:
    """Give the time in ms that a share of a lognormal tier's answers are within."""
    p50, p95 = quantiles
    return p50 * math.exp(_NORMAL.inv_cdf(share) * math.log(p95 / p50) / _Z95)


def mean_ms(quantiles: Quantiles) -> float:
    """Give the mean time of a lognormal tier in ms, at most its p95: what is beyond is a guess."""
    p50, p95 = quantiles
    sigma = math.log(p95 / p50) / _Z95
    return min(p95, p50 * math.exp(min(sigma**2 / 2, 700.0)))


def _below(x: float, quantiles: Quantiles) -> float:
    if x <= 0:
        return 0.0
    p50, p95 = quantiles
    sigma = math.log(p95 / p50) / _Z95
    if sigma == 0:
        return 1.0 if x >= p50 else 0.0
    return 0.5 * (1 + math.erf(math.log(x / p50) / sigma / math.sqrt(2)))
