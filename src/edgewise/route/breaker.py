"""A circuit breaker: a tier that fails is left alone, then tried by one call. Time is handed in."""

import math
from collections import deque
from enum import Enum

from edgewise.records import BreakerRules


class CircuitState(Enum):
    """Whether calls may pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Stops calls to a tier that fails, and lets one at a time through to see if it is back.

    It opens when `failure_share` of the last `window` calls failed, those of the last `window_s`
    seconds, at least `minimum_calls` of them. Then one call is let through every `open_s`, whether
    the one before has ended or hangs; the first success closes the circuit. Calls that began before
    it opened do not count any more.

    Every `begin` is followed by one `succeed`, `fail` or `abandon` with the number it gave.
    """

    __slots__ = ("_calls", "_generation", "_retry_at_s", "_rules")

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._calls: deque[tuple[float, bool]] = deque(maxlen=rules.window)
        self._retry_at_s: float | None = None
        self._generation = 0

    def state(self, now_s: float) -> CircuitState:
        """Give the circuit's state."""
        if self._retry_at_s is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now_s < self._retry_at_s else CircuitState.HALF_OPEN

    def allows(self, now_s: float) -> bool:
        """Say whether a call may begin."""
        return self._retry_at_s is None or now_s >= self._retry_at_s

    def begin(self, now_s: float) -> int:
        """Note that a call begins; give the number to end it with."""
        if self._retry_at_s is not None:
            self._retry_at_s = now_s + self._rules.open_s
        return self._generation

    def succeed(self, call: int, now_s: float) -> None:
        """Note that a call was answered."""
        if call != self._generation:
            return
        if self._retry_at_s is None:
            self._calls.append((now_s, True))
            return
        self._retry_at_s = None
        self._turn()

    def fail(self, call: int, now_s: float) -> None:
        """Note that a call failed."""
        if call != self._generation:
            return
        if self._retry_at_s is not None:
            return  # the next one may begin when this one has had its time
        self._calls.append((now_s, False))
        while now_s - self._calls[0][0] > self._rules.window_s:
            self._calls.popleft()
        failures = sum(not answered for _, answered in self._calls)
        enough = len(self._calls) >= min(self._rules.minimum_calls, self._rules.window)
        if not enough or failures < self._rules.failure_share * len(self._calls):
            return
        self._retry_at_s = now_s + self._rules.open_s
        self._turn()

    def abandon(self, call: int) -> None:
        """Note that a call ended without telling anything of the tier."""
        if call == self._generation and self._retry_at_s is not None:
            self._retry_at_s = -math.inf

    def close(self) -> None:
        """Close the circuit: something else than a call has shown that the tier is back."""
        if self._retry_at_s is not None:
            self._retry_at_s = None
            self._turn()

    def _turn(self) -> None:
        self._generation += 1
        self._calls.clear()
