"""What is known of the model and its certificate: measured, or assumed until it is."""

from dataclasses import dataclass
from itertools import pairwise

from edgewise.records import (
    Assumptions,
    Certificate,
    CertificateState,
    DecisionBin,
    Figure,
    Origin,
    Profile,
    Quality,
    TraceReplay,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a plan holds against the objective. `None`: neither measured nor assumed."""

    p50_ms: float | None
    p95_ms: float | None
    peak_memory_bytes: int | None
    size_bytes: int | None
    edge_loss: float | None
    hybrid_loss: float | None
    deferral_share: float
    deferral_rows: int = 0
    """That the share was measured on; 0: it is assumed."""
    promised: bool = True
    """Whether a certificate, or an assumption, stands behind the hybrid."""
    certificate: Certificate | None = None
    """What promises the hybrid's loss; `None` where it is assumed."""
    joules_per_request: float | None = None
    deferral_curve: tuple[tuple[float, float], ...] = ()
    """(share deferred, quality lost) of other thresholds: seen, not promised."""
    latency_quantiles: tuple[tuple[float, float], ...] = ()
    """(share, ms) of the edge's timed answers."""
    decisions: tuple[DecisionBin, ...] = ()
    threshold: float | None = None
    figures: tuple[Figure, ...] = ()
    replay: TraceReplay | None = None
    """What the workload's trace says of each option's latency; goes before every formula."""

    def joules_beyond(self, watts: float) -> float | None:
        """Give what an answer takes beyond what the device draws anyhow; `None`: nobody knows.

        A profile's counters are of whole packages, so that what these draw without work is in them.
        """
        if self.joules_per_request is None or self.p50_ms is None:
            return self.joules_per_request
        curve = self.latency_quantiles or ((0.0, self.p50_ms), (1.0, self.p50_ms))
        areas = [(b - a) * (low + high) / 2 for (a, low), (b, high) in pairwise(curve)]
        mean_ms = sum(areas) / (curve[-1][0] - curve[0][0])
        return max(0.0, self.joules_per_request - watts * mean_ms / 1000)

    def replayed_ms(self, option: str, share: float) -> float | None:
        """Give the time that a share of an option's answers is within; `None` without a replay."""
        one = None if self.replay is None else self.replay.of(option)
        return None if one is None else one.within_ms(share)


def measured(
    profile: Profile,
    certificate: Certificate,
    quality: Quality,
    deferral_curve: tuple[tuple[float, float], ...] = (),
    decisions: tuple[DecisionBin, ...] = (),
) -> Evidence:
    """Give what a run has measured. Of a certificate that is void nothing is kept.

    Peak memory is that of a process that answered the workload's own inputs; where the profile
    made its inputs up, it is called assumed.
    """
    source = f"{profile.n} answers on {profile.target.cpu}"
    void = certificate.state is CertificateState.VOID
    share = 1.0 if void else certificate.deferral_rate
    own = profile.inputs == "given"
    shapes = "VmHWM of a fresh process" if own else "of generated inputs, not the workload's own"
    rows = [
        _measured("edge latency p50", profile.p50_ms, "ms", source),
        _measured("edge latency p95", profile.p95_ms, "ms", source),
        Figure(
            name="peak memory",
            value=float(profile.peak_memory_bytes),
            unit="bytes",
            origin=Origin.MEASURED if own else Origin.ASSUMED,
            source=shapes,
        ),
        _measured("bundle size", float(profile.size_bytes), "bytes", "files of the bundle"),
        Figure(
            name="share deferred",
            value=share,
            unit="share",
            origin=Origin.ASSUMED if void else Origin.MEASURED,
            source="its certificate is void" if void else f"{certificate.n} calibration rows",
        ),
    ]
    joules = profile.energy.joules_per_request
    if joules is not None:
        rows.append(_measured("energy of an answer", joules, "J", profile.energy.how))
    cloud, hybrid = quality.cloud, quality.hybrid
    return Evidence(
        p50_ms=profile.p50_ms,
        p95_ms=profile.p95_ms,
        peak_memory_bytes=profile.peak_memory_bytes,
        size_bytes=profile.size_bytes,
        edge_loss=None if cloud is None else cloud - quality.edge,
        hybrid_loss=None if cloud is None or hybrid is None else cloud - hybrid,
        deferral_share=share,
        deferral_rows=0 if void else certificate.n,
        promised=certificate.state is CertificateState.CERTIFIED,
        certificate=certificate,
        joules_per_request=joules,
        deferral_curve=deferral_curve,
        latency_quantiles=profile.latency_quantiles,
        decisions=decisions,
        threshold=None if void else certificate.threshold,
        figures=tuple(rows),
    )


def assumed(one: Assumptions) -> Evidence:
    """Give what the spec assumes; without a share deferred, every request is."""
    named = (
        ("edge latency p50", one.p50_ms, "ms"),
        ("edge latency p95", one.p95_ms, "ms"),
        ("peak memory", one.peak_memory_bytes, "bytes"),
        ("bundle size", one.size_bytes, "bytes"),
        ("share deferred", one.deferral_share, "share"),
        ("quality lost by the edge", one.edge_quality_loss, "share"),
        ("quality lost by the hybrid", one.hybrid_quality_loss, "share"),
    )
    return Evidence(
        p50_ms=one.p50_ms,
        p95_ms=one.p95_ms,
        peak_memory_bytes=one.peak_memory_bytes,
        size_bytes=one.size_bytes,
        edge_loss=one.edge_quality_loss,
        hybrid_loss=one.hybrid_quality_loss,
        deferral_share=1.0 if one.deferral_share is None else one.deferral_share,
        promised=one.deferral_share is not None,
        figures=tuple(
            Figure(
                name=name,
                value=float(value),
                unit=unit,
                origin=Origin.ASSUMED,
                source="costs.assume",
            )
            for name, value, unit in named
            if value is not None
        ),
    )


def _measured(name: str, value: float, unit: str, source: str) -> Figure:
    return Figure(name=name, value=value, unit=unit, origin=Origin.MEASURED, source=source)
