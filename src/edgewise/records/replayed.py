"""What a plan learns from the workload's trace of requests: each option, replayed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from edgewise.errors import InvalidRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionReplay:
    """One way to serve the workload, as the simulator saw it. Made by `simulate`, read by `plan`.

    No points: no request had an answer.
    """

    option: str
    """`edge`, `cloud`, `hybrid`, or the hybrid at another threshold, such as `hybrid at 10%`."""
    points: tuple[tuple[float, float], ...] = ()
    """(share of the answers, ms that they are within) at `LATENCY_SHARES`."""
    unstable: Mapping[str, float] = field(default_factory=dict)
    """Tiers that are brought more work than they can do, and how many times as much."""
    assumed: tuple[str, ...] = ()
    """What stands in for what was neither measured nor given."""

    def __post_init__(self) -> None:
        shares = all(0.0 <= share <= 1.0 for share, _ in self.points)
        times = all(0.0 <= ms < math.inf for _, ms in self.points)
        rising = all(a < b and low <= high for (a, low), (b, high) in pairwise(self.points))
        if not (shares and times and rising):
            what = "its points are not shares of 0..1 and times that rise with them"
            hint = "give (share, ms) from the fastest answers to the slowest"
            raise InvalidRecord(what, where=f"OptionReplay of {self.option}", hint=hint)

    def within_ms(self, share: float) -> float | None:
        """Give the time that a share of `LATENCY_SHARES` is within; `None` without answers."""
        return dict(self.points).get(share)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceReplay:
    """A trace, and what became of it by each option. Made by `simulate`, read by `plan`."""

    trace: str
    """The file's name."""
    requests: int
    span_s: float
    """From the first to the last."""
    per_s: float | None
    """Requests a second from the first to the last; `None` where all came at once."""
    gap_cv2: float | None
    """Squared coefficient of variation of the gaps: 1 for Poisson arrivals, more for bursts."""
    peak_ratio: float | None
    """The busiest hour over the mean; `None` where the trace is shorter than two hours."""
    input_tokens: float
    """Of a request, on average."""
    output_tokens: float
    options: tuple[OptionReplay, ...] = ()
    private_share: float = 0.0
    """Of the requests, by the column `privacy`: those that may not leave the device."""
    warnings: tuple[str, ...] = ()
    """What of the file looks broken, or in another unit."""

    def __post_init__(self) -> None:
        if self.peak_ratio is not None and not 1.0 <= self.peak_ratio < math.inf:
            what = f"the busiest hour is {self.peak_ratio:g} times the mean"
            hint = "give a ratio of at least 1, or none"
            raise InvalidRecord(what, where=f"TraceReplay of {self.trace}", hint=hint)
        if not 0.0 <= self.private_share <= 1.0:
            what, hint = f"not a share: {self.private_share:g}", "give a number from 0 to 1"
            raise InvalidRecord(what, where=f"TraceReplay of {self.trace}", hint=hint)

    def of(self, option: str) -> OptionReplay | None:
        """Give what became of an option; `None` where it was not replayed."""
        return next((one for one in self.options if one.option == option), None)
