"""What a plan shows beside its numbers: how late answers are, and what becomes of each request."""

import math
from dataclasses import dataclass
from itertools import pairwise

from edgewise.errors import InvalidRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyCurve:
    """The distribution of an option's latency, in points. Made by `plan`, drawn by the report."""

    option: str
    """`edge`, `cloud` or `hybrid`."""
    points: tuple[tuple[float, float], ...]
    """(share of the answers, ms that they are within), both rising."""
    is_measured: bool
    """Quantiles of timed answers; else lognormal through p50 and p95, which is assumed."""
    is_simulated: bool = False
    """Quantiles of the workload's trace, replayed; goes before `is_measured`."""
    arrival_cv2: float | None = 0.0
    """Squared coefficient of variation of the gaps between requests: the trace's, if simulated.

    Without a replay nobody waits for anybody, as if requests came evenly: 0."""

    def __post_init__(self) -> None:
        shares = all(0.0 <= share <= 1.0 for share, _ in self.points)
        times = all(0.0 <= ms < math.inf for _, ms in self.points)
        rising = all(a < b and low <= high for (a, low), (b, high) in pairwise(self.points))
        if not (self.points and shares and times and rising):
            what = "its points are not shares of 0..1 and times that rise with them"
            hint = "give (share, ms) from the fastest answers to the slowest"
            raise InvalidRecord(what, where=f"LatencyCurve of {self.option}", hint=hint)

    @property
    def origin(self) -> str:
        """Say how it came to be: `simulated`, `measured` or `assumed`."""
        if self.is_simulated:
            return "simulated"
        return "measured" if self.is_measured else "assumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionBin:
    """Requests of neighbouring confidence on the test split, all kept or all deferred."""

    confidence_low: float
    confidence_high: float
    n: int
    edge_right_share: float
    cloud_right_share: float | None
    """`None` without a cloud tier."""
    kept: bool

    def __post_init__(self) -> None:
        shares = (self.edge_right_share, self.cloud_right_share or 0.0)
        if not all(0.0 <= one <= 1.0 for one in shares) or self.n < 1:
            what = f"{self.n} requests of which {shares[0]:g} and {shares[1]:g} are right"
            hint = "give at least 1 request and shares of 0 to 1"
            raise InvalidRecord(what, where="DecisionBin", hint=hint)
        if not self.confidence_low <= self.confidence_high:
            what = f"confidence from {self.confidence_low:g} to {self.confidence_high:g}"
            raise InvalidRecord(what, where="DecisionBin", hint="give low <= high")
