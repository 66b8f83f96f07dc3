"""What inputs looked like when the certificate was made, and how a change of them is told."""

import math
from dataclasses import dataclass

from edgewise.errors import InvalidRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Shares of a reference sample in bins, the last of which has no upper edge."""

    name: str
    """What is counted, such as `length` or `confidence`."""
    edges: tuple[float, ...]
    """Upper edges of all bins but the last, ascending; a value on an edge is below it."""
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        rising = all(one < other for one, other in zip(self.edges, self.edges[1:], strict=False))
        fits = len(self.counts) == len(self.edges) + 1 and all(one >= 0 for one in self.counts)
        if not rising or not fits or sum(self.counts) < 1:
            what = f"{len(self.edges)} edges and {len(self.counts)} counts make no histogram"
            hint = "give rising edges, one count more than edges, and a sample that is not empty"
            raise InvalidRecord(what, where=f"Histogram.{self.name}", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRules:
    """What is watched for a change, and how often a false warning may come."""

    reference: tuple[Histogram, ...] = ()
    window: int = 500
    """Requests that are compared with the reference at a time."""
    false_alarms: float = 0.01
    """The chance that a warning ever comes though nothing has changed, for all that is watched
    together."""
    directions: tuple[tuple[float, ...], ...] = ()
    """Along which the model's output is watched, by label; the reference of the n-th, from 0, is
    called `embedding_n`."""

    def __post_init__(self) -> None:
        numbers = [one for direction in self.directions for one in direction]
        if len({len(one) for one in self.directions}) > 1 or not all(map(math.isfinite, numbers)):
            what = f"{len(self.directions)} directions of other lengths, or not of numbers"
            hint = "give each a finite number for each label"
            raise InvalidRecord(what, where="DriftRules.directions", hint=hint)
        if self.window < 1 or not 0.0 < self.false_alarms < 1.0:
            what = f"window is {self.window} and false_alarms is {self.false_alarms}"
            hint = "give a window of 1 or more, and a chance between 0 and 1"
            raise InvalidRecord(what, where="DriftRules", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftWarning:
    """One thing about the inputs is no longer what it was. A warning, not a proof of a loss.

    Made by a watch of inputs, read by the engine.
    """

    name: str
    window: int
    """The number of the window that told, from 1."""
    p_value: float
    at_most: float
    """What the p-value had to be at most for a warning."""
    distance: float
    """Population stability index of the window against the reference."""
    at_s: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.distance):
            what = f"a distance of {self.distance}"
            raise InvalidRecord(what, where="DriftWarning", hint="smooth empty bins")

    @property
    def code(self) -> str:
        """Give it as results and the decision log say it, such as `drift_length`."""
        return f"drift_{self.name}"
