"""What is known of a request, what the system is like, and what was decided."""

from dataclasses import dataclass, field
from enum import Enum


class Reason(Enum):
    """Why a step went as it did. One code for one cause; the order is that of the decision."""

    FORCED = "forced"
    PRIVACY_FLAG = "privacy_flag"
    PRIVACY_DETECTED = "privacy_detected"
    RESIDENCY = "residency"
    TOO_LARGE = "too_large"
    NOT_LOADED = "not_loaded"
    CIRCUIT_OPEN = "circuit_open"
    DEADLINE_TOO_SHORT = "deadline_too_short"
    DEADLINE_PASSED = "deadline_passed"
    EDGE_TOO_SLOW = "edge_too_slow"
    NEAREST_FIRST = "nearest_first"
    CONFIDENT = "confident"
    LOW_CONFIDENCE = "low_confidence"
    LAST_TIER = "last_tier"
    DEFERRAL_IMPOSSIBLE = "deferral_impossible"
    """Confidence was too low, and no farther tier may or can be asked."""
    UNCERTIFIED = "uncertified"
    TIER_FAILED = "tier_failed"
    FALLBACK = "fallback"
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
    region: str | None = None
    force_location: str | None = None
    """A tier's name."""
    deadline_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TierState:
    """One tier at this moment, read from memory: no probe is made for a request."""

    ready: bool = True
    circuit_open: bool = False
    rtt_p50_ms: float = 0.0
    rtt_p95_ms: float = 0.0


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


class Action(Enum):
    """What the engine does next."""

    ASK = "ask"
    ANSWER = "answer"
    GIVE_UP = "give_up"


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
