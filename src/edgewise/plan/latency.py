"""How late answers are: percentiles and curves of a hybrid from those of its tiers.

Where the workload has a trace they are those of its replay. Else lognormal shapes are assumed, but
for the edge's own curve where its answers were timed, and nobody waits for a server. What a tier's
`service` says that a request takes is in both.
"""

import math
from collections.abc import Iterator
from statistics import NormalDist

from edgewise.plan.evidence import Evidence
from edgewise.records import LATENCY_SHARES, LatencyCurve, PlanBasis, ServiceFormula

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
    near = near_quantiles(basis, evidence)
    if near is not None:
        timed = evidence.latency_quantiles
        points = timed or tuple((share, quantile(near, share)) for share in LATENCY_SHARES)
        yield LatencyCurve(option="edge", points=points, is_measured=bool(timed))
    if basis.cloud is None:
        return
    far, served_ms = (basis.cloud.rtt_p50_ms, basis.cloud.rtt_p95_ms), far_served_ms(basis)
    points = tuple((share, served_ms + quantile(far, share)) for share in LATENCY_SHARES)
    yield LatencyCurve(option="cloud", points=points, is_measured=False)
    if near is not None:
        deferral = evidence.deferral_share
        points = tuple(
            (share, mixture_quantile(near, far, deferral, share, served_ms))
            for share in LATENCY_SHARES
        )
        yield LatencyCurve(option="hybrid", points=points, is_measured=False)


def near_quantiles(basis: PlanBasis, evidence: Evidence) -> Quantiles | None:
    """Give p50 and p95 of the edge: measured or assumed, else what its `service` says."""
    if evidence.p50_ms is not None and evidence.p95_ms is not None:
        return evidence.p50_ms, evidence.p95_ms
    served_ms = _served_ms(basis, basis.edge.service)
    return (served_ms, served_ms) if served_ms > 0.0 else None


def edge_p95_ms(basis: PlanBasis, evidence: Evidence) -> float | None:
    """Give what is held against the objective: of the replay, else measured, assumed or served."""
    replayed_ms = evidence.replayed_ms("edge", 0.95)
    if replayed_ms is not None:
        return replayed_ms
    near = near_quantiles(basis, evidence)
    return evidence.p95_ms if near is None else near[1]


def far_served_ms(basis: PlanBasis) -> float:
    """Give what the cloud's `service` takes for a request, beside the round trip; 0 without one."""
    return 0.0 if basis.cloud is None else _served_ms(basis, basis.cloud.service)


def _served_ms(basis: PlanBasis, service: ServiceFormula | None) -> float:
    tokens = basis.costs.cloud.input_tokens, basis.costs.cloud.output_tokens
    return 0.0 if service is None else service.ms(*tokens)


def mixture_p95(
    edge: Quantiles, cloud: Quantiles, deferral: float, served_ms: float = 0.0
) -> float:
    """Give the p95 of a hybrid in ms."""
    return mixture_quantile(edge, cloud, deferral, 0.95, served_ms)


def mixture_quantile(
    edge: Quantiles, cloud: Quantiles, deferral: float, share: float, served_ms: float = 0.0
) -> float:
    """Give the time in ms that a share of a hybrid's answers are within.

    A share `deferral` pays edge and cloud; the rest the edge alone. Each tier is lognormal; the
    edge's part of a deferred request is taken at its median.

    Parameters
    ----------
    deferral
        In 0..1.
    share
        In 0.01..0.99.
    served_ms
        That each answer of the cloud takes beside its round trip.
    """
    low, high = 0.0, edge[1] * 100 + cloud[1] * 100 + served_ms
    before = edge[0] + served_ms
    for _ in range(80):
        middle = (low + high) / 2
        below = (1 - deferral) * _below(middle, edge) + deferral * _below(middle - before, cloud)
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
