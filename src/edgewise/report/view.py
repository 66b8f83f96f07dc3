"""All that the page shows."""

from dataclasses import dataclass

from edgewise.records import Certificate, ConfidenceMap, Plan, Profile, RunSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """A run's records, and its answers on the test split. Made by the pipeline."""

    run: RunSummary
    task: str
    max_quality_loss: float
    confidence_level: float
    requests_per_month: float
    profile: Profile
    certificate: Certificate
    plan: Plan
    confidence_map: ConfidenceMap
    confidence: tuple[float, ...]
    """Calibrated, on the test split."""
    edge_right: tuple[bool, ...]
    cloud_right: tuple[bool, ...] | None
    reliability: tuple[tuple[float, float, int], ...]
    """(mean confidence, accuracy, n) by bin."""
