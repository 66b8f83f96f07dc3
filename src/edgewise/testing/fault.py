"""What can be wrong between an engine and a tier."""

from dataclasses import dataclass
from enum import Enum


class FaultKind(Enum):
    """A way to be wrong, of the link or of the server behind it."""

    NONE = "none"
    LOSS = "loss"
    """The amount is the share of packets lost, in each direction."""
    RATE = "rate"
    """The amount is bytes per second."""
    DELAY = "delay"
    """The amount is seconds, in each direction."""
    CUT = "cut"
    """The near end of the cable is unplugged: the host knows it."""
    FAR_CUT = "far_cut"
    """The far end is: the host learns it by silence."""
    BLACK_HOLE = "black_hole"
    RESET = "reset"
    HANG = "hang"
    """The server takes the request and says nothing."""
    SLOW_LORIS = "slow_loris"
    """The amount is seconds per byte of the answer."""
    HALF_ANSWER = "half_answer"
    WRONG_JSON = "wrong_json"
    TOO_MANY = "too_many"
    """429; the amount is what `Retry-After` says, in seconds, where above 0."""
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    """503, with `Retry-After` as above."""


OF_SERVER = frozenset(
    {
        FaultKind.HANG,
        FaultKind.SLOW_LORIS,
        FaultKind.HALF_ANSWER,
        FaultKind.WRONG_JSON,
        FaultKind.TOO_MANY,
        FaultKind.SERVER_ERROR,
        FaultKind.UNAVAILABLE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault and how bad it is; made by tests, obeyed by networks."""

    kind: FaultKind = FaultKind.NONE
    amount: float = 0.0


CALM = Fault()
EVERY_FAULT = (
    Fault(kind=FaultKind.LOSS, amount=0.3),
    Fault(kind=FaultKind.RATE, amount=2_000.0),
    Fault(kind=FaultKind.DELAY, amount=0.1),
    Fault(kind=FaultKind.CUT),
    Fault(kind=FaultKind.FAR_CUT),
    Fault(kind=FaultKind.BLACK_HOLE),
    Fault(kind=FaultKind.RESET),
    Fault(kind=FaultKind.HANG),
    Fault(kind=FaultKind.SLOW_LORIS, amount=1.0),
    Fault(kind=FaultKind.HALF_ANSWER),
    Fault(kind=FaultKind.WRONG_JSON),
    Fault(kind=FaultKind.TOO_MANY, amount=1.0),
    Fault(kind=FaultKind.SERVER_ERROR),
    Fault(kind=FaultKind.UNAVAILABLE),
)
"""One of each kind."""
