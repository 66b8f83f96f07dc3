"""Who leaves a stream twice: its reader, and what cancels the reader while the tier still stops."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from edgewise import HybridInferenceEngine
from edgewise.records import (
    Input,
    Outcome,
    Policy,
    Protocol,
    StreamRules,
    TextChunk,
    TierKind,
    TierPolicy,
)
from edgewise.testing.chats import FakeTextTier
from edgewise.testing.route import ListSink
from edgewise.testing.virtual_time import LoopClock, run_virtually

PIECES = [TextChunk(text=one, logprobs=(-2.0,)) for one in "abc"]
POLICY = Policy(
    task="text-generation",
    labels=(),
    tiers=tuple(
        TierPolicy(name=name, kind=kind, threshold=threshold, protocol=Protocol.OPENAI)
        for name, kind, threshold in (
            ("edge", TierKind.DEVICE, 0.5),
            ("cloud", TierKind.CLOUD, None),
        )
    ),
    stream=StreamRules(commit_after_tokens=1),
)


class SlowToStop(FakeTextTier):
    """A tier that takes seconds to stop what it says."""

    async def stream(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> AsyncGenerator[TextChunk, None]:
        del one, timeout_ms, request_id
        try:
            for piece in PIECES:
                yield piece
        finally:
            await asyncio.sleep(10.0)


def test_a_cancellation_while_a_tier_stops_leaves_no_call_open() -> None:
    async def leaving() -> tuple[list[int], list[Outcome]]:
        sink, clock = ListSink(), LoopClock()
        tiers = {name: SlowToStop(clock, [PIECES]) for name in ("edge", "cloud")}
        engine = HybridInferenceEngine(policy=POLICY, tiers=tiers, decision_log=sink, clock=clock)
        async with engine:
            stream = engine.stream({"prompt": "hi"})
            reading = asyncio.create_task(anext(stream))
            await asyncio.sleep(5.0)  # the edge's answer is turned down, and still stops
            reading.cancel()
            await asyncio.sleep(5.0)
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            monitors = engine._serving.monitors.values()
            open_calls = [one.state(clock.now_s()).in_flight for one in monitors]
        return open_calls, [one.outcome for one in sink.decisions[0].attempts]

    assert run_virtually(leaving()) == ([0, 0], [Outcome.ANSWERED, Outcome.CANCELLED])
