"""OpenAI's chat completions for text generation: whole answers, and answers in pieces."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from edgewise.records import (
    Generation,
    Input,
    Prediction,
    TextChunk,
    TokenLimit,
    TokenUsage,
    ToolCall,
)
from edgewise.records import Protocol as ProtocolName
from edgewise.runtimes.answers import read_json
from edgewise.runtimes.events import EventReader
from edgewise.runtimes.gathering import Gathered
from edgewise.tasks.chat import read_chat, says_completion_tokens
from edgewise.tasks.chat_options import OPTIONS

_MAX_TOKENS = 512
_MAX_STREAM_BYTES = 64_000_000  # pieces repeat their envelope, and are not kept
_DONE = "[DONE]"
_NOTHING = TextChunk()
_UNTOLD = -1
"""The place of a piece of a tool's call whose endpoint told none."""


class ChatWire:
    """One chat a call; the answer is text, calls of tools, or both.

    Parameters
    ----------
    logprobs
        Whether to ask for the tokens' log-probabilities where an input does not; some endpoints
        refuse that.
    token_limit
        By which name the endpoint is told the most tokens of an answer. An input that brings
        `max_completion_tokens` alone is sent with that.
    """

    name = ProtocolName.OPENAI
    batches = False

    def __init__(
        self, *, logprobs: bool = True, token_limit: TokenLimit = TokenLimit.MAX_TOKENS
    ) -> None:
        self._logprobs = logprobs
        self._completion_tokens = token_limit is TokenLimit.MAX_COMPLETION_TOKENS

    def path(self, model: str) -> str:
        """Give the path of the call."""
        del model
        return "/v1/chat/completions"

    def encode(self, inputs: Sequence[Input], model: str, labels: tuple[str, ...]) -> Any:
        """Give the body of a call for one chat."""
        del labels
        chat = read_chat(inputs[0], _MAX_TOKENS)
        body = {"model": model, "messages": chat["messages"]}
        body |= {key: chat[key] for key in OPTIONS if chat.get(key) is not None}
        if self._completion_tokens or says_completion_tokens(inputs[0]):
            body["max_completion_tokens"] = body.pop("max_tokens")
        if self._logprobs or inputs[0].get("logprobs") is True:
            body |= {"logprobs": True, "top_logprobs": 2}
        return body

    def streamed(self, body: Any) -> Any:
        """Give the body that asks for the answer in pieces, with the tokens counted at the end."""
        return {**body, "stream": True, "stream_options": {"include_usage": True}}

    def decode(self, body: Any, n: int, labels: tuple[str, ...]) -> list[Prediction]:
        """Give the one answer of a message."""
        del n, labels
        choices = body.get("choices") if isinstance(body, dict) else None
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise ValueError("no message in the answer")
        message = choices[0].get("message")
        if not isinstance(message, dict):
            raise ValueError("no message in the answer")
        gathered = Gathered()
        gathered.add(_in_places(_chunk(body, choices[0], message)))
        found = gathered.generation(0)
        if not (found.text or found.tool_calls or found.refusal or found.finish_reason):
            raise ValueError("a message without text")
        return [prediction_of(found)]

    def piece(self, event: str, decode: Callable[[str], Any] = read_json) -> TextChunk | None:
        """Give the piece of an event's data; `None` where it holds nothing of the answer.

        A tool's call whose place the endpoint does not tell has -1.

        Parameters
        ----------
        decode
            Reads JSON; raises a `ValueError` or `RecursionError` where it is none.

        Raises
        ------
        ValueError
            When it is no piece of an answer, or tells of a failure.
        """
        try:
            body = decode(event)
        except (ValueError, RecursionError):
            raise ValueError("a piece that is no JSON") from None
        if not isinstance(body, dict) or not isinstance(body.get("choices", []), list):
            raise ValueError("a piece without choices")
        if body.get("error"):
            raise ValueError("the endpoint told of a failure")
        choice = body["choices"][0] if body.get("choices") else {}
        if not isinstance(choice, dict):
            raise ValueError("a piece without choices")
        delta = choice.get("delta") or {}
        if not isinstance(delta, dict):
            raise ValueError("a piece without a delta")
        chunk = _chunk(body, choice, delta)
        return None if chunk == _NOTHING else chunk


class StreamReader:
    """Gives the pieces of one stream as its bytes come. One for one stream."""

    def __init__(self, wire: ChatWire, decode: Callable[[str], Any] = read_json) -> None:
        self._wire, self._decode = wire, decode
        self._events = EventReader()
        self._places = _Places()
        self._size = 0
        self.has_ended = False
        """Whether a piece said why the answer ends."""
        self.is_over = False
        """Whether nothing follows."""

    def feed(self, received: bytes) -> Iterator[TextChunk]:
        """Give the pieces that these bytes end.

        Raises
        ------
        ValueError
            When they are none, or too many.
        """
        self._size += len(received)
        if self._size > _MAX_STREAM_BYTES:
            raise ValueError("the answer is too large")
        for event in self._events.feed(received):
            if event == _DONE:
                self.is_over = True
                return
            piece = self._wire.piece(event, self._decode)
            if piece is not None:
                self.has_ended = self.has_ended or bool(piece.finish_reason)
                yield self._places.put(piece) if piece.tool_calls else piece


class _Places:
    """Gives tools' calls of one stream their places where the endpoint tells none."""

    def __init__(self) -> None:
        self._next = 0
        self._latest = 0
        self._by_id: dict[str, int] = {}

    def put(self, piece: TextChunk) -> TextChunk:
        """Give a piece whose calls have places: what has an id or a name begins another one."""
        return replace(piece, tool_calls=tuple(map(self._placed, piece.tool_calls)))

    def _placed(self, call: ToolCall) -> ToolCall:
        index = call.index
        if index == _UNTOLD and call.call_id in self._by_id:
            index = self._by_id[call.call_id]
        elif index == _UNTOLD:
            index = self._next if call.call_id or call.name else self._latest
        if call.call_id:
            self._by_id.setdefault(call.call_id, index)
        self._latest, self._next = index, max(self._next, index + 1)
        return replace(call, index=index)


def prediction_of(found: Generation) -> Prediction:
    """Give an answer as all tiers do: its confidence is its tokens' mean probability."""
    mean = found.mean_logprob
    confidence = 0.0 if mean is None else min(1.0, math.exp(max(mean, -700.0)))
    return Prediction(found.text or found.refusal, confidence, (), generation=found)


def as_chunk(answer: Prediction) -> TextChunk:
    """Give a whole answer as one piece."""
    found = answer.generation or Generation(text=answer.label)
    return TextChunk(
        text=found.text,
        finish_reason=found.finish_reason,
        usage=None if found.usage.estimated else found.usage,
        logprobs=found.logprobs,
        first_margin=found.first_margin,
        tool_calls=found.tool_calls,
        refusal=found.refusal,
    )


def _in_places(whole: TextChunk) -> TextChunk:
    """Give a whole answer's calls of tools the places in which they stand."""
    calls = (replace(call, index=place) for place, call in enumerate(whole.tool_calls))
    return replace(whole, tool_calls=tuple(calls))


def _chunk(body: Any, choice: Any, message: Any) -> TextChunk:
    text, refusal = message.get("content"), message.get("refusal")
    if not all(one is None or isinstance(one, str) for one in (text, refusal)):
        raise ValueError("a message without text")
    reason = choice.get("finish_reason")
    logprobs, margin = _logprobs(choice.get("logprobs"))
    return TextChunk(
        text=text or "",
        finish_reason=reason if isinstance(reason, str) else "",
        usage=_usage(body.get("usage")),
        logprobs=logprobs,
        first_margin=margin,
        tool_calls=_tool_calls(message.get("tool_calls")),
        refusal=refusal or "",
    )


def _logprobs(told: Any) -> tuple[tuple[float, ...], float | None]:
    """Give the logarithms of the tokens, and by how much the first one led."""
    tokens = told.get("content") if isinstance(told, dict) else None
    if not isinstance(tokens, list) or not tokens:
        return (), None
    found = tuple(_logprob(token) for token in tokens)
    best = tokens[0].get("top_logprobs")
    shares = [math.exp(_logprob(one)) for one in best] if isinstance(best, list) else []
    first = math.exp(found[0])
    # The token drawn need not be the likeliest: then the margin is negative.
    others = sorted(shares, reverse=True)
    if len(others) < 2:
        return found, None
    rival = others[1] if first >= others[0] - 1e-9 else others[0]
    return found, first - rival


def _logprob(token: Any) -> float:
    value = token.get("logprob") if isinstance(token, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a token without `logprob`")
    if not value <= 1e-6:
        raise ValueError("a `logprob` above 0")
    # Endpoints write -9999 for what has no probability; an integer may be too large for a float.
    return float(min(0.0, max(value, -1000.0)))


def _usage(told: Any) -> TokenUsage | None:
    if not isinstance(told, dict):
        return None
    details = told.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    read = _count(told.get("prompt_tokens"))
    return TokenUsage(
        input_tokens=read,
        cached_input_tokens=min(read, _count(cached or 0)),
        output_tokens=_count(told.get("completion_tokens", 0)),
    )


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError("a count of tokens that is none")
    return value


def _tool_calls(told: Any) -> tuple[ToolCall, ...]:
    if not isinstance(told, list):
        return ()
    return tuple(map(_tool_call, told))


def _tool_call(one: Any) -> ToolCall:
    """Read a call, or a piece of one."""
    told = one if isinstance(one, dict) else {}
    custom = told.get("function") is None and told.get("custom") is not None
    tool = told.get("custom" if custom else "function")
    if not isinstance(tool, dict):
        raise ValueError("a tool call without a function")
    parts = [told.get("id"), tool.get("name"), tool.get("input" if custom else "arguments")]
    if not all(part is None or isinstance(part, str) for part in parts):
        raise ValueError("a tool call whose parts are no text")
    index = told.get("index")
    call_id, name, arguments = (part or "" for part in parts)
    return ToolCall(
        index=_UNTOLD if index is None else _count(index),
        call_id=call_id,
        name=name,
        arguments=arguments,
        custom=custom,
    )
