"""Streams under any script of two tiers: one tier's text alone, whole or told as broken off."""

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise import HybridInferenceEngine
from edgewise.errors import AnswerBrokenOff, EdgewiseError, RemoteError, TierUnavailable
from edgewise.records import (
    Input,
    Outcome,
    Policy,
    Protocol,
    StreamRules,
    TextChunk,
    TierKind,
    TierPolicy,
    TokenUsage,
)
from edgewise.testing.chats import FakeTextTier
from edgewise.testing.route import FakeClock, ListSink

Turn = Sequence[TextChunk | EdgewiseError]
FAILURE = RemoteError("answered HTTP 503", where="fake", hint="wait", status=503)


@st.composite
def turns(draw: st.DrawFn, letter: str) -> Turn:
    """Pieces of one tier's letters, with or without probabilities, that may end in a failure."""
    sizes = draw(st.lists(st.integers(0, 3), max_size=6))
    told = draw(st.booleans())
    surest = draw(st.sampled_from([-0.01, -3.0]))
    pieces: list[TextChunk | EdgewiseError] = [
        TextChunk(text=letter * size, logprobs=(surest,) * size if told else ()) for size in sizes
    ]
    end = draw(st.sampled_from(["stop", "usage", "failure"]))
    if end == "failure":
        return [*pieces, FAILURE]
    usage = TokenUsage(input_tokens=3, output_tokens=sum(sizes)) if end == "usage" else None
    return [*pieces, TextChunk(finish_reason="stop", usage=usage)]


def scripts(letter: str) -> st.SearchStrategy[list[Turn]]:
    return st.lists(turns(letter), min_size=1, max_size=2)


def text_of(turn: Turn) -> str:
    return "".join(piece.text for piece in turn if isinstance(piece, TextChunk))


def policy_of(commit: int | None) -> Policy:
    near, far = (
        TierPolicy(name=name, kind=kind, threshold=0.5, protocol=Protocol.OPENAI)
        for name, kind in (("edge", TierKind.DEVICE), ("cloud", TierKind.CLOUD))
    )
    rules = StreamRules(commit_after_tokens=commit)
    return Policy(task="text-generation", labels=(), tiers=(near, far), stream=rules)


async def played(
    engine: HybridInferenceEngine, one: Input, leave_after: int | None
) -> tuple[list[str], str]:
    """Read a stream, or some pieces of it; give what was seen and how that ended."""
    seen: list[str] = []
    async with engine, engine.stream(one) as stream:
        try:
            async for piece in stream:
                seen.append(piece.text)
                if len(seen) == leave_after:
                    return seen, "left"
        except AnswerBrokenOff:
            return seen, "broken"
        except TierUnavailable:
            return seen, "none"
        assert stream.result is not None
        assert stream.result["prediction"] == "".join(seen)
    return seen, "whole"


@given(
    near=scripts("n"),
    far=scripts("f"),
    commit=st.none() | st.integers(1, 5),
    private=st.booleans(),
    leave_after=st.none() | st.integers(1, 4),
)
@settings(max_examples=300, deadline=None)
def test_what_is_handed_out_is_one_tiers_alone_and_whole_or_told_as_broken_off(
    near: list[Turn], far: list[Turn], commit: int | None, private: bool, leave_after: int | None
) -> None:
    clock, log = FakeClock(), ListSink()
    tiers = {"edge": FakeTextTier(clock, near), "cloud": FakeTextTier(clock, far)}
    engine = HybridInferenceEngine(
        policy=policy_of(commit), tiers=tiers, clock=clock, decision_log=log
    )
    one = {"prompt": "hi", "privacy_flag": private}
    seen, ended = asyncio.run(played(engine, one, leave_after))
    text = "".join(seen)

    assert len(log.decisions) == 1
    assert len(set(text)) <= 1
    whole = {text_of(turn) for turn in [*near, *far]}
    if ended == "whole":
        assert text in whole
    if ended == "none":
        assert not text
    assert any(one.startswith(text) for one in whole)
    assert [tier.open for tier in tiers.values()] == [0, 0]
    if private:
        assert not tiers["cloud"].asked
    failed = [one for one in log.decisions[0].attempts if one.outcome is Outcome.FAILED]
    if ended == "broken":
        assert failed
        assert log.decisions[0].error == "AnswerBrokenOff"


@given(near=turns("n"), far=turns("f"))
@settings(max_examples=100, deadline=None)
def test_a_stream_held_back_whole_says_what_a_whole_answer_says(near: Turn, far: Turn) -> None:
    async def ask(*, streamed: bool) -> str:
        clock = FakeClock()
        tiers = {"edge": FakeTextTier(clock, [near]), "cloud": FakeTextTier(clock, [far])}
        engine = HybridInferenceEngine(policy=policy_of(None), tiers=tiers, clock=clock)
        try:
            if streamed:
                pieces = [piece.text async for piece in engine.stream({"prompt": "hi"})]
                return "".join(pieces)
            return str((await engine.predict({"prompt": "hi"}))["prediction"])
        except TierUnavailable as failure:
            return type(failure).__name__
        finally:
            await engine.aclose()

    whole = asyncio.run(ask(streamed=False))
    streamed = asyncio.run(ask(streamed=True))

    # A far answer is handed out from its first piece on, so it can break off: then no near one.
    assert streamed in (whole, "AnswerBrokenOff")
