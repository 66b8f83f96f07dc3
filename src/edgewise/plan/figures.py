"""Every number of a plan with its unit and origin."""

from collections.abc import Mapping
from dataclasses import fields

from edgewise.plan.evidence import Evidence
from edgewise.plan.load import peak_of
from edgewise.records import BY_DEFAULT, NUMBERS, Costs, Figure, Origin, PlanBasis

_SHOWN = {
    "workload.requests_per_month",
    "workload.devices",
    "workload.device_usd",
    "workload.usd_per_device_month",
    "tiers.cloud.usd_per_request",
    "costs.edge.lifetime_months",
    "costs.assume.deferral_share",
}
"""That have a row of their own."""


def figures_of(
    basis: PlanBasis, evidence: Evidence, numbers: Mapping[str, float]
) -> tuple[Figure, ...]:
    """Give what was measured, then what the spec gives, then what is assumed."""
    work, cloud = basis.workload, basis.cloud
    life = numbers["costs.edge.lifetime_months"]
    own_life = basis.costs.edge.lifetime_months is not None
    life_of = "costs.edge.lifetime_months" if own_life else "workload.horizon_months"
    each = "USD per device and month"
    rows = [
        *evidence.figures,
        _said(
            basis, "workload.requests_per_month", "requests", work.requests_per_month, "per month"
        ),
        _said(basis, "workload.devices", "devices", float(work.devices), "devices"),
        _said(basis, "workload.device_usd", "device price", work.device_usd, "USD"),
        _said(basis, life_of, "written off over", life, "months"),
        _said(
            basis, "workload.usd_per_device_month", "running cost", work.usd_per_device_month, each
        ),
    ]
    beyond = evidence.joules_beyond(work.watts)
    if _measured(basis) and beyond is not None and work.watts > 0:
        source = "energy of an answer, less workload.watts while it is made"
        rows.append(_assumed("energy of an answer, beyond idle", beyond, "J", source))
    rows += _others(basis, numbers)
    rows.append(_assumed("hours", 730.0, "per month", "always on"))
    peak = peak_of(evidence, numbers)
    rows.append(
        Figure(
            name="busiest hour over the mean, for the load",
            value=peak.ratio,
            unit="",
            origin=peak.origin,
            source=peak.source,
        )
    )
    if cloud is not None:
        rows += [
            _said(
                basis,
                "tiers.cloud.usd_per_request",
                "cloud price",
                cloud.usd_per_request,
                "USD per request",
            ),
            _said(basis, "tiers.cloud.rtt_ms.p50", "cloud round trip p50", cloud.rtt_p50_ms, "ms"),
            _said(basis, "tiers.cloud.rtt_ms.p95", "cloud round trip p95", cloud.rtt_p95_ms, "ms"),
        ]
    rows += _arrivals(evidence)
    if cloud is not None and numbers["costs.cloud.usd_per_gpu_hour"] > 0:
        rows.append(
            _assumed(
                "cloud arrivals' CV²", basis.costs.cloud.arrival_cv2, "", "Erlang C for servers"
            )
        )
    return tuple(rows)


def _arrivals(evidence: Evidence) -> list[Figure]:
    """Give how requests come, as the latencies have it: by the trace, or as a formula assumes."""
    replay = evidence.replay
    if replay is None:
        return [
            _assumed("shape of latencies", None, "lognormal", "through p50 and p95"),
            _assumed("gaps between requests, CV²", 0.0, "", "formulas let nobody wait"),
        ]
    rows = [_given("requests of the trace", float(replay.requests), "requests", replay.trace)]
    if replay.per_s is not None and replay.gap_cv2 is not None:
        rows += [
            _given("pace of the trace", replay.per_s, "requests a second", replay.trace),
            _given("gaps between requests, CV²", replay.gap_cv2, "", replay.trace),
        ]
    said = dict.fromkeys(words for one in replay.options for words in one.assumed)
    return rows + [_assumed("the replay", None, "", words) for words in said]


def _others(basis: PlanBasis, numbers: Mapping[str, float]) -> list[Figure]:
    """Give a row for each number that is not its default, and for the price of energy if used."""
    usual = _defaults()
    rows = []
    for name, value in numbers.items():
        away = basis.cloud is None and "cloud" in name
        shown = name in _SHOWN or name in _measured(basis)
        if shown or away or value == usual.get(name, 0.0):
            continue
        source = basis.sources.get(name, "edgewise.yaml")
        rows.append(_given(name, value, NUMBERS[name].unit, source))
    energy, price = "workload.usd_per_kwh", numbers["workload.usd_per_kwh"]
    used = numbers["workload.watts"] or numbers.get("costs.edge.joules_per_request")
    if used and price == usual[energy]:
        rows.append(_said(basis, energy, energy, price, NUMBERS[energy].unit))
    return rows


def _measured(basis: PlanBasis) -> set[str]:
    """Give numbers that the profile has: their own rows say it."""
    own = basis.costs.edge.joules_per_request is not None
    return set() if own else {"costs.edge.joules_per_request"}


def _defaults() -> dict[str, float]:
    found: dict[str, float] = {"workload.usd_per_kwh": 0.15}
    for tier in ("edge", "cloud"):
        owner = getattr(Costs(), tier)
        values = {one.name: getattr(owner, one.name) for one in fields(owner)}
        found |= {
            f"costs.{tier}.{name}": float(value)
            for name, value in values.items()
            if isinstance(value, float)
        }
    return found


def _said(basis: PlanBasis, place: str, name: str, value: float, unit: str) -> Figure:
    """Give a figure of the file, of a price table, or, where neither has it, of the default."""
    source = basis.sources.get(place, place.rpartition(".")[0])
    origin = Origin.ASSUMED if source == BY_DEFAULT else Origin.GIVEN
    return Figure(name=name, value=value, unit=unit, origin=origin, source=source)


def _given(name: str, value: float, unit: str, source: str) -> Figure:
    return Figure(name=name, value=value, unit=unit, origin=Origin.GIVEN, source=source)


def _assumed(name: str, value: float | None, unit: str, source: str) -> Figure:
    return Figure(name=name, value=value, unit=unit, origin=Origin.ASSUMED, source=source)
