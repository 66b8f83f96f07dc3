"""What is known of each tier without asking it. Passive; time is handed in as `now_s`."""

from edgewise.records import Policy, TierPolicy, TierState
from edgewise.route.allowance import Allowance
from edgewise.route.breaker import Breaker, CircuitState
from edgewise.route.link import LinkEstimate

_LONGEST_REST_S = 300.0
"""A `Retry-After` beyond it is tried all the same: a tier must not end itself by a slip."""


class TierMonitor:
    """State of one tier for the decision. Made by the engine; used from its event loop.

    Every `begin` is followed by one `answered`, `failed`, `timed_out` or `abandoned` with the
    number it gave.

    Parameters
    ----------
    remote
        Whether latencies seen replace the policy's round trip; a local tier keeps its profile.
    ready
        Whether the tier can be called at all; the engine may change it.
    """

    __slots__ = (
        "_alike",
        "_breaker",
        "_in_flight",
        "_last",
        "_link",
        "_most",
        "_remote",
        "_rest_until_s",
        "_retries",
        "_spoke",
        "_trying",
        "last_call_s",
        "ready",
    )

    def __init__(
        self, tier: TierPolicy, policy: Policy, *, remote: bool, ready: bool = True
    ) -> None:
        self._breaker = Breaker(policy.breaker)
        self._link = LinkEstimate(tier.rtt_p50_ms, tier.rtt_p95_ms)
        self._retries = Allowance(share=policy.retry.share, burst=policy.retry.burst)
        self._most = tier.max_in_flight
        self._remote = remote
        self._in_flight = 0
        self._rest_until_s: float | None = None
        self._last = TierState()
        self._alike: dict[int, TierState] = {}
        """What was given since anything but the calls under way has changed, by how many those
        are: they change twice with each request, the rest far less often."""
        self._trying = False
        self._spoke = False
        """Whether the tier told of its last failure itself."""
        self.ready = ready
        self.last_call_s = 0.0

    def state(self, now_s: float) -> TierState:
        """Give the tier as the decision sees it."""
        self._link.forget(now_s)
        rest_ms = 0.0
        if self._rest_until_s is not None:
            rest_ms = max(0.0, (self._rest_until_s - now_s) * 1000)
            if rest_ms == 0.0:
                self._rest_until_s = None
        link, last = self._link, self._last
        p50_ms, p95_ms, ms_per_byte = link.p50_ms, link.p95_ms, link.ms_per_byte
        if self._in_doubt(now_s):
            p50_ms, p95_ms, ms_per_byte = *link.start, 0.0
        circuit_open = not self._breaker.allows(now_s)
        if (
            last.circuit_open is not circuit_open
            or last.rtt_p50_ms != p50_ms
            or last.rtt_p95_ms != p95_ms
            or last.ms_per_byte != ms_per_byte
            or last.loss_share != link.loss_share
            or last.rest_ms != rest_ms
            or last.ready is not self.ready
            or last.retries_left is not self._retries.has_one
        ):
            self._alike.clear()
        found = self._alike.get(self._in_flight)
        if found is None:
            found = self._alike[self._in_flight] = self._last = TierState(
                ready=self.ready,
                circuit_open=circuit_open,
                rest_ms=rest_ms,
                busy=self._most is not None and self._in_flight >= self._most,
                in_flight=self._in_flight,
                retries_left=self._retries.has_one,
                rtt_p50_ms=p50_ms,
                rtt_p95_ms=p95_ms,
                ms_per_byte=ms_per_byte,
                loss_share=link.loss_share,
            )
        return found

    def circuit(self, now_s: float) -> CircuitState:
        """Give the circuit's state."""
        return self._breaker.state(now_s)

    def takes(self, now_s: float) -> bool:
        """Say whether a call may begin: others may have begun since the decision to ask."""
        free = self._most is None or self._in_flight < self._most
        resting = self._rest_until_s is not None and now_s < self._rest_until_s
        return free and not resting and self._breaker.allows(now_s)

    def take_retry(self) -> bool:
        """Take one retry from the budget, before its pause; `False` when none is left."""
        return self._retries.withdraw()

    def begin(self, now_s: float, *, retry: bool = False) -> int:
        """Note that the tier is asked; give the number to end the call with.

        A retry was taken from the budget by `take_retry`; any other call earns a share of one.
        """
        if self._in_doubt(now_s):
            self._trying = True
            self._link.try_again(now_s)
        self._in_flight += 1
        self.last_call_s = now_s
        if not retry:
            self._retries.deposit()
        return self._breaker.begin(now_s)

    def answered(self, call: int, latency_ms: float, now_s: float, sent_bytes: int = 0) -> None:
        """Note that the tier answered."""
        self._in_flight -= 1
        self._spoke = False
        self._breaker.succeed(call, now_s)
        if self._remote:
            self._link.arrived(whole=True)
            if self._trying and latency_ms < self._link.p50_ms:
                self._link.start_over()
            self._trying = False
            self._link.add(latency_ms, now_s, sent_bytes=sent_bytes)

    def failed(
        self,
        call: int,
        now_s: float,
        *,
        retry_after_s: float | None = None,
        spoke: bool = False,
    ) -> None:
        """Note that the tier failed, and how long it asked to be left alone.

        Parameters
        ----------
        spoke
            Whether it said so itself: then it is there, and a probe tells nothing new.
        """
        self._in_flight -= 1
        self._spoke = spoke
        if retry_after_s is not None and retry_after_s > 0.0:
            # It lives, and says when it may be asked: that is no reason to open its circuit.
            self._breaker.abandon(call)
            # Of calls that were under way together, the one told the longest speaks for the tier.
            until_s = now_s + min(retry_after_s, _LONGEST_REST_S)
            self._rest_until_s = max(self._rest_until_s or until_s, until_s)
            return
        self._fail(call, now_s)
        if self._remote:
            self._link.arrived(whole=False)

    def timed_out(
        self,
        call: int,
        latency_ms: float,
        expected_ms: float,
        now_s: float,
        sent_bytes: int = 0,
    ) -> None:
        """Note that the tier did not answer in time.

        It counts as a failure only where the time would have done for most answers: callers in
        a hurry do not close a tier for the others. A local tier without a profile is spared.
        """
        self._in_flight -= 1
        if latency_ms >= expected_ms and (self._remote or expected_ms > 0.0):
            self._fail(call, now_s)
        else:
            self._breaker.abandon(call)
        if self._remote:
            self._link.arrived(whole=False)
            self._note_late(latency_ms, now_s, sent_bytes)

    def abandoned(self, call: int, latency_ms: float, now_s: float, sent_bytes: int = 0) -> None:
        """Note that nobody waits any more: the caller went away, or another tier was faster."""
        self._in_flight -= 1
        self._breaker.abandon(call)
        if self._remote:
            self._note_late(latency_ms, now_s, sent_bytes)

    def probed(self, latency_ms: float | None, now_s: float) -> None:
        """Note what a probe between calls saw: a latency, or `None` where nothing came back."""
        self.last_call_s = now_s
        self._link.arrived(whole=latency_ms is not None)
        if latency_ms is None:
            return
        if not self._spoke:
            self._breaker.close()
        if latency_ms > self._link.p50_ms:  # an answer takes longer still; a quick one says nothing
            self._link.add(latency_ms, now_s)

    def _in_doubt(self, now_s: float) -> bool:
        return self._remote and self._in_flight == 0 and self._link.is_doubtful(now_s)

    def _fail(self, call: int, now_s: float) -> None:
        """Count a failure; a circuit that opens ends what was known of the link."""
        closed = self._breaker.state(now_s) is CircuitState.CLOSED
        self._breaker.fail(call, now_s)
        if closed and self._breaker.state(now_s) is not CircuitState.CLOSED:
            self._link.start_over()

    def _note_late(self, latency_ms: float, now_s: float, sent_bytes: int) -> None:
        """Note a call that nobody waits for; where the circuit is open it says nothing new.

        Else the calls that were under way would make a link that is back look slow, and nobody
        would try it.
        """
        if self._breaker.state(now_s) is CircuitState.CLOSED:
            self._link.add(latency_ms, now_s, sent_bytes=sent_bytes, censored=True)
