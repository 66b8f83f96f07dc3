"""What a simulation has seen so far. Memory stays flat with the trace's length."""

from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgewise.simulate.samples import Sample

Floats = NDArray[np.float64]
_AT_ONCE = 8192
NO_WAIT_S = 1e-6
"""A wait up to this is rounding: times may be seconds of the epoch, which have no more digits."""


@dataclass(slots=True)
class TierTally:
    """Of one tier."""

    waits_s: Sample = field(default_factory=Sample)
    came: int = 0
    attempts: int = 0
    paid: int = 0
    """Attempts that cost their price."""
    paid_input_tokens: float = 0.0
    """Of those attempts; counted where tokens have a price."""
    paid_output_tokens: float = 0.0
    refused: int = 0
    waiting: int = 0
    service_s: float = 0.0
    served: int = 0
    final: int = 0
    servers: int | None = None
    """`None`: as many as are needed."""
    lines: int = 1
    """That the servers are parted among: each device has its own."""
    server_s: float | None = None
    """Time of all servers, where their number changes."""
    most_servers: int = 0
    """That there may be, where their number changes."""
    busiest_s: float = 0.0
    """Of the busiest line: a server's work, but for the last request's."""
    _unsaid_s: list[float] = field(default_factory=list)

    def note(self, waits_s: list[float], takes_s: float) -> None:
        """Note requests whose service begins together."""
        self.served += len(waits_s)
        self.service_s += takes_s
        for wait_s in waits_s:
            self.waiting += wait_s > NO_WAIT_S
        self._unsaid_s += waits_s
        if len(self._unsaid_s) >= _AT_ONCE:
            self.flush()

    def note_one(self, wait_s: float, takes_s: float) -> None:
        """Note a request whose service begins alone."""
        self.served += 1
        self.service_s += takes_s
        self.waiting += wait_s > NO_WAIT_S
        self._unsaid_s.append(wait_s)
        if len(self._unsaid_s) >= _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Bring what was noted one by one into the sample."""
        self.waits_s.add(np.array(self._unsaid_s))
        self._unsaid_s.clear()


@dataclass(slots=True)
class LateTally:
    """Of requests that were stored to be answered later."""

    waits_s: Sample = field(default_factory=Sample)
    """From storing to the answer."""
    stored: int = 0
    refused: int = 0
    """There was no room."""
    expired: int = 0
    given_up: int = 0
    _unsaid_s: list[float] = field(default_factory=list)

    def end(self, waited_s: float, *, answered: bool) -> None:
        """Note that one has its answer, or will have none."""
        if not answered:
            self.given_up += 1
            return
        self._unsaid_s.append(waited_s)
        if len(self._unsaid_s) >= _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Bring what was noted one by one into the sample."""
        self.waits_s.add(np.array(self._unsaid_s))
        self._unsaid_s.clear()


class Tally:
    """Counts and samples of one simulation; a context manager."""

    def __init__(self, tiers: tuple[str, ...]) -> None:
        self.tiers = {name: TierTally() for name in tiers}
        self.late = LateTally()
        self.may_wait = False
        """Whether a request could have been stored."""
        self.latencies_s = Sample()
        self.requests = 0
        self.unanswered = 0
        self.missed = 0
        self.reasons: Counter[str] = Counter()
        self.right = 0.0
        self.judged = 0
        self.first_s = 0.0
        self.last_s = 0.0
        self.longest_gap_s = 0.0
        self._squares = 0.0
        self._unsaid_s: list[float] = []

    def __enter__(self) -> "Tally":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.latencies_s.close()
        self.late.waits_s.close()
        for one in self.tiers.values():
            one.waits_s.close()

    def arrive(self, at_s: Floats) -> None:
        """Note when requests come."""
        if not self.requests:
            self.first_s = self.last_s = float(at_s[0])
        gaps = np.diff(at_s, prepend=self.last_s)
        self._squares += float((gaps * gaps).sum())
        self.longest_gap_s = max(self.longest_gap_s, float(gaps.max()))
        self.last_s = float(at_s[-1])
        self.requests += len(at_s)

    def answer(self, latency_s: float) -> None:
        """Note one answer."""
        self._unsaid_s.append(latency_s)
        if len(self._unsaid_s) >= _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Bring what was noted one by one into the samples."""
        self.latencies_s.add(np.array(self._unsaid_s))
        self._unsaid_s.clear()
        self.late.flush()
        for one in self.tiers.values():
            one.flush()

    @property
    def span_s(self) -> float:
        """Give the time from the first request to the last."""
        return self.last_s - self.first_s

    @property
    def gap_cv2(self) -> float | None:
        """Give the squared coefficient of variation of the gaps."""
        gaps = self.requests - 1
        if gaps < 1 or self.span_s <= 0.0:
            return None
        mean = self.span_s / gaps
        return max(0.0, self._squares / gaps / mean**2 - 1.0)
