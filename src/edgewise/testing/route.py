"""Strategies for policies, facts and states, and fakes of the engine's borders.

Public: for the tests of this house and of those who bring tiers of their own.
"""

import asyncio
import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from hypothesis import strategies as st

from edgewise.errors import DeadlineExceeded, EdgewiseError
from edgewise.records import (
    Attempt,
    AuditRules,
    Certificate,
    CertificateState,
    Decision,
    DeviceRule,
    DeviceState,
    HedgeRules,
    Input,
    LatencyLimit,
    Loss,
    OnVoid,
    Outcome,
    Policy,
    Prediction,
    PreRouteRules,
    PrivacyRules,
    RequestFacts,
    RetryRules,
    SystemState,
    TierKind,
    TierPolicy,
    TierState,
)

_SHARES = st.floats(0.0, 1.0)
_TIMES_MS = st.floats(0.0, 1000.0)
_REGIONS = ("eu", "us", "ch")

CERTIFIED = Certificate(
    state=CertificateState.CERTIFIED,
    loss=Loss.DISAGREEMENT,
    alpha=0.05,
    delta=0.05,
    n=500,
    threshold=0.8,
    deferral_rate=0.2,
    bound=0.04,
)
"""A certificate that an audit can refute without true labels."""


class FakeClock:
    """A clock that stands still until it is told to go on; waiting only moves it."""

    def __init__(self, start_s: float = 1000.0) -> None:
        self.time_s = start_s
        self.wall_s = 1.7e9
        self.waits_s: list[float] = []

    def now_s(self) -> float:
        """Give the virtual time."""
        return self.time_s

    def utc_s(self) -> float:
        """Give the virtual time as seconds since 1970; who sets `wall_s` lets it jump."""
        return self.wall_s + self.time_s

    def wait(self, duration_s: float) -> None:
        """Move on."""
        self.waits_s.append(duration_s)
        self.time_s += duration_s

    async def await_(self, duration_s: float) -> None:
        """Move on, and let others run."""
        self.wait(duration_s)
        await asyncio.sleep(0)


class FakeTier:
    """A tier that does what its script says, in virtual time.

    Parameters
    ----------
    script
        For each call a prediction to answer or an error to raise; the last one is for all later.
    latency_ms
        What each call takes; one that would take longer than it may ends with `DeadlineExceeded`.
    """

    def __init__(
        self,
        clock: FakeClock,
        script: Sequence[Prediction | EdgewiseError],
        *,
        latency_ms: float = 1.0,
        remote: bool = False,
    ) -> None:
        self.remote = remote
        self.ready = True
        self.latency_ms = latency_ms
        self.script = list(script)
        self.asked: list[Input] = []
        self.ids: list[str] = []
        self.closed = False
        self._clock = clock

    async def probe(self, timeout_ms: float) -> None:
        """Do the next thing of the script, and drop its answer."""
        await self.ask({}, timeout_ms)

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        """Do the next thing of the script."""
        self.ids.append(request_id)
        self.asked.append(one)
        if timeout_ms is not None and self.latency_ms > timeout_ms:
            await self._clock.await_(timeout_ms / 1000)
            raise DeadlineExceeded(
                f"no answer within {timeout_ms:.0f} ms", where="fake tier", hint="allow more time"
            )
        await self._clock.await_(self.latency_ms / 1000)
        turn = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(turn, EdgewiseError):
            raise turn
        return turn

    async def aclose(self) -> None:
        """Note it."""
        self.closed = True


class FakeEndpoint:
    """A loopback HTTP server that answers what its script says; a context manager.

    Parameters
    ----------
    script
        For each request a status and a body; the last one is for all later. A status of 0 holds
        the answer back until the endpoint is closed.
    """

    def __init__(self, script: Sequence[tuple[int, Any]]) -> None:
        self.script = list(script)
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        """Of each request, names in lower case."""
        self.head_status = 405
        self._let_go = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.send_response(endpoint.head_status)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                endpoint.headers.append({k.lower(): v for k, v in self.headers.items()})
                length = int(self.headers["content-length"])
                endpoint.bodies.append(json.loads(self.rfile.read(length)))
                turn = endpoint.script.pop(0) if len(endpoint.script) > 1 else endpoint.script[0]
                status, body = turn
                if status == 0:
                    endpoint._let_go.wait(30)
                    self.close_connection = True
                    return
                payload = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class ListSink:
    """Keeps decisions in a list."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def append(self, decision: Decision) -> None:
        """Keep one decision."""
        self.decisions.append(decision)


@st.composite
def tier_policies(draw: st.DrawFn, name: str, kind: TierKind, group: str = "") -> TierPolicy:
    """Give a tier of a name, kind and group."""
    near = kind is TierKind.DEVICE
    p50_ms, more_ms = draw(_TIMES_MS), draw(_TIMES_MS)
    lengths = sorted(draw(st.sets(st.integers(1, 512), max_size=3))) if near else []
    return TierPolicy(
        name=name,
        kind=kind,
        threshold=draw(st.none() | _SHARES),
        latency=tuple(
            LatencyLimit(up_to_length=n, p50_ms=p50_ms, p95_ms=p50_ms + more_ms) for n in lengths
        ),
        latency_limit_ms=draw(st.none() | _TIMES_MS) if near else None,
        rtt_p50_ms=0.0 if near else p50_ms,
        rtt_p95_ms=0.0 if near else p50_ms + more_ms,
        usd_per_request=0.0 if near else 0.002,
        max_input_bytes=draw(st.sampled_from([1_000, 1_000_000])),
        group=group,
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Give a policy of one to four tiers, from near to far, with residency rules."""
    order = list(TierKind)
    kinds = sorted(draw(st.lists(st.sampled_from(order), min_size=1, max_size=4)), key=order.index)
    names = [f"tier{place}" for place in range(len(kinds))]
    # Equal tiers are of one kind, and so side by side.
    equal = draw(st.booleans())
    tiers = tuple(
        draw(tier_policies(n, k, k.value if equal else ""))
        for n, k in zip(names, kinds, strict=True)
    )
    some = st.lists(st.sampled_from(names), unique=True).map(tuple)
    residency = draw(st.dictionaries(st.sampled_from(_REGIONS), some, max_size=2))
    hedges = st.builds(HedgeRules, least_ms=st.floats(0.0, 50.0))
    rules = st.builds(DeviceRule, name=st.just("rule"), battery_below=_SHARES)
    audits = st.builds(AuditRules, on_void=st.sampled_from(OnVoid))
    gains = st.builds(
        PreRouteRules,
        min_gain=_SHARES,
        usd_per_quality=st.none() | st.floats(0.01, 10.0),
        late_ms_per_quality=st.none() | st.floats(1.0, 1e4),
    )
    return Policy(
        task="text-classification",
        labels=("no", "yes"),
        tiers=tiers,
        privacy=PrivacyRules(residency=residency),
        deadline_ms=draw(st.none() | st.floats(0.001, 1000.0)),
        retry=RetryRules(most=draw(st.integers(0, 2))),
        hedge=draw(st.none() | hedges),
        device=tuple(draw(st.lists(rules, max_size=2))),
        preroute=draw(st.none() | gains),
        audit=draw(st.none() | audits),
    )


@st.composite
def facts(draw: st.DrawFn, policy: Policy, *, forced: bool = False) -> RequestFacts:
    """Give the facts of a request to a policy; with `forced`, some name a tier."""
    names = [tier.name for tier in policy.tiers]
    force = st.none() | st.sampled_from(names) if forced else st.none()
    return RequestFacts(
        request_id="r",
        input_length=draw(st.integers(0, 600)),
        input_bytes=draw(st.sampled_from([10, 10_000, 10_000_000])),
        private=draw(st.booleans()),
        detected=draw(st.sampled_from([(), ("email",)])),
        region=draw(st.sampled_from([None, *_REGIONS, "EU"])),
        force_location=draw(force),
        deadline_ms=draw(st.none() | _TIMES_MS),
        allow_late=draw(st.booleans()),
        idempotent=draw(st.booleans()),
        gain=draw(st.none() | st.floats(-1.0, 1.0)),
    )


@st.composite
def states(draw: st.DrawFn, policy: Policy) -> dict[str, TierState]:
    """Give a state for some tiers of a policy."""
    found = {}
    for tier in policy.tiers:
        if draw(st.integers(0, 4)) == 0:
            continue
        p50_ms, more_ms = draw(_TIMES_MS), draw(_TIMES_MS)
        found[tier.name] = TierState(
            ready=draw(st.integers(0, 5)) > 0,
            circuit_open=draw(st.integers(0, 3)) == 0,
            rest_ms=draw(st.sampled_from([0.0, 0.0, 20.0, 2000.0])),
            busy=draw(st.integers(0, 5)) == 0,
            in_flight=draw(st.integers(0, 3)),
            budget_left=draw(st.integers(0, 5)) > 0,
            retries_left=draw(st.booleans()),
            rtt_p50_ms=p50_ms,
            rtt_p95_ms=p50_ms + more_ms,
            ms_per_byte=draw(st.sampled_from([0.0, 0.001])),
            loss_share=draw(_SHARES),
        )
    return found


@st.composite
def systems(draw: st.DrawFn) -> SystemState:
    """Give what holds for all tiers at a moment."""
    return SystemState(
        device=DeviceState(battery_share=draw(st.none() | _SHARES)),
        certificate_void=draw(st.booleans()),
        threshold=draw(st.none() | _SHARES),
        hedges_left=draw(st.booleans()),
        queue_open=draw(st.booleans()),
    )


@st.composite
def attempts_at(draw: st.DrawFn, tier: str) -> Attempt:
    """Give the end of an attempt at a tier."""
    outcome = draw(st.sampled_from(list(Outcome)))
    answered = outcome is Outcome.ANSWERED
    return Attempt(
        tier=tier,
        outcome=outcome,
        latency_ms=draw(st.floats(0.0, 300.0)),
        confidence=draw(_SHARES) if answered else None,
        error="" if answered else "RemoteError",
        passing=outcome is Outcome.FAILED and draw(st.booleans()),
    )
