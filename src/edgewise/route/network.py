"""What is known of each tier without asking it: latencies seen, and a circuit breaker.

Passive: only the traffic itself is looked at. Time is handed in as `now_s`.
"""

from collections import deque
from enum import Enum

from edgewise.records import BreakerRules, TierPolicy, TierState

_LATENCIES_KEPT = 64
_LATENCIES_ENOUGH = 5
_FORGET_AFTER_S = 60.0


class CircuitState(Enum):
    """Whether calls may pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Stops calls to a tier that fails, and lets one at a time through to see if it is back.

    It opens when `failure_share` of the last `window` calls failed, at least `minimum_calls` of
    them seen. After `open_s` one call is let through: its success closes the circuit, its failure
    opens it again. Calls that began before it opened do not count any more.

    Every `begin` is followed by one `succeed`, `fail` or `abandon` with the number it gave.
    """

    __slots__ = ("_calls", "_generation", "_probing", "_retry_at_s", "_rules")

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._calls: deque[bool] = deque(maxlen=rules.window)
        self._retry_at_s: float | None = None
        self._probing = False
        self._generation = 0

    def state(self, now_s: float) -> CircuitState:
        """Give the circuit's state."""
        if self._retry_at_s is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now_s < self._retry_at_s else CircuitState.HALF_OPEN

    def allows(self, now_s: float) -> bool:
        """Say whether a call may begin."""
        if self._retry_at_s is None:
            return True
        return not self._probing and self.state(now_s) is CircuitState.HALF_OPEN

    def begin(self) -> int:
        """Note that a call begins; give the number to end it with."""
        if self._retry_at_s is not None:
            self._probing = True
        return self._generation

    def succeed(self, call: int) -> None:
        """Note that a call was answered."""
        if call != self._generation:
            return
        if self._retry_at_s is None:
            self._calls.append(True)
            return
        self._retry_at_s = None
        self._probing = False
        self._turn()

    def fail(self, call: int, now_s: float) -> None:
        """Note that a call failed."""
        if call != self._generation:
            return
        if self._retry_at_s is None:
            self._calls.append(False)
            failures = self._calls.count(False)
            enough = len(self._calls) >= min(self._rules.minimum_calls, self._rules.window)
            if not enough or failures < self._rules.failure_share * len(self._calls):
                return
        self._retry_at_s = now_s + self._rules.open_s
        self._probing = False
        self._turn()

    def abandon(self, call: int) -> None:
        """Note that a call ended without telling anything of the tier."""
        if call == self._generation:
            self._probing = False

    def _turn(self) -> None:
        self._generation += 1
        self._calls.clear()


class LatencyWindow:
    """Quantiles of the latest latencies of a tier; the policy's own until enough were seen.

    What was seen is forgotten after a minute of silence: a tier that is avoided because it was
    slow would otherwise never be asked again.
    """

    __slots__ = ("_p50_ms", "_p95_ms", "_seen_at_s", "_start", "_values_ms")

    def __init__(self, p50_ms: float, p95_ms: float) -> None:
        self._start = (p50_ms, p95_ms)
        self._values_ms: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self._p50_ms, self._p95_ms = p50_ms, p95_ms
        self._seen_at_s = 0.0

    def quantiles(self, now_s: float) -> tuple[float, float]:
        """Give p50 and p95 in milliseconds."""
        if self._values_ms and now_s - self._seen_at_s > _FORGET_AFTER_S:
            self._values_ms.clear()
            self._p50_ms, self._p95_ms = self._start
        return self._p50_ms, self._p95_ms

    def add(self, latency_ms: float, now_s: float, *, censored: bool = False) -> None:
        """Note a latency; a censored one (a timeout) is known only to be longer."""
        if censored and latency_ms <= self._p50_ms:
            return
        self._values_ms.append(latency_ms)
        self._seen_at_s = now_s
        n = len(self._values_ms)
        if n >= _LATENCIES_ENOUGH:
            ordered = sorted(self._values_ms)
            self._p50_ms = ordered[n // 2]
            self._p95_ms = ordered[min(n - 1, int(0.95 * n))]


class TierMonitor:
    """State of one tier for the decision. Made by the engine; used from its event loop.

    Parameters
    ----------
    remote
        Whether latencies seen replace the policy's round trip; a local tier keeps its profile.
    ready
        Whether the tier can be called at all.
    """

    __slots__ = ("_breaker", "_last", "_latency", "_ready", "_remote")

    def __init__(
        self, tier: TierPolicy, rules: BreakerRules, *, remote: bool, ready: bool = True
    ) -> None:
        self._breaker = Breaker(rules)
        self._latency = LatencyWindow(tier.rtt_p50_ms, tier.rtt_p95_ms)
        self._remote = remote
        self._ready = ready
        self._last: TierState | None = None

    def state(self, now_s: float) -> TierState:
        """Give the tier as the decision sees it."""
        circuit_open = not self._breaker.allows(now_s)
        p50_ms, p95_ms = self._latency.quantiles(now_s)
        last = self._last
        if (
            last is None
            or last.circuit_open is not circuit_open
            or last.rtt_p50_ms != p50_ms
            or last.rtt_p95_ms != p95_ms
        ):
            last = self._last = TierState(
                ready=self._ready,
                circuit_open=circuit_open,
                rtt_p50_ms=p50_ms,
                rtt_p95_ms=p95_ms,
            )
        return last

    def begin(self) -> int:
        """Note that the tier is asked; give the number to end the call with."""
        return self._breaker.begin()

    def answered(self, call: int, latency_ms: float, now_s: float) -> None:
        """Note that the tier answered."""
        self._breaker.succeed(call)
        if self._remote:
            self._latency.add(latency_ms, now_s)

    def failed(self, call: int, now_s: float) -> None:
        """Note that the tier failed."""
        self._breaker.fail(call, now_s)

    def timed_out(self, call: int, latency_ms: float, expected_ms: float, now_s: float) -> None:
        """Note that the tier did not answer in time.

        It counts as a failure only where the time would have done for most answers: callers in
        a hurry do not close a tier for the others. A local tier without a profile is spared.
        """
        if latency_ms >= expected_ms and (self._remote or expected_ms > 0.0):
            self._breaker.fail(call, now_s)
        else:
            self._breaker.abandon(call)
        if self._remote:
            self._latency.add(latency_ms, now_s, censored=True)

    def abandoned(self, call: int) -> None:
        """Note that the caller went away."""
        self._breaker.abandon(call)
