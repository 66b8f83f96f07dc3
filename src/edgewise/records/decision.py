"""What is known of a request, what the system is like, and what was decided."""

from dataclasses import dataclass, field
from enum import Enum

from edgewise.records.device import DeviceState
from edgewise.records.generation import TokenUsage

LATE_TAG = "late"
"""Tag of a request that was stored, and answered or given up later."""


class Reason(Enum):
    """Why a step went as it did. One code for one cause; the order is that of the decision."""

    FORCED = "forced"
    PRIVACY_FLAG = "privacy_flag"
    PRIVACY_DETECTED = "privacy_detected"
    PRIVACY_REFUSED = "privacy_refused"
    """It holds a kind of personal data that no tier may see."""
    RESIDENCY = "residency"
    TOO_LARGE = "too_large"
    NOT_LOADED = "not_loaded"
    CIRCUIT_OPEN = "circuit_open"
    TOLD_TO_WAIT = "told_to_wait"
    """The tier asked by `Retry-After` to be left alone."""
    BUSY = "busy"
    """As many calls are under way as the tier takes."""
    BUDGET_SPENT = "budget_spent"
    DEADLINE_TOO_SHORT = "deadline_too_short"
    DEADLINE_PASSED = "deadline_passed"
    EDGE_TOO_SLOW = "edge_too_slow"
    DEVICE_STATE = "device_state"
    CERTIFICATE_VOID = "certificate_void"
    REDACTED = "redacted"
    """The tier that is asked gets placeholders in place of personal data."""
    PRE_ROUTED = "pre_routed"
    """The farthest tier was asked first: its predicted gain is worth it."""
    NEAREST_FIRST = "nearest_first"
    CONFIDENT = "confident"
    LOW_CONFIDENCE = "low_confidence"
    LAST_TIER = "last_tier"
    DEFERRAL_IMPOSSIBLE = "deferral_impossible"
    """Confidence was too low, and no farther tier may or can be asked."""
    UNCERTIFIED = "uncertified"
    TIER_FAILED = "tier_failed"
    HEDGED = "hedged"
    """A second tier was asked because the first was late."""
    RETRY = "retry"
    STAND_IN = "stand_in"
    """An equal tier is asked in place of one that failed."""
    FALLBACK = "fallback"
    QUEUED = "queued"
    NO_TIER_LEFT = "no_tier_left"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """What the decision may know of a request: never its payload."""

    request_id: str
    input_length: int
    """In tokens or pixels, as the task counts."""
    input_bytes: int
    private: bool = False
    detected: tuple[str, ...] = ()
    """Kinds of personal data that keep it on the device."""
    redacted: tuple[str, ...] = ()
    """Kinds that are hidden from every tier but the device."""
    refused: tuple[str, ...] = ()
    """Kinds for which it is not answered."""
    region: str | None = None
    force_location: str | None = None
    """A tier's name."""
    deadline_ms: float | None = None
    caller: str = ""
    """Who pays; an empty name is one more caller."""
    allow_late: bool = False
    """Whether an answer may come after the call, from the queue."""
    idempotent: bool = True
    """Whether it does no harm when two tiers answer: else nothing is retried or raced."""
    gain: float | None = None
    """Quality that the farthest tier is predicted to add; `None` without a pre-router."""
    input_tokens: int = 0
    """For text generation: no more than this many; 0 for other tasks."""
    output_tokens: int = 0
    """For text generation: the most that may be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierState:
    """One tier at this moment, read from memory: no probe is made for a request."""

    ready: bool = True
    circuit_open: bool = False
    rest_ms: float = 0.0
    """How much longer the tier asked to be left alone."""
    busy: bool = False
    in_flight: int = 0
    budget_left: bool = True
    """Whether the money that a call may cost can be reserved."""
    retries_left: bool = True
    rtt_p50_ms: float = 0.0
    rtt_p95_ms: float = 0.0
    ms_per_byte: float = 0.0
    """What each byte of the input adds: one over the link's bandwidth."""
    loss_share: float = 0.0
    """Of calls that broke or did not come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemState:
    """What holds for all tiers at this moment."""

    device: DeviceState = field(default_factory=DeviceState)
    certificate_void: bool = False
    threshold: float | None = None
    """The nearest tier's threshold while the certificate is void; `None` keeps nothing."""
    hedges_left: bool = True
    queue_open: bool = False
    """Whether a request that may be answered late can be stored."""


class Outcome(Enum):
    """How an attempt at a tier ended."""

    ANSWERED = "answered"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One tier was asked."""

    tier: str
    outcome: Outcome
    latency_ms: float
    cost_usd: float = 0.0
    confidence: float | None = None
    error: str = ""
    """The class of the failure, never its text: that may hold payload."""
    passing: bool = False
    """Whether the same call may succeed a moment later."""
    usage: TokenUsage | None = None
    """Of a text model."""


class Action(Enum):
    """What the engine does next."""

    ASK = "ask"
    ANSWER = "answer"
    GIVE_UP = "give_up"
    QUEUE = "queue"
    """Store the request and answer it when a tier is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """A second tier to race when the first has not answered after a while."""

    tier: str
    after_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next thing to do for a request. Made by `decide`, carried out by the engine."""

    action: Action
    tier: str | None
    """The tier to ask, or the one whose answer stands."""
    allowed: tuple[str, ...]
    """The privacy set: no path may use another tier."""
    reasons: tuple[Reason, ...]
    timeout_ms: float | None = None
    pause_ms: float = 0.0
    """Wait at least this long before asking."""
    jitter_ms: float = 0.0
    """And at most this much longer, at random, so that callers do not come back together."""
    hedge: Hedge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happened to one request, for the log: no payload, no probabilities."""

    request_id: str
    at_s: float
    """Seconds since 1970, UTC."""
    policy_version: str
    facts: RequestFacts
    allowed: tuple[str, ...]
    reasons: tuple[Reason, ...]
    attempts: tuple[Attempt, ...]
    location: str | None
    """As the result says it; `None` when nobody answered."""
    latency_ms: float
    cost_usd: float
    confidence: float | None = None
    error: str = ""
    certificate_state: str = ""
    tags: tuple[str, ...] = field(default=())
    """What else was known at the time, such as `drift_length`: inputs that differ; `late` of a
    request that was stored, whose attempts are those of the time when it was sent."""
