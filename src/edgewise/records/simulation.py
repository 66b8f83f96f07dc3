"""What a replay of a trace through a policy gives: `edgewise simulate --json`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyQuantiles:
    """Of the requests that were answered, by linear interpolation; `None` where none was."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedQuality:
    """Share of right answers among those given, with a 95 % interval.

    `None` where nothing says which answers are right.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """Rows of the table of answers that were drawn from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueReport:
    """How requests waited for a tier's servers. Waits are of requests whose service began."""

    requests: int
    """How many came to the tier."""
    mean_wait_ms: float
    p95_wait_ms: float
    utilization: float
    """Work brought over what the servers can do in the trace's time; 1 or more never catches up.
    Of servers that come and go: over what those there were can do, or, where even the most of them
    are too few, over what those can do. 0 for a tier with as many servers as are needed."""
    share_waiting: float
    servers: int | None = None
    """`None`: as many as are needed."""
    mean_service_ms: float = 0.0
    stable: bool = True
    """Whether it catches up, at the rate of the gaps between its requests."""
    refused: int = 0
    formula_wait_ms: float | None = None
    """Mean wait by Erlang C: arrivals without bursts, gaps of CV² 1, and exponential service.
    Where each device has servers of its own, at the mean rate of one device."""
    busiest: float | None = None
    """Of the busiest device, where each has servers of its own: its work over what they can do, but
    for its last request's, which has all the time to come. From 1 on its line grows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalReport:
    """How requests came."""

    span_s: float
    """From the first to the last."""
    per_s: float | None
    """`None` where all came at once."""
    gap_cv2: float | None
    """Squared coefficient of variation of the gaps: 1 for Poisson arrivals, more for bursts."""
    longest_gap_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyReport:
    """Joules, where a profile says what a request takes."""

    joules: float | None = None
    """Of the tiers that are known."""
    by_tier: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LateReport:
    """What became of requests that no tier could answer when they came."""

    stored: int
    answered: int
    expired: int
    given_up: int
    refused: int
    """There was no room: they have no answer."""
    wait_p50_s: float | None = None
    """From storing to the answer; `None` where none was answered."""
    wait_p95_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """`edgewise simulate --json`. All but `wall_s` follows from the inputs and the seed."""

    requests: int
    wall_s: float
    """What the replay took on this machine."""
    latency_ms: LatencyQuantiles
    share: Mapping[str, float]
    """Of all requests, by the tier whose answer stood; `queued` where some were stored and answered
    later, `none` where some have no answer, such as those that were stored and expired."""
    cost_usd: float
    quality: SimulatedQuality
    deadline_miss_rate: float
    """Unanswered requests count as missed; 0 without a deadline."""
    queue: Mapping[str, QueueReport]
    reasons: Mapping[str, int]
    """Requests by the reasons of their steps; one request has several."""
    energy: EnergyReport = field(default_factory=EnergyReport)
    arrivals: ArrivalReport | None = None
    attempts: Mapping[str, int] = field(default_factory=dict)
    """How often each tier was asked."""
    deadline_ms: float | None = None
    policy_version: str = ""
    seed: int = 0
    method: str = ""
    """`flow` where no decision hangs on the state of a tier, else `events`."""
    what_if: tuple[str, ...] = ()
    unstable: tuple[str, ...] = ()
    """Tiers that are brought more work than their servers can do."""
    warnings: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    """What stands in for what was neither measured nor given."""
    late: LateReport | None = None
    """`None` where the policy stores nothing."""
    latency_curve: tuple[tuple[float, float], ...] = ()
    """(share of the answers, ms that they are within), at the shares that were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The tightest interval that the log allows; both ends are the same where it tells all."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReplay:
    """`edgewise replay --json`: what another policy would have done to the requests of a log."""

    requests: int
    known_share: float
    """Of requests whose way under the new policy follows from what the log holds."""
    unknown: Mapping[str, int]
    """The others, by what the log lacks."""
    share: Mapping[str, Bounds]
    """Of all requests, by the tier whose answer would stand; `none` for no answer."""
    share_before: Mapping[str, float]
    cost_usd: Bounds
    cost_usd_before: float
    changed: Bounds
    """Share of requests that another tier would have answered."""
    latency_ms: LatencyQuantiles
    """Of the requests whose way and whose tiers' times are known."""
    latency_known_share: float
    reasons: Mapping[str, int]
    """Of requests whose way is known."""
    policy_version: str = ""
    policy_versions_before: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
