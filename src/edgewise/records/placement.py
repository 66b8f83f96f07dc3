"""Where each workload runs, what binds, and, where nothing is feasible, what would have to give."""

from dataclasses import dataclass
from enum import Enum

from edgewise.records.plan import Figure, Origin


class Limit(Enum):
    """A kind of constraint: of a workload, then of a device class, of a pool and of the whole."""

    QUALITY = "quality"
    LATENCY = "latency"
    KINDS = "kinds"
    REGIONS = "regions"
    AVAILABILITY = "availability"
    WORKLOAD_BUDGET = "workload_budget"
    MEMORY = "memory"
    STORAGE = "storage"
    UNITS = "units"
    BUDGET = "budget"
    ENERGY = "energy"


class PlacementMethod(Enum):
    """How a placement was found."""

    ENUMERATION = "enumeration"
    """Nothing is shared: each workload takes the cheapest way by itself."""
    PROGRAMME = "programme"
    """By the mixed-integer programme."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """One constraint of a problem."""

    limit: Limit
    subject: str = ""
    """The workload, device class or pool; empty for the whole problem's budget and energy."""
    text: str = ""
    """In words, with the number and its unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A share of a workload's traffic and the way that it goes."""

    workload: str
    models: tuple[str, ...]
    """The near one first; two where requests are handed over."""
    pools: tuple[str, ...]
    far_share: float
    """Share of these requests that goes on to the second pool."""
    share: float
    reserved_share: float
    """Share of the workload's peak that machines are kept for, to stand in for other tiers."""
    requests_per_month: float
    usd_per_month: float
    """Of the requests and their energy, without machines."""
    joules_per_month: float
    latency_p95_ms: float
    """At the utilisation and the longest service time that its pools are planned for."""
    quality_low: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """A pool that is used."""

    pool: str
    units: int | None
    """`None` where it is elastic."""
    models: tuple[str, ...]
    utilization: float | None
    """At the planned rate; `None` where it is elastic."""
    planned_utilization: float | None
    """What latencies are planned for."""
    residual_ms: float | None
    """Longest residual service time that latencies are planned for."""
    memory_bytes: int
    """Of one machine that holds all models of the pool; where elastic, of the largest model."""
    memory_origin: Origin
    usd_per_month: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A constraint that is at its limit, or that keeps a cheaper way shut."""

    constraint: Constraint
    text: str
    saves_usd_per_month: float | None = None
    """What it would save to drop the constraint; `None` where that was not worked out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """By how much one constraint gives way."""

    constraint: Constraint
    before: float
    after: float
    unit: str
    points: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """`placement.json`."""

    name: str
    feasible: bool
    usd_per_month: float | None
    bound_usd_per_month: float | None
    """No placement is cheaper than this."""
    gap_share: float | None
    """How far the cost may lie above the optimum, as a share of the cost."""
    method: PlacementMethod
    joules_per_month: float | None = None
    assignments: tuple[Assignment, ...] = ()
    pools: tuple[PoolUse, ...] = ()
    bindings: tuple[Binding, ...] = ()
    conflict: tuple[Constraint, ...] = ()
    """The fewest constraints that no placement meets together."""
    relaxation: tuple[Relaxation, ...] = ()
    relaxation_points: float | None = None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """Numbers that look like another unit, and what has no price."""
    figures: tuple[Figure, ...] = ()


class PlacementAim(Enum):
    """What a placement may be judged by; each is better when lower."""

    USD = "usd_per_month"
    JOULES = "joules_per_month"
    LATENCY = "latency_p95_ms"
    QUALITY_LOSS = "quality_loss"
    EXPOSURE = "exposed_share"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementPoint:
    """One placement that no other beats in every aim."""

    usd_per_month: float
    joules_per_month: float
    latency_p95_ms: float
    """Mean over requests of their way's p95, without queues."""
    quality_loss: float
    """Mean over requests of one minus the lower end of their quality."""
    exposed_share: float
    """Share of the requests that any tier but the device sees."""
    assignments: tuple[Assignment, ...]
    pools: tuple[PoolUse, ...]
