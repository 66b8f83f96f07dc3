"""Whether each tier keeps up with the busiest hour: work brought over what its servers can do."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgewise.plan.evidence import Evidence
from edgewise.plan.latency import mean_ms
from edgewise.plan.numbers import DEFERRAL, SECONDS_A_MONTH
from edgewise.records import EdgeTier, Origin, PlanBasis, QueueRules, ServiceFormula

_PEAK = "costs.cloud.peak_ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """How busy the busiest hour is. Made by `peak_of`, read by the load and the figures."""

    ratio: float
    """Its requests over the mean's."""
    origin: Origin
    source: str

    @property
    def words(self) -> str:
        """Say when."""
        if self.origin is Origin.ASSUMED:
            return "at the month's mean"
        return f"in the busiest hour, {self.ratio:.3g} times the mean by {self.source}"


def peak_of(evidence: Evidence, n: Mapping[str, float]) -> Peak:
    """Give the busiest hour: of the trace, else of the daily cycle, else the mean is assumed."""
    replay = evidence.replay
    if replay is not None and replay.peak_ratio is not None:
        return Peak(ratio=replay.peak_ratio, origin=Origin.GIVEN, source=replay.trace)
    if n[_PEAK] > 1:
        return Peak(ratio=n[_PEAK], origin=Origin.GIVEN, source=_PEAK)
    missing = "without workload.trace" if replay is None else f"{replay.trace} is under two hours"
    source = f"every hour as busy as the mean: {missing}, and no {_PEAK}"
    return Peak(ratio=1.0, origin=Origin.ASSUMED, source=source)


def overloaded(
    option: str, basis: PlanBasis, evidence: Evidence, n: Mapping[str, float]
) -> list[str]:
    """Say which tiers of an option are brought as much as they can do, or more, at the peak."""
    peak = peak_of(evidence, n)
    per_s = peak.ratio * n["workload.requests_per_month"] / SECONDS_A_MONTH
    found = []
    if option != "cloud":
        servers = n["workload.devices"] * n["costs.edge.share"] * device_servers(basis.edge)
        times = per_s * _edge_s(basis, evidence, n) / (servers * _together(basis.edge.queue))
        if times >= 1:
            whose = f"its {n['workload.devices']:,.0f} devices"
            found.append(_words("the edge", peak, whose, times))
    cloud = basis.cloud
    if option == "edge" or cloud is None or cloud.service is None:
        return found
    most = _most(cloud.servers, cloud.queue)
    if most is None:
        return found
    share = n[DEFERRAL] if option == "hybrid" else 1.0
    servers = most * (1 + len(cloud.equals))
    service_s = formula_s(cloud.service, evidence, n)
    times = share * per_s * service_s / (servers * _together(cloud.queue))
    if times >= 1:
        found.append(_words("the cloud", peak, f"its {servers:,.0f} servers", times))
    return found


def _words(tier: str, peak: Peak, whose: str, times: float) -> str:
    return (
        f"load binds: {tier} is unstable {peak.words}, for {whose} are brought {times:,.3g} times "
        f"what they can do"
    )


def _edge_s(basis: PlanBasis, evidence: Evidence, n: Mapping[str, float]) -> float:
    """Give the mean time of an answer of the edge; 0 where nobody knows."""
    if basis.edge.service is not None:
        return formula_s(basis.edge.service, evidence, n)
    if evidence.p50_ms is None or evidence.p95_ms is None:
        return 0.0
    return mean_ms((evidence.p50_ms, evidence.p95_ms)) / 1000


def formula_s(service: ServiceFormula, evidence: Evidence, n: Mapping[str, float]) -> float:
    """Give the time of a request with the trace's tokens, else with those that costs name."""
    tokens = n["costs.cloud.input_tokens"], n["costs.cloud.output_tokens"]
    if evidence.replay is not None:
        tokens = evidence.replay.input_tokens, evidence.replay.output_tokens
    return service.ms(*tokens) / 1000


def device_servers(edge: EdgeTier) -> int:
    """Give how many servers a device may have."""
    return _most(edge.servers or 1, edge.queue) or 1


def _most(servers: int | None, rules: QueueRules | None) -> int | None:
    """Give how many servers there may be; `None`: as many as are needed."""
    scaling = None if rules is None else rules.autoscaling
    return servers if scaling is None else scaling.most


def _together(rules: QueueRules | None) -> float:
    """Give how many requests a server answers in the time of one, with full batches."""
    batching = None if rules is None else rules.batching
    if batching is None:
        return 1.0
    return batching.most / (1 + batching.added_share * (batching.most - 1))
