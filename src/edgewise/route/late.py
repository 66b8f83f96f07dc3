"""What goes into the offline queue and what comes out. In memory alone: they hold payload."""

from dataclasses import dataclass
from enum import Enum

from edgewise.errors import InvalidRecord

LOOK_EVERY_S = 0.5
"""While something waits, it is looked this often whether a tier is back."""
AT_ONCE = 4
"""So many are then under way together."""
MOST_HELD = 256
"""Requests that one drain passes over; the next one goes on behind them."""
HELD_REST_S = 5.0
"""Until the next drain, where one has passed over some."""


class Admission(Enum):
    """Whether a request was taken into the queue, and why not."""

    QUEUED = "queued"
    KNOWN = "known"
    """A request of this id is already waiting, answered or done: nothing is sent twice."""
    ID_IN_USE = "id_in_use"
    """Another request waits under this id."""
    NO_REMOTE_TIER = "no_remote_tier"
    """No tier that may see the request is one that the queue sends to."""
    TOO_LARGE = "too_large"
    """It would not fit into an empty queue."""
    QUEUE_FULL = "queue_full"
    NO_STORAGE = "no_storage"
    """The disk is full or failed."""

    @property
    def accepted(self) -> bool:
        """Say whether the request will be answered by `take_answer`."""
        return self in (Admission.QUEUED, Admission.KNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class LateRequest:
    """A request that waits. Made by the engine, sent by whoever drains the queue."""

    request_id: str
    """Also the idempotency key that the remote tier gets."""
    payload: bytes
    allowed: tuple[str, ...]
    """The privacy set: from the queue, without the tiers that it does not send to."""
    max_age_s: float | None = None
    """Shorter than the rules' where the caller wants it so."""
    tries: int = 0
    caller: str = ""
    """Whose it is, and so how it ends; empty where it is nobody's alone."""

    def __post_init__(self) -> None:
        name = self.request_id
        if not (0 < len(name) <= 200 and name.isascii() and name.isprintable()):
            # Not shown: a caller may have put anything there.
            what = "the id can't be an HTTP header"
            hint = "give 1 to 200 printable ASCII characters"
            raise InvalidRecord(what, where="LateRequest.request_id", hint=hint)
        if self.max_age_s is not None and not self.max_age_s > 0.0:
            what = f"not above 0: {self.max_age_s}"
            raise InvalidRecord(what, where="LateRequest.max_age_s", hint="leave it out")


class LateOutcome(Enum):
    """How a request that waited ended."""

    ANSWERED = "answered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    """The remote tier says that the request itself is wrong."""
    GAVE_UP = "gave_up"
    """The remote tier failed on it too often."""
    NO_REMOTE_TIER = "no_remote_tier"
    """The tiers that may see it are no longer ones that the queue sends to."""
    ANSWER_TOO_LARGE = "answer_too_large"
    """The answer does not fit into the queue."""
    DAMAGED = "damaged"
    """The stored request is not what was put there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateAnswer:
    """The end of a request that waited. Made by the queue, taken by the caller once."""

    request_id: str
    outcome: LateOutcome
    body: bytes = b""
    """What the remote tier answered; empty unless the outcome is `answered`."""
    error: str = ""
    """The class of the failure, never its text: that may hold payload."""
    caller: str = ""
    """Whose request it was, as the queue knows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """How full the queue is."""

    waiting: int
    answered: int
    """Answers that nobody has taken yet."""
    used_bytes: int
    """As `OfflineRules.max_bytes` counts."""
    dropped: int
    """Answers dropped since the file was made, because nobody took them in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What one emptying of the queue did."""

    answered: int
    ended: int
    """Ended without an answer: rejected, given up."""
    stopped: str = ""
    """The class of the failure that ended it early; empty when nothing was left to send."""
    retry_after_s: float | None = None
    """How long the remote tier asked to be left alone, where it said so."""
    held: int = 0
    """Passed over: they wait for something of their own, such as their caller's money."""
