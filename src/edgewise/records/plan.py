"""Where a workload should run, what it costs, and how sure that is."""

from dataclasses import dataclass, field
from enum import Enum

from edgewise.records.planning import (
    CashMonth,
    Certainty,
    Complexity,
    CostLine,
    Flip,
    PlanBasis,
    Tradeoff,
)
from edgewise.records.replayed import TraceReplay
from edgewise.records.showing import DecisionBin, LatencyCurve


class Origin(Enum):
    """How a number came to be."""

    MEASURED = "measured"
    GIVEN = "given"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number in a plan with its unit and its origin."""

    name: str
    value: float | None
    unit: str
    origin: Origin
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyUsd:
    """Cost a month of each way to serve the workload; `None` where it can't be served so."""

    edge: float
    cloud: float | None
    hybrid: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way to serve the workload, held against the objective."""

    name: str
    """`edge`, `cloud` or `hybrid`."""
    feasible: bool
    monthly_usd: float | None
    latency_p95_ms: float | None
    quality_loss: float | None
    """Against always asking the cloud, on the test split."""
    reasons: tuple[str, ...] = ()
    """Which constraint binds, with both numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPoint:
    """Monthly cost at one volume, for the plot."""

    requests_per_month: float
    edge: float
    cloud: float | None
    hybrid: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`plan.json`."""

    recommendation: str
    choice: str | None
    feasible: bool
    monthly_usd: MonthlyUsd
    break_even_requests_per_month: float | None
    """Above it, `own_option` is cheaper than cloud."""
    reasons: tuple[str, ...]
    options: tuple[Option, ...] = ()
    figures: tuple[Figure, ...] = ()
    curve: tuple[CostPoint, ...] = field(default=())
    warnings: tuple[str, ...] = ()
    """What looks wrong in the numbers, or is neither measured nor assumed."""
    bill: tuple[CostLine, ...] = ()
    cash: tuple[CashMonth, ...] = ()
    own_option: str = "edge"
    """The cheapest feasible one of edge and hybrid; edge where neither is feasible."""
    flip: Flip | None = None
    """At this volume; `None` without a cloud."""
    certainty: Certainty | None = None
    tradeoffs: tuple[Tradeoff, ...] = ()
    complexity: tuple[Complexity, ...] = ()
    deferral_curve: tuple[tuple[float, float], ...] = ()
    """(share deferred, quality lost against the cloud) of other thresholds, on the test split."""
    latency: tuple[LatencyCurve, ...] = ()
    """Of each option whose times are measured, given or assumed."""
    decisions: tuple[DecisionBin, ...] = ()
    """From the least sure request of the test split to the surest; empty before a run."""
    threshold: float | None = None
    """From which confidence on the edge's answer is kept; the certificate's."""
    replay: TraceReplay | None = None
    """What the workload's trace says; `None` where there is none."""
    basis: PlanBasis | None = None
    """What it was planned from."""
