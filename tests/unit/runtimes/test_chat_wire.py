"""Bodies and pieces of OpenAI's chat completions."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.records import TextChunk, TokenLimit, TokenUsage, ToolCall
from edgewise.runtimes.chat_wire import ChatWire, StreamReader
from edgewise.runtimes.gathering import Gathered

WIRE = ChatWire()


def answered(message: Any, **choice: Any) -> Any:
    return {"choices": [{"message": message, **choice}]}


def tokens(*told: Any) -> Any:
    return {"content": [dict(zip(("logprob", "top_logprobs"), one, strict=False)) for one in told]}


def test_options_are_passed_on_and_others_are_not() -> None:
    one = {"prompt": "hi", "temperature": 0, "stop": ["."], "seed": 7, "tools": [], "region": "eu"}

    body = WIRE.encode([one], "small", ())

    assert body == {
        "model": "small",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0,
        "max_tokens": 512,
        "stop": ["."],
        "seed": 7,
        "tools": [],
        "logprobs": True,
        "top_logprobs": 2,
    }
    assert "logprobs" not in ChatWire(logprobs=False).encode([one], "small", ())
    assert WIRE.streamed(body)["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("limit", "given", "sent"),
    [
        (TokenLimit.MAX_TOKENS, {}, {"max_tokens": 512}),
        (TokenLimit.MAX_TOKENS, {"max_tokens": 9}, {"max_tokens": 9}),
        (TokenLimit.MAX_TOKENS, {"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
        (TokenLimit.MAX_COMPLETION_TOKENS, {}, {"max_completion_tokens": 512}),
        (TokenLimit.MAX_COMPLETION_TOKENS, {"max_tokens": 9}, {"max_completion_tokens": 9}),
        (
            TokenLimit.MAX_TOKENS,
            {"max_tokens": 9, "max_completion_tokens": 8},
            {"max_tokens": 9},
        ),
    ],
)
def test_the_most_tokens_of_an_answer_have_the_name_that_the_endpoint_takes(
    limit: TokenLimit, given: dict[str, int], sent: dict[str, int]
) -> None:
    body = ChatWire(token_limit=limit).encode([{"prompt": "hi", **given}], "small", ())

    assert {name: value for name, value in body.items() if name.startswith("max_")} == sent


def test_an_answer_is_read_whole() -> None:
    best = [{"logprob": math.log(0.6)}, {"logprob": math.log(0.25)}]
    calls = [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]
    body = answered(
        {"content": "a b", "tool_calls": calls},
        logprobs=tokens((math.log(0.6), best), (-0.5,)),
        finish_reason="stop",
    )
    body["usage"] = {
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 4},
    }

    found = WIRE.decode(body, 1, ())[0]

    assert found.label == "a b"
    assert found.confidence == pytest.approx(math.exp((math.log(0.6) - 0.5) / 2))
    told = found.generation
    assert told is not None
    assert told.usage == TokenUsage(input_tokens=9, cached_input_tokens=4, output_tokens=2)
    assert told.first_margin == pytest.approx(0.35)
    assert told.tool_calls == (ToolCall(call_id="c1", name="f", arguments="{}"),)
    assert told.finish_reason == "stop"


def test_an_answer_without_log_probabilities_is_not_sure_and_its_tokens_are_estimated() -> None:
    found = WIRE.decode(answered({"content": "a"}), 1, ())[0]

    assert found.confidence == 0.0
    assert found.generation is not None
    assert found.generation.usage.estimated


def test_a_first_token_that_was_not_the_likeliest_has_a_margin_below_0() -> None:
    best = [{"logprob": math.log(0.6)}, {"logprob": math.log(0.2)}]
    body = answered({"content": "a"}, logprobs=tokens((math.log(0.1), best)))

    found = WIRE.decode(body, 1, ())[0].generation

    assert found is not None
    assert found.first_margin == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ([], "no message"),
        ({"choices": []}, "no message"),
        ({"choices": [3]}, "no message"),
        (answered("text"), "no message"),
        (answered({"content": 3}), "a message without text"),
        (answered({}), "a message without text"),
        (answered({"content": "a"}, logprobs=tokens(("x",))), "a token without `logprob`"),
        (answered({"content": "a"}, logprobs=tokens((0.5,))), "a `logprob` above 0"),
        (answered({"content": "a"}, logprobs=tokens((math.nan,))), "a `logprob` above 0"),
        (answered({"content": "a", "tool_calls": [{}]}), "a tool call without a function"),
        (
            answered({"content": "a", "tool_calls": [{"function": {"name": 3}}]}),
            "a tool call whose parts are no text",
        ),
        ({**answered({"content": "a"}), "usage": {"prompt_tokens": -1}}, "a count of tokens"),
        ({**answered({"content": "a"}), "usage": {"prompt_tokens": True}}, "a count of tokens"),
    ],
)
def test_what_is_no_answer_is_told_as_such(body: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        WIRE.decode(body, 1, ())


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("3", "without choices"),
        ('{"choices": 3}', "without choices"),
        ('{"choices": [3]}', "without choices"),
        ('{"choices": [{"delta": 3}]}', "without a delta"),
        ('{"error": {"message": "secret"}}', "the endpoint told of a failure"),
    ],
)
def test_what_is_no_piece_is_told_as_such(event: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        WIRE.piece(event)

    assert "secret" not in str(caught.value)


def test_a_piece_that_says_nothing_is_none() -> None:
    assert WIRE.piece('{"choices": [{"delta": {"role": "assistant", "content": null}}]}') is None
    assert WIRE.piece('{"choices": []}') is None


@given(st.text(max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_pieces_put_together_are_the_whole_answer(text: str, cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    parts = [text[a:b] for a, b in pairwise(edges)]
    gathered = Gathered()

    for number, part in enumerate(parts):
        call = {"index": 1, "function": {"arguments": part}}
        if number == 0:
            call = {"index": 1, "id": "c", "function": {"name": "f", "arguments": part}}
        delta = {"content": part, "tool_calls": [call]}
        choice = {"delta": delta, "logprobs": tokens((-0.5,))}
        chunk = WIRE.piece(json.dumps({"choices": [choice]}))
        gathered.add(chunk or TextChunk())

    found = gathered.generation(11)
    assert found.text == text
    assert gathered.characters == len(text)
    assert found.logprobs == (-0.5,) * len(parts)
    assert found.usage == TokenUsage(input_tokens=11, output_tokens=len(parts), estimated=True)
    calls = (ToolCall(index=1, call_id="c", name="f", arguments=text),)
    assert found.tool_calls == (calls if parts else ())


def test_tokens_told_by_the_tier_replace_the_estimate() -> None:
    gathered, told = Gathered(), TokenUsage(input_tokens=3, output_tokens=9)

    gathered.add(TextChunk(text="a"))
    gathered.add(TextChunk(usage=told, finish_reason="stop"))

    assert (gathered.tokens, gathered.usage(1), gathered.finish_reason) == (1, told, "stop")


def test_a_refusal_in_place_of_a_text_is_the_answer() -> None:
    body = answered({"content": None, "refusal": "I can't."}, finish_reason="stop")
    pieces = [{"refusal": "I "}, {"refusal": "can't."}]
    gathered = Gathered()

    (found,) = WIRE.decode(body, 1, ())
    for delta in pieces:
        piece = WIRE.piece(json.dumps({"choices": [{"delta": delta}]}))
        assert piece is not None
        gathered.add(piece)

    assert found.label == "I can't."
    assert found.generation is not None
    assert (found.generation.text, found.generation.refusal) == ("", "I can't.")
    assert gathered.generation(0).refusal == "I can't."
    assert gathered.characters == 8
    with pytest.raises(ValueError, match="without text"):
        WIRE.decode(answered({"content": None, "refusal": ["no"]}), 1, ())


def streamed(*deltas: Any) -> tuple[ToolCall, ...]:
    """Give the calls of a stream whose pieces bring these calls."""
    reader, gathered = StreamReader(WIRE), Gathered()
    for delta in deltas:
        event = json.dumps({"choices": [{"delta": {"tool_calls": [delta]}}]})
        for piece in reader.feed(f"data: {event}\n\n".encode()):
            gathered.add(piece)
    return gathered.generation(0).tool_calls


def test_a_call_of_a_custom_tool_is_read_whole_and_in_pieces() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "a b"}}
    pieces = [
        {"index": 0, "id": "c", "type": "custom", "custom": {"name": "f", "input": "a "}},
        {"index": 0, "custom": {"input": "b"}},
    ]

    (found,) = WIRE.decode(answered({"content": None, "tool_calls": [call]}), 1, ())

    expected = (ToolCall(call_id="c", name="f", arguments="a b", custom=True),)
    assert found.generation is not None
    assert found.generation.tool_calls == expected
    assert streamed(*pieces) == expected


@pytest.mark.parametrize("untold", [{}, {"index": None}])
def test_calls_without_an_index_stay_apart(untold: dict[str, None]) -> None:
    calls = [
        {**untold, "id": "a", "function": {"name": "f", "arguments": "{"}},
        {**untold, "function": {"arguments": "}"}},
        {**untold, "id": "b", "function": {"name": "g", "arguments": "["}},
        {**untold, "id": "a", "function": {"arguments": " "}},
        {**untold, "function": {"name": "h", "arguments": "1"}},
    ]
    whole = [calls[0], calls[2], calls[4]]

    (found,) = WIRE.decode(answered({"content": None, "tool_calls": whole}), 1, ())

    assert streamed(*calls) == (
        ToolCall(index=0, call_id="a", name="f", arguments="{} "),
        ToolCall(index=1, call_id="b", name="g", arguments="["),
        ToolCall(index=2, name="h", arguments="1"),
    )
    assert found.generation is not None
    assert [one.name for one in found.generation.tool_calls] == ["f", "g", "h"]
