"""How calls survive what networks do: circuit, retries, hedges, probes."""

from dataclasses import dataclass

from edgewise.errors import InvalidRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When a tier's circuit opens and how it is tried again: a failure rate over a window."""

    window: int = 20
    """Most calls that are looked at."""
    window_s: float = 30.0
    """Calls that ended longer ago are not."""
    minimum_calls: int = 5
    failure_share: float = 0.5
    open_s: float = 1.0
    """Then one call is let through, and another each time that this has passed again."""

    def __post_init__(self) -> None:
        if self.window < 1:
            what, hint = f"not 1 or more: {self.window}", "leave it out for its default"
            raise InvalidRecord(what, where="BreakerRules.window", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """When a remote tier that failed in passing is asked again for the same request.

    A budget bounds retries to a share of the calls, so that a tier in trouble gets little more
    traffic, not several times as much.
    """

    most: int = 1
    """Most retries of one request at one tier; 0 never asks again."""
    share: float = 0.1
    """Retries allowed per call."""
    burst: float = 10.0
    """Retries allowed when there were few calls."""
    pause_ms: float = 50.0
    """Longest wait before the first retry, doubled for each other; the wait is uniform below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeRules:
    """When a second tier is raced because the first is late.

    It starts when the first has taken its expected p95, for requests that may be answered twice.
    """

    share: float = 0.05
    """Hedges allowed per request."""
    least_ms: float = 1.0
    """Shortest time given to the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRules:
    """How a remote tier without traffic is looked at: one small call at a time."""

    idle_s: float = 30.0
    """Without traffic for this long, a tier is probed."""
    open_s: float = 0.5
    """How often a tier with an open circuit is probed, so that it is back soon after its link."""
    timeout_ms: float = 1000.0

    def __post_init__(self) -> None:
        for name in ("open_s", "timeout_ms"):
            value = getattr(self, name)
            if not value > 0.0:
                what, hint = f"not above 0: {value}", "leave it out for its default"
                raise InvalidRecord(what, where=f"ProbeRules.{name}", hint=hint)
