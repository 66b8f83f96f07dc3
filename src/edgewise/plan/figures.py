"""Every number of a plan with its unit and origin."""

from collections.abc import Mapping
from dataclasses import fields

from edgewise.plan.evidence import Evidence
from edgewise.plan.load import peak_of
from edgewise.records import NUMBERS, Costs, Figure, Origin, PlanBasis

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
    device_usd = basis.sources.get("workload.device_usd", "workload")
    rows = [
        *evidence.figures,
        _given("requests", work.requests_per_month, "per month", "workload"),
        _given("devices", float(work.devices), "devices", "workload"),
        _given("device price", work.device_usd, "USD", device_usd),
        _given("written off over", life, "months", "workload"),
        _given("running cost", work.usd_per_device_month, "USD per device and month", "workload"),
    ]
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
            _given("cloud price", cloud.usd_per_request, "USD per request", "tiers.cloud"),
            _given("cloud round trip p50", cloud.rtt_p50_ms, "ms", "tiers.cloud"),
            _given("cloud round trip p95", cloud.rtt_p95_ms, "ms", "tiers.cloud"),
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
        if name in _SHOWN or away or value == usual.get(name, 0.0):
            continue
        source = basis.sources.get(name, "edgewise.yaml")
        rows.append(_given(name, value, NUMBERS[name].unit, source))
    if numbers["workload.watts"] and numbers["workload.usd_per_kwh"] == 0.15:
        rows.append(_assumed("workload.usd_per_kwh", 0.15, "USD per kWh", "the default"))
    return rows


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


def _given(name: str, value: float, unit: str, source: str) -> Figure:
    return Figure(name=name, value=value, unit=unit, origin=Origin.GIVEN, source=source)


def _assumed(name: str, value: float | None, unit: str, source: str) -> Figure:
    return Figure(name=name, value=value, unit=unit, origin=Origin.ASSUMED, source=source)
