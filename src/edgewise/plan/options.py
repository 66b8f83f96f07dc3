"""Each way to serve the workload, held against the objective, in all that a choice weighs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgewise.plan.cost import CostModel
from edgewise.plan.evidence import Evidence
from edgewise.plan.latency import edge_p95_ms, far_served_ms, mixture_p95, near_quantiles
from edgewise.plan.load import overloaded
from edgewise.plan.numbers import DEFERRAL, JOULES_A_KWH, SECONDS_A_MONTH
from edgewise.plan.pareto import mark_beaten
from edgewise.records import (
    CertificateState,
    Loss,
    Option,
    PlanBasis,
    PrivacyAction,
    TierKind,
    Tradeoff,
)
from edgewise.units import format_bytes, format_ms

_NOT_AWAY = "privacy binds: some requests may not leave the device"
_NO_LESS = {
    Loss.NET: tuple(Loss),
    Loss.REGRET: (Loss.REGRET, Loss.KEPT_ERROR, Loss.DISAGREEMENT),
    Loss.KEPT_ERROR: (Loss.KEPT_ERROR,),
    Loss.DISAGREEMENT: (Loss.DISAGREEMENT,),
}
"""Of a loss that is asked for: those that are never less, so that a limit of theirs is its own."""
_ROUNDING = 1e-9


def options_of(
    basis: PlanBasis, evidence: Evidence, model: CostModel, numbers: Mapping[str, float]
) -> list[Option]:
    """Give edge, cloud and hybrid with their cost, and what keeps each from the objective."""
    usd = {name: float(model.monthly(name, numbers)) for name in model.options}
    limits = _limits(basis, evidence)
    loads = {
        name: [*overloaded(name, basis, evidence, numbers), *_unstable(name, evidence)]
        for name in usd
    }
    options = [_edge(basis, evidence, usd["edge"], [*limits, *loads["edge"]])]
    if basis.cloud is not None:
        options += [
            _cloud(basis, evidence, usd["cloud"], loads["cloud"]),
            _hybrid(basis, evidence, usd["hybrid"], [*limits, *loads["hybrid"]]),
        ]
    return options


def tradeoffs_of(
    basis: PlanBasis,
    options: list[Option],
    evidence: Evidence,
    model: CostModel,
    numbers: Mapping[str, float],
) -> tuple[Tradeoff, ...]:
    """Give the options in cost, latency, quality, energy and exposure, and who beats whom.

    The hybrid at other thresholds stands beside them, for what their trade-off is worth.
    """
    near = basis.edge.kind
    rows = [_tradeoff(one, numbers, near) for one in options]
    for share, loss in evidence.deferral_curve if basis.cloud is not None else ():
        other = {**numbers, DEFERRAL: share}
        seen = replace(evidence, deferral_share=share, hybrid_loss=loss)
        name = f"hybrid at {share:.0%}"
        one = _hybrid(basis, seen, float(model.monthly("hybrid", other)), (), name=name)
        rows.append(_tradeoff(one, other, near))
    return mark_beaten(rows)


def _tradeoff(one: Option, numbers: Mapping[str, float], near: TierKind) -> Tradeoff:
    kind = one.name.split()[0]
    deferral = numbers[DEFERRAL]
    joules, grams = _energy(numbers, deferral)
    far_share = {"edge": 0.0, "cloud": 1.0, "hybrid": deferral}[kind]
    requests = numbers["workload.requests_per_month"]
    return Tradeoff(
        option=one.name,
        usd_per_month=one.monthly_usd,
        latency_p95_ms=one.latency_p95_ms,
        quality_loss=one.quality_loss,
        joules_per_request=joules[kind],
        far_share=far_share,
        exposed_share=far_share if near is TierKind.DEVICE else 1.0,
        grams_per_month=_times(grams[kind], requests),
    )


def _energy(
    n: Mapping[str, float], deferral: float
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Give joules, and grams of CO2, of a request by option; `None` where nobody knows."""
    requests = n["workload.requests_per_month"]
    watts = n["workload.devices"] * n["workload.watts"] * n["costs.edge.share"]
    marginal = n.get("costs.edge.joules_per_request")
    edge = marginal
    if watts > 0 and requests > 0:
        edge = watts * SECONDS_A_MONTH / requests + (marginal or 0.0)
    cloud = n.get("costs.cloud.joules_per_request")
    joules = {"edge": edge, "cloud": cloud, "hybrid": _plus(edge, _times(cloud, deferral))}
    near = _grams(edge, n.get("costs.edge.grams_per_kwh"))
    far = _grams(cloud, n.get("costs.cloud.grams_per_kwh"))
    return joules, {"edge": near, "cloud": far, "hybrid": _plus(near, _times(far, deferral))}


def _grams(joules: float | None, grams_per_kwh: float | None) -> float | None:
    return None if grams_per_kwh is None else _times(joules, grams_per_kwh / JOULES_A_KWH)


def _times(value: float | None, by: float) -> float | None:
    return None if value is None else value * by


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _limits(basis: PlanBasis, evidence: Evidence) -> list[str]:
    reasons = []
    memory, storage = basis.edge.memory_bytes, basis.edge.storage_bytes
    peak, size = evidence.peak_memory_bytes, evidence.size_bytes
    if memory is not None and peak is not None and peak > memory:
        found, limit = format_bytes(peak), format_bytes(memory)
        reasons.append(f"memory binds: it peaks at {found} of {limit}")
    if storage is not None and size is not None and size > storage:
        found, limit = format_bytes(size), format_bytes(storage)
        reasons.append(f"storage binds: {found} of {limit}")
    return reasons


def _late(basis: PlanBasis, p95_ms: float | None) -> list[str]:
    limit = basis.objective.latency_p95_ms
    if limit is None or p95_ms is None or p95_ms <= limit:
        return []
    return [f"latency binds: p95 is {format_ms(p95_ms)}, and {format_ms(limit)} is asked"]


def _lossy(basis: PlanBasis, loss: float | None) -> list[str]:
    allowed = basis.objective.max_quality_loss
    if loss is None or loss <= allowed:
        return []
    return [f"quality binds: it loses {loss:.1%} against the cloud, and {allowed:.1%} is allowed"]


def _promised_too_little(basis: PlanBasis, evidence: Evidence) -> list[str]:
    """Say where the certificate promises another loss than is asked, a higher one, or less surely.

    So it may where a run was certified anew at levels of its own.
    """
    made, asked = evidence.certificate, basis.objective
    if made is None:
        return []
    enough = made.alpha <= asked.max_quality_loss + _ROUNDING
    sure = made.delta <= 1 - asked.confidence + _ROUNDING
    if enough and sure and made.loss in _NO_LESS[asked.loss]:
        return []
    promised = _promise(made.loss, made.alpha, 1 - made.delta)
    wanted = _promise(asked.loss, asked.max_quality_loss, asked.confidence)
    return [f"quality binds: its certificate promises {promised}, and {wanted} is asked"]


def _unpromised(evidence: Evidence) -> str:
    made = evidence.certificate
    if made is not None and made.state is CertificateState.VOID:
        return "its certificate is void, so nothing is promised, and all counts as deferred"
    return "there is no certificate, so every answer that may leave is deferred"


def _promise(loss: Loss, most: float, confidence: float) -> str:
    return f"a {loss.value} loss of at most {most:.3%} at {confidence:.4g} confidence"


def _unstable(option: str, evidence: Evidence) -> list[str]:
    """Say which tiers a replay found to be brought more than they can do."""
    replay = evidence.replay
    one = None if replay is None else replay.of(option)
    if replay is None or one is None:
        return []
    return [
        f"load binds: {tier} is unstable in the replay of {replay.trace}, which brings it "
        f"{times:,.3g} times what it can do"
        for tier, times in one.unstable.items()
    ]


def _edge(basis: PlanBasis, evidence: Evidence, usd: float, limits: Sequence[str]) -> Option:
    loss = evidence.edge_loss
    p95_ms = edge_p95_ms(basis, evidence)
    reasons = [*limits, *_late(basis, p95_ms), *_lossy(basis, loss)]
    if _is_closed(basis, {"edge"}):
        reasons.append("privacy binds: some requests may not be seen by the edge")
    if basis.edge.kind is not TierKind.DEVICE:
        reasons += _private(basis, evidence)
    return Option(
        name="edge",
        feasible=not reasons,
        monthly_usd=usd,
        latency_p95_ms=p95_ms,
        quality_loss=loss,
        reasons=tuple(reasons),
    )


def _is_closed(basis: PlanBasis, tiers: set[str]) -> bool:
    """Say whether none of these tiers may see the requests of some region."""
    return any(tiers.isdisjoint(homes) for homes in basis.privacy.residency.values())


def _private(basis: PlanBasis, evidence: Evidence) -> list[str]:
    """Say which requests have no answer where none is given on the device."""
    if any(basis.privacy.actions.of(one) is PrivacyAction.KEEP for one in basis.privacy.detect):
        return [_NOT_AWAY]
    replay = evidence.replay
    if replay is None or not replay.private_share:
        return []
    share = f"{replay.private_share:.3g} of the requests of {replay.trace}"
    return [f"privacy binds: {share} may not leave the device"]


def _cloud(basis: PlanBasis, evidence: Evidence, usd: float, load: Sequence[str]) -> Option:
    assert basis.cloud is not None
    replayed_ms = evidence.replayed_ms("cloud", 0.95)
    p95_ms = basis.cloud.rtt_p95_ms + far_served_ms(basis)
    if replayed_ms is not None:
        p95_ms = replayed_ms
    reasons = [*load, *_late(basis, p95_ms)]
    if _is_closed(basis, {"cloud", *basis.cloud.equals}):
        reasons.append(_NOT_AWAY)
    else:
        reasons += _private(basis, evidence)
    return Option(
        name="cloud",
        feasible=not reasons,
        monthly_usd=usd,
        latency_p95_ms=p95_ms,
        quality_loss=0.0,
        reasons=tuple(reasons),
    )


def _hybrid(
    basis: PlanBasis,
    evidence: Evidence,
    usd: float,
    limits: Sequence[str],
    *,
    name: str = "hybrid",
) -> Option:
    assert basis.cloud is not None
    p95 = evidence.replayed_ms(name, 0.95)
    near, far = near_quantiles(basis, evidence), basis.cloud
    if p95 is None and near is not None:
        rtt_ms, served_ms = (far.rtt_p50_ms, far.rtt_p95_ms), far_served_ms(basis)
        p95 = mixture_p95(near, rtt_ms, evidence.deferral_share, served_ms)
    reasons = [*limits, *_late(basis, p95)]
    if _is_closed(basis, {"edge", "cloud", *basis.cloud.equals}):
        reasons.append("privacy binds: some requests may be seen by no tier")
    if basis.edge.kind is not TierKind.DEVICE:
        reasons += _private(basis, evidence)
    if not evidence.promised:
        reasons.append(f"quality binds: {_unpromised(evidence)}")
    elif not evidence.deferral_rows:  # where there is a certificate, it promises the loss
        reasons += _lossy(basis, evidence.hybrid_loss)
    else:
        reasons += _promised_too_little(basis, evidence)
    return Option(
        name=name,
        feasible=not reasons,
        monthly_usd=usd,
        latency_p95_ms=p95,
        quality_loss=evidence.hybrid_loss,
        reasons=tuple(reasons),
    )
