"""What a plan says beyond its options: money by month, how sure it is, and what would change it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgewise.records.costs import Costs
from edgewise.records.policy import PrivacyRules
from edgewise.records.project import CloudTier, EdgeTier, Objective, Workload

BY_DEFAULT = "the default"
"""Source of a number that nobody gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBasis:
    """All of a spec that a plan reads, so that a run can be planned again by itself."""

    name: str
    workload: Workload
    costs: Costs
    edge: EdgeTier
    cloud: CloudTier | None
    objective: Objective
    privacy: PrivacyRules
    sources: Mapping[str, str] = field(default_factory=dict)
    """Of numbers that the file does not give, by their place in it: a price table's words, or
    `BY_DEFAULT`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One line of a month's bill."""

    option: str
    line: str
    usd_per_month: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CashMonth:
    """What one month costs; month 0 is the purchase."""

    month: int
    usd: Mapping[str, float]
    """By option."""
    discounted_total_usd: Mapping[str, float]
    """By option: this month and all before it, at today's value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """What would have to change for edge and cloud to cost the same at this volume."""

    devices: float | None
    """Fleet above which the cloud is cheaper; `None`: no fleet is."""
    device_usd: float | None
    """Price of a device above which the cloud is cheaper."""
    payback_months: float | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The monthly cost of an option over all draws."""

    option: str
    cheapest_share: float
    """Of the draws: the probability that no other feasible option is cheaper."""
    mean_usd: float
    p5_usd: float
    p50_usd: float
    p95_usd: float
    mean_regret_usd: float
    """What is paid too much a month, on average, when this option is taken anyhow."""
    p95_regret_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """What one number does to the plan: a bar of the tornado, its indices and its worth."""

    name: str
    low: float
    """Its 5th percentile."""
    high: float
    low_usd: float
    """Monthly cost of the choice less that of the next best, with this number at `low`."""
    high_usd: float
    flips: bool
    """Whether another option is cheapest at one of the two."""
    first_order: float
    """Sobol: share of the variance that this number explains by itself."""
    total: float
    """Sobol: with all that it does together with others."""
    worth_usd_per_month: float
    """EVPPI: what knowing this number before the choice saves on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEvenSpread:
    """The break-even over all draws; `None`: so many have none that the percentile is never."""

    p5_requests: float | None
    p50_requests: float | None
    p95_requests: float | None
    never_share: float
    """Of the draws in which the cloud is never dearer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """What draws of every uncertain number say of the choice."""

    draws: int
    seed: int
    spreads: tuple[Spread, ...] = ()
    swings: tuple[Swing, ...] = ()
    """The widest first."""
    worth_usd_per_month: float = 0.0
    """EVPI: what knowing every number before the choice saves on average."""
    break_even: BreakEvenSpread | None = None
    """`None` without a cloud, and where its bill bends."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tradeoff:
    """An option in all that a choice weighs; lower is better in each."""

    option: str
    usd_per_month: float | None
    latency_p95_ms: float | None
    quality_loss: float | None
    joules_per_request: float | None
    far_share: float
    """Of the requests: those that the cloud is asked for."""
    exposed_share: float
    """Of the requests: those that leave the device, to a site's server too."""
    grams_per_month: float | None = None
    """CO2 equivalents of the energy."""
    beaten_by: tuple[str, ...] = ()
    """Options that are no worse in anything that both know, and better in something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity:
    """What people have to look after for an option. Counts beside the costs, never in them."""

    option: str
    artifact_kinds: float
    """Kinds of things that are built, signed and kept."""
    rollouts_per_month: float
    on_call_surface: float
    """Kinds of machines that somebody is woken for."""
    origin: str
    """`assumed`, or `given` where the spec says one of them."""
