"""One request on its way through a replay, and one call of a tier for it."""

from collections.abc import Hashable
from dataclasses import dataclass

from edgewise.records import Attempt, RequestFacts
from edgewise.simulate.servers import Job
from edgewise.simulate.storing import Late


@dataclass(slots=True, eq=False)
class Call:
    """A tier is asked for a request."""

    tier: str
    began_s: float
    number: int
    """What its monitor calls it; below 0 it is still in its pause."""
    job: Job | None = None
    open: bool = True
    unreachable: bool = False
    """It met an outage."""


class Run:
    """One request on its way. Made by `Arrivals`, carried by `Events`."""

    __slots__ = (
        "asked",
        "attempts",
        "began_s",
        "broke",
        "calls",
        "chance",
        "device",
        "facts",
        "input_tokens",
        "kind",
        "late",
        "number",
        "output_tokens",
        "reasons",
        "row",
        "tried",
        "turn",
        "wrong",
    )

    def __init__(self, number: int, began_s: float, facts: RequestFacts, kind: Hashable) -> None:
        self.number = number
        self.began_s = began_s
        self.facts = facts
        self.kind = kind
        """What of its facts a decision may hang on."""
        self.attempts: list[Attempt] = []
        self.calls: dict[str, Call] = {}
        self.asked: set[str] = set()
        """Tiers whose chance is used up."""
        self.broke: set[str] = set()
        self.reasons: dict[str, None] = {}
        self.turn = 0
        self.row = 0
        self.wrong = False
        self.chance: tuple[tuple[float, float], ...] = ()
        """Service and round trip of the first call of each tier, in seconds."""
        self.device: str | None = None
        self.input_tokens = self.output_tokens = 0.0
        self.late: Late | None = None
        """What it is sent for, where it waited."""
        self.tried = False
        """A tier that was there failed on it."""

    def working_ms(self, now_s: float) -> dict[str, float]:
        """Give for how long each tier that is asked has been working; 0 for one in its pause."""
        return {
            name: 0.0 if call.number < 0 else (now_s - call.began_s) * 1000
            for name, call in self.calls.items()
        }
