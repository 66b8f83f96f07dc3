"""The one deadline of an answer in pieces, in virtual time."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from edgewise import HybridInferenceEngine
from edgewise.errors import DeadlineExceeded
from edgewise.records import Input, Policy, Protocol, TextChunk, TierKind, TierPolicy
from edgewise.testing.chats import FakeTextTier
from edgewise.testing.route import ListSink
from edgewise.testing.virtual_time import LoopClock, run_virtually

ASK = {"prompt": "hi"}
PIECES = [TextChunk(text="a"), TextChunk(text="b"), TextChunk(text="c", finish_reason="stop")]
FAR = TierPolicy(name="cloud", kind=TierKind.CLOUD, protocol=Protocol.OPENAI)
POLICY = Policy(task="text-generation", labels=(), tiers=(FAR,))


class ReadyTier(FakeTextTier):
    """A tier whose pieces are all there at once."""

    async def stream(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> AsyncGenerator[TextChunk, None]:
        del one, timeout_ms, request_id
        for piece in PIECES:
            yield piece


def read(tier: FakeTextTier, pauses_s: Sequence[float]) -> tuple[str, str]:
    """Read an answer, pausing after each piece; give its text, and what ended it."""

    async def reading() -> tuple[str, str]:
        text, sink = "", ListSink()
        engine = HybridInferenceEngine(
            policy=POLICY, tiers={"cloud": tier}, decision_log=sink, clock=LoopClock()
        )
        async with engine:
            try:
                async for piece in engine.stream(ASK, deadline_ms=500):
                    text += piece.text
                    await asyncio.sleep(pauses_s[len(text) - 1])
            except DeadlineExceeded as late:
                return text, f"{late.what}; {late.hint}"
        assert not sink.decisions[0].error
        return text, ""

    return run_virtually(reading())


@pytest.mark.parametrize(
    ("pauses_s", "text"),
    [((0.1, 0.1, 0.1), "abc"), ((0.0, 0.9, 0.0), "ab"), ((0.9, 0.0, 0.0), "a")],
)
def test_a_reader_that_dawdles_waits_for_nothing_past_the_deadline(
    pauses_s: Sequence[float], text: str
) -> None:
    tier = FakeTextTier(LoopClock(), [PIECES])

    said, error = read(tier, pauses_s)

    assert said == text
    assert error.startswith("the answer is not whole, no answer within 49" if text != "abc" else "")
    assert error.endswith("allow more time, or ask for fewer tokens" if text != "abc" else "")
    assert tier.open == 0


def test_what_is_there_already_is_handed_out_past_the_deadline() -> None:
    assert read(ReadyTier(LoopClock(), [PIECES]), (0.9, 0.9, 0.9)) == ("abc", "")
