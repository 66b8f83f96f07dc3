"""What an outage leaves behind in the engine, in virtual time."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from edgewise.errors import DeadlineExceeded, RemoteError
from edgewise.records import (
    BreakerRules,
    Policy,
    Prediction,
    ProbeRules,
    RetryRules,
    TierKind,
    TierPolicy,
)
from edgewise.route import HybridInferenceEngine
from edgewise.route.breaker import CircuitState
from edgewise.testing.route import ListSink
from edgewise.testing.virtual_time import LoopClock, TimedTier, run_virtually

UNSURE = Prediction("no", 0.6, (0.6, 0.4))
FAR = Prediction("yes", 0.99, ())
LATE = DeadlineExceeded("no answer", where="https://cloud", hint="allow more time")
GARBLED = RemoteError("no JSON", where="https://cloud", status=200, maybe_served=True)
REFUSED = RemoteError("answered HTTP 500", where="https://cloud", status=500)
TEXT = {"text": "quite a film"}
EDGE = TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8)
CLOUD = TierPolicy(
    name="cloud", kind=TierKind.CLOUD, rtt_p50_ms=10.0, rtt_p95_ms=40.0, usd_per_request=0.25
)
POLICY = Policy(task="text-classification", labels=("no", "yes"), tiers=(EDGE, CLOUD))
GONE_MS = 3_600_000.0


class Switched(TimedTier):
    """A tier that answers in 10 ms, or not at all."""

    def __init__(self) -> None:
        super().__init__((10.0, FAR))
        self.set(up=True)

    def set(self, *, up: bool) -> None:
        """Bring it up or down."""
        self.script = [(10.0 if up else GONE_MS, FAR)]


def engine_of(
    policy: Policy, tiers: Mapping[str, TimedTier], sink: ListSink | None = None
) -> HybridInferenceEngine:
    return HybridInferenceEngine(policy=policy, clock=LoopClock(), tiers=tiers, decision_log=sink)


async def locations(
    engine: HybridInferenceEngine, times: int, every_s: float, deadline_ms: float
) -> list[str]:
    async def ask() -> str:
        return (await engine.predict(TEXT, deadline_ms=deadline_ms)).location

    asked = []
    for _ in range(times):
        asked.append(asyncio.create_task(ask()))
        await asyncio.sleep(every_s)
    return list(await asyncio.gather(*asked))


def test_the_cloud_is_back_within_two_seconds_whatever_the_deadlines() -> None:
    async def play(deadline_ms: float, down_s: float) -> float:
        edge, cloud = TimedTier((1.0, UNSURE), remote=False), Switched()
        async with engine_of(POLICY, {"edge": edge, "cloud": cloud}) as engine:
            await locations(engine, 100, 0.02, deadline_ms)
            cloud.set(up=False)
            await locations(engine, round(down_s / 0.02), 0.02, deadline_ms)
            cloud.set(up=True)
            back = await locations(engine, 150, 0.02, deadline_ms)
        last_missed = max((place for place, one in enumerate(back) if "edge" in one), default=-1)
        return (last_missed + 1) * 0.02

    for deadline_ms in (100.0, 1500.0):
        for down_s in (0.4, 4.0):
            assert run_virtually(play(deadline_ms, down_s)) <= 2.0, (deadline_ms, down_s)


def test_two_tiers_that_hang_are_probed_together() -> None:
    down = RemoteError("can't be reached", where="https://cloud")
    rules = ProbeRules(open_s=0.5, timeout_ms=1000.0)
    policy = replace(
        POLICY,
        tiers=(
            EDGE,
            *(replace(CLOUD, name=name, group="clouds") for name in ("west", "mid", "east")),
        ),
        probe=rules,
        breaker=BreakerRules(minimum_calls=2, open_s=60.0),
        retry=RetryRules(most=0),
    )
    clouds = {
        name: TimedTier(*[(1.0, down)] * 2, (GONE_MS, FAR)) for name in ("west", "mid", "east")
    }
    edge = TimedTier((1.0, UNSURE), remote=False)

    async def play() -> None:
        async with engine_of(policy, {"edge": edge, **clouds}) as engine:
            for _ in range(2):
                await engine.predict(TEXT)
            assert set(engine.circuits().values()) == {CircuitState.CLOSED, CircuitState.OPEN}
            clouds["east"].script = [(10.0, FAR)]
            await asyncio.sleep(1.5)
            assert engine.circuits()["east"] is CircuitState.CLOSED

    run_virtually(play())


def test_work_that_may_have_been_done_is_paid_for() -> None:
    edge = TimedTier((1.0, UNSURE), remote=False)
    sink = ListSink()

    async def play() -> None:
        cloud = TimedTier((5.0, GARBLED), (5.0, REFUSED), (GONE_MS, FAR))
        once = replace(POLICY, retry=RetryRules(most=0), deadline_ms=500.0)
        async with engine_of(once, {"edge": edge, "cloud": cloud}, sink) as engine:
            for _ in range(3):
                await engine.predict(TEXT)

    run_virtually(play())
    assert [one.cost_usd for one in sink.decisions] == [0.25, 0.0, 0.25]


def test_the_last_request_of_an_old_policy_does_not_wait_for_its_tiers_to_close() -> None:
    class SlowToClose(TimedTier):
        async def aclose(self) -> None:
            await asyncio.sleep(30.0)
            await super().aclose()

    old, new = SlowToClose((100.0, UNSURE), remote=False), TimedTier((1.0, UNSURE), remote=False)
    other = replace(POLICY, deadline_ms=900.0)

    async def play() -> tuple[float, bool]:
        engine = engine_of(POLICY, {"edge": old, "cloud": TimedTier((10.0, FAR))})
        asking = asyncio.create_task(engine.predict(TEXT))
        await asyncio.sleep(0.05)
        await _swap(engine, other, {"edge": new, "cloud": TimedTier((10.0, FAR))})
        await asking
        took_s = asyncio.get_running_loop().time()
        await engine.aclose()
        return took_s, old.closed

    took_s, closed = run_virtually(play())

    assert took_s < 1.0
    assert closed


async def _swap(
    engine: HybridInferenceEngine, policy: Policy, tiers: Mapping[str, TimedTier]
) -> None:
    """Exchange the policy; opening runs in a thread, which virtual time does not wait for."""
    swapping = asyncio.create_task(engine.swap_policy(policy, tiers=tiers))
    while not swapping.done():
        await asyncio.sleep(0)
    await swapping
