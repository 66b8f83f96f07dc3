"""Requests that wait for the network: the rules, what waits and how it ended."""

import math
from dataclasses import dataclass
from enum import Enum

from edgewise.errors import InvalidRecord
from edgewise.records.policy import ApiKey


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineRules:
    """How much may wait for the network, and how long."""

    path: str
    """The queue's file; it is made when it is not there. One process uses it at a time."""
    max_count: int = 10_000
    """Requests and untaken answers together."""
    max_bytes: int = 67_108_864
    """Of payloads and untaken answers, with room kept for each answer to come."""
    max_answer_bytes: int = 4_096
    """Room kept for the answer of each request. A larger one is kept while `max_bytes` allows."""
    max_age_s: float = 86_400.0
    """A request that has waited this long ends as expired."""
    keep_answers_s: float = 604_800.0
    """An answer that nobody takes is dropped after this long."""
    max_tries: int = 8
    """A request that the remote tier failed on this often ends as given up. A link that is down
    counts no try."""
    key: ApiKey | None = None
    """Where the secret is read from that seals the queue; `None` leaves it readable."""

    def __post_init__(self) -> None:
        least = min(self.max_count, self.max_bytes, self.max_answer_bytes, self.max_tries)
        shortest_s = min(self.max_age_s, self.keep_answers_s)
        if least < 1 or not shortest_s > 0.0 or not math.isfinite(shortest_s):
            raise InvalidRecord(
                "a limit is not above 0", where="OfflineRules", hint="leave it out for its default"
            )


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
