"""Cost and feasibility of edge, cloud and hybrid; the cheapest feasible one is recommended."""

import numpy as np

from edgewise.plan.breakeven import BreakEven, break_even
from edgewise.plan.latency import mixture_p95
from edgewise.records import (
    Certificate,
    CertificateState,
    CostPoint,
    Figure,
    MonthlyUsd,
    Option,
    Origin,
    Plan,
    Profile,
    ProjectSpec,
    Quality,
)
from edgewise.units import format_bytes, format_ms, format_usd

_CURVE_POINTS = 41


def plan(spec: ProjectSpec, profile: Profile, certificate: Certificate, quality: Quality) -> Plan:
    """Hold each way to serve the workload against the objective and price it.

    Costs come from the spec's prices, latencies from the profile and the spec's round trip,
    quality from the test split, the deferral share from the certificate.
    """
    edge_cost = _break_even(spec, 0.0)
    deferral = certificate.deferral_rate
    options = [_edge(spec, profile, quality, edge_cost)]
    if spec.cloud is not None:
        options += [
            _cloud(spec),
            _hybrid(spec, profile, certificate, quality, edge_cost),
        ]
    feasible = [one for one in options if one.feasible and one.monthly_usd is not None]
    choice = min(feasible, key=lambda one: one.monthly_usd or 0.0) if feasible else None
    price = {one.name: one.monthly_usd for one in options}
    shared = deferral if choice is not None and choice.name == "hybrid" else 0.0
    crossing = _break_even(spec, shared).requests_per_month if spec.cloud is not None else None
    return Plan(
        recommendation=_sentence(spec, choice, price, options),
        choice=choice.name if choice else None,
        feasible=choice is not None,
        monthly_usd=MonthlyUsd(
            edge=edge_cost.monthly_edge_usd, cloud=price.get("cloud"), hybrid=price.get("hybrid")
        ),
        break_even_requests_per_month=crossing,
        reasons=tuple(f"{one.name}: {reason}" for one in options for reason in one.reasons),
        options=tuple(options),
        figures=_figures(spec, profile, certificate),
        curve=_curve(spec, edge_cost, deferral, crossing),
    )


def _break_even(spec: ProjectSpec, deferral: float) -> BreakEven:
    work = spec.workload
    price = spec.cloud.usd_per_request if spec.cloud is not None else 0.0
    return break_even(
        devices=work.devices,
        device_usd=work.device_usd,
        lifetime_months=work.horizon_months,
        opex_usd_per_device_month=work.usd_per_device_month,
        watts=work.watts,
        usd_per_kwh=work.usd_per_kwh,
        usd_per_request=price,
        edge_usd_per_request=price * deferral,
        fixed_usd=work.fixed_usd,
    )


def _limits(spec: ProjectSpec, profile: Profile) -> list[str]:
    reasons = []
    memory, storage = spec.edge.memory_bytes, spec.edge.storage_bytes
    if memory is not None and profile.peak_memory_bytes > memory:
        found, limit = format_bytes(profile.peak_memory_bytes), format_bytes(memory)
        reasons.append(f"memory binds: it peaks at {found} of {limit}")
    if storage is not None and profile.size_bytes > storage:
        found, limit = format_bytes(profile.size_bytes), format_bytes(storage)
        reasons.append(f"storage binds: {found} of {limit}")
    return reasons


def _late(spec: ProjectSpec, p95_ms: float) -> list[str]:
    limit = spec.objective.latency_p95_ms
    if limit is None or p95_ms <= limit:
        return []
    return [f"latency binds: p95 is {format_ms(p95_ms)}, and {format_ms(limit)} is asked"]


def _edge(spec: ProjectSpec, profile: Profile, quality: Quality, cost: BreakEven) -> Option:
    loss = None if quality.cloud is None else quality.cloud - quality.edge
    reasons = _limits(spec, profile) + _late(spec, profile.p95_ms)
    allowed = spec.objective.max_quality_loss
    if loss is not None and loss > allowed:
        reasons.append(
            f"quality binds: it loses {loss:.1%} against the cloud, and {allowed:.1%} is allowed"
        )
    return Option(
        name="edge",
        feasible=not reasons,
        monthly_usd=cost.monthly_edge_usd,
        latency_p95_ms=profile.p95_ms,
        quality_loss=loss,
        reasons=tuple(reasons),
    )


def _cloud(spec: ProjectSpec) -> Option:
    assert spec.cloud is not None
    reasons = _late(spec, spec.cloud.rtt_p95_ms)
    if spec.privacy.detect or spec.privacy.residency:
        reasons.append("privacy binds: some requests may not leave the device")
    return Option(
        name="cloud",
        feasible=not reasons,
        monthly_usd=spec.workload.requests_per_month * spec.cloud.usd_per_request,
        latency_p95_ms=spec.cloud.rtt_p95_ms,
        quality_loss=0.0,
        reasons=tuple(reasons),
    )


def _hybrid(
    spec: ProjectSpec,
    profile: Profile,
    certificate: Certificate,
    quality: Quality,
    cost: BreakEven,
) -> Option:
    assert spec.cloud is not None
    deferral = certificate.deferral_rate
    p95 = mixture_p95(
        (profile.p50_ms, profile.p95_ms), (spec.cloud.rtt_p50_ms, spec.cloud.rtt_p95_ms), deferral
    )
    reasons = _limits(spec, profile) + _late(spec, p95)
    if certificate.state is not CertificateState.CERTIFIED:
        reasons.append(
            "quality binds: there is no certificate, so every answer that may leave is deferred"
        )
    loss = None
    if quality.cloud is not None and quality.hybrid is not None:
        loss = quality.cloud - quality.hybrid
    calls = spec.workload.requests_per_month * deferral
    return Option(
        name="hybrid",
        feasible=not reasons,
        monthly_usd=cost.monthly_edge_usd + calls * spec.cloud.usd_per_request,
        latency_p95_ms=p95,
        quality_loss=loss,
        reasons=tuple(reasons),
    )


def _sentence(
    spec: ProjectSpec, choice: Option | None, price: dict[str, float | None], options: list[Option]
) -> str:
    if choice is None:
        first = next((f"{one.name}: {one.reasons[0]}" for one in options if one.reasons), "")
        return f"Nothing meets the objective ({first})."
    volume = f"{spec.workload.requests_per_month:,.0f} requests a month"
    cost = format_usd(choice.monthly_usd or 0.0)
    cloud = price.get("cloud")
    if choice.name == "cloud":
        costs = f"at {volume} it costs {cost} a month"
        return f"Use the cloud: {costs}, the least of what meets the objective."
    how = "Run on the edge" if choice.name == "edge" else "Run hybrid"
    if cloud is None:
        return f"{how}: at {volume} it costs {cost} a month."
    saved = cloud - (choice.monthly_usd or 0.0)
    compared = (
        f"{format_usd(abs(saved))} {'less' if saved >= 0 else 'more'} than always asking the cloud"
    )
    return f"{how}: at {volume} it costs {cost} a month, {compared}."


def _curve(
    spec: ProjectSpec, cost: BreakEven, deferral: float, crossing: float | None
) -> tuple[CostPoint, ...]:
    centre = max(spec.workload.requests_per_month, 1.0)
    span = [centre, crossing] if crossing else [centre]
    low, high = min(span) / 10, max(span) * 10
    price = spec.cloud.usd_per_request if spec.cloud is not None else None
    points = np.geomspace(max(low, 1.0), max(high, 10.0), _CURVE_POINTS).tolist()
    edge = cost.monthly_edge_usd
    return tuple(
        CostPoint(
            requests_per_month=volume,
            edge=edge,
            cloud=None if price is None else volume * price,
            hybrid=None if price is None else edge + volume * deferral * price,
        )
        for volume in points
    )


def _figures(spec: ProjectSpec, profile: Profile, certificate: Certificate) -> tuple[Figure, ...]:
    work, measured, given = spec.workload, Origin.MEASURED, Origin.GIVEN
    source = f"{profile.n} answers on {profile.target.cpu}"
    rows: list[tuple[str, float | None, str, Origin, str]] = [
        ("edge latency p50", profile.p50_ms, "ms", measured, source),
        ("edge latency p95", profile.p95_ms, "ms", measured, source),
        (
            "peak memory",
            float(profile.peak_memory_bytes),
            "bytes",
            measured,
            "VmHWM of a fresh process",
        ),
        ("bundle size", float(profile.size_bytes), "bytes", measured, "files of the bundle"),
        (
            "share deferred",
            certificate.deferral_rate,
            "share",
            measured,
            f"{certificate.n} calibration rows",
        ),
        ("requests", work.requests_per_month, "per month", given, "workload"),
        ("devices", float(work.devices), "devices", given, "workload"),
        ("device price", work.device_usd, "USD", given, "workload"),
        ("written off over", float(work.horizon_months), "months", given, "workload"),
        ("running cost", work.usd_per_device_month, "USD per device and month", given, "workload"),
        ("hours", 730.0, "per month", Origin.ASSUMED, "always on"),
    ]
    if spec.cloud is not None:
        rows += [
            ("cloud price", spec.cloud.usd_per_request, "USD per request", given, "tiers.cloud"),
            ("cloud round trip p50", spec.cloud.rtt_p50_ms, "ms", given, "tiers.cloud"),
            ("cloud round trip p95", spec.cloud.rtt_p95_ms, "ms", given, "tiers.cloud"),
            ("shape of latencies", None, "lognormal", Origin.ASSUMED, "for the hybrid's p95"),
        ]
    return tuple(
        Figure(name=name, value=value, unit=unit, origin=origin, source=where)
        for name, value, unit, origin, where in rows
    )
