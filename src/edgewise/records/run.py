"""What a build-time run ends in: `edgewise run --json` and the numbers behind the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from edgewise.records.bundle import Candidate
from edgewise.records.certificate import Certificate
from edgewise.records.plan import MonthlyUsd


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSummary:
    """The bundle that ships."""

    path: str
    sha256: str
    size_bytes: int
    runtime: str
    recipe: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSummary:
    """The model it came from."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSummary:
    """The profile's headline."""

    p50_ms: float
    p95_ms: float
    peak_memory_bytes: int
    cold_start_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A share with its 95 % Wilson interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The metric on the test split."""

    metric: str
    edge: float
    cloud: float | None
    hybrid: float | None
    source: float
    n: int
    edge_interval: Interval | None = None
    cloud_interval: Interval | None = None
    hybrid_interval: Interval | None = None
    deferral_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSummary:
    """The certificate's headline."""

    state: str
    loss: str
    alpha: float
    delta: float
    n: int
    threshold: float | None
    deferral_rate: float
    bound: float | None
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(cls, certificate: Certificate) -> Self:
        """Give the headline of a certificate."""
        return cls(
            state=certificate.state.value,
            loss=certificate.loss.value,
            alpha=certificate.alpha,
            delta=certificate.delta,
            n=certificate.n,
            threshold=certificate.threshold,
            deferral_rate=certificate.deferral_rate,
            bound=certificate.bound,
            reasons=certificate.reasons,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """The plan's headline."""

    recommendation: str
    feasible: bool
    monthly_usd: MonthlyUsd
    break_even_requests_per_month: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """`edgewise run --json`."""

    name: str
    out: str
    bundle: BundleSummary
    source: SourceSummary
    profile: ProfileSummary
    quality: Quality
    certificate: CertificateSummary
    plan: PlanSummary
    candidates: tuple[Candidate, ...] = ()
    done: tuple[str, ...] = ()
    """Stages that did work."""
    cached: tuple[str, ...] = ()
    """Stages whose result was there already."""
    parts_sha256: Mapping[str, str] = field(default_factory=dict)
    """Of the files beside the bundle, by name."""
    summary_sha256: str = ""
    """Of `run.json` itself: the digest of this record with this field empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Edge and cloud on one split, in its order: what certificates and plots are made of."""

    labels: tuple[str, ...]
    edge_labels: tuple[str, ...]
    edge_probabilities: tuple[tuple[float, ...], ...]
    cloud_labels: tuple[str, ...] | None = None
    source_labels: tuple[str, ...] = ()
    groups: tuple[str, ...] = field(default=())
