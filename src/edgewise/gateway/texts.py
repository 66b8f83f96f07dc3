"""Text generation behind OpenAI's interface: the engine's answers, whole and in pieces."""

from collections.abc import Mapping
from typing import Any

from edgewise.gateway.asking import Asked, Asking, Streamed, decided
from edgewise.gateway.completing import Completion, Piece
from edgewise.gateway.messages import Headers
from edgewise.records import Input, TextChunk, TokenUsage, ToolCall
from edgewise.tasks.chat_options import OPTIONS

_KNOWN_AT_THE_END = ("x-edgewise-cost-usd", "x-edgewise-latency-ms")


class Texts:
    """Completes chats and texts by the engine. Made by the gateway for text generation."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def complete(self, one: Input, body: dict[str, Any], asked: Asked) -> Completion:
        """Answer whole, or begin a stream once the answer that is handed out is chosen."""
        one = _with_options(one, body)
        if body.get("stream") is True:
            return await _begun(self._asking.stream(one, asked, (body,)))
        result = await self._asking.one(one, asked, (body,))
        generation = result.generation or {}
        calls = tuple(ToolCall(**call) for call in generation.get("tool_calls", ()))
        refusal = generation.get("refusal", "")
        whole = Piece(
            text="" if result.label == refusal else result.label,
            log_share=generation.get("logprob"),
            tool_calls=calls,
            refusal=refusal,
        )
        found = Completion(
            pieces=_Whole(whole),
            headers=decided([result]),
            finish=generation.get("finish_reason") or _finish(calls=bool(calls)),
        )
        _count(found, TokenUsage(**generation.get("usage", {})))
        return found


def _with_options(one: Input, body: Mapping[str, Any]) -> dict[str, Any]:
    """Add what is passed on to the model."""
    names = (*OPTIONS, "max_completion_tokens")
    found = {**one, **{key: body[key] for key in names if body.get(key) is not None}}
    if body.get("logprobs"):
        found["logprobs"] = True
    return found


class _Whole:
    """A whole answer as the one piece that it is."""

    def __init__(self, piece: Piece) -> None:
        self._piece: Piece | None = piece

    def __aiter__(self) -> "_Whole":
        return self

    async def __anext__(self) -> Piece:
        piece, self._piece = self._piece, None
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Do nothing: nothing is under way."""


async def _begun(streamed: Streamed) -> Completion:
    """Wait for the first piece: until then nobody knows who answers, or whether anybody does."""
    pieces = _Pieces(streamed)
    try:
        await pieces.read_first()
    except BaseException:
        await pieces.aclose()
        raise
    so_far = streamed.stream.so_far
    assert so_far is not None
    headers = [one for one in decided([so_far]) if one[0] not in _KNOWN_AT_THE_END]
    pieces.completion = Completion(pieces=pieces, headers=headers)
    return pieces.completion


class _Pieces:
    """The pieces of an answer on its way; at their end the completion learns the rest."""

    def __init__(self, streamed: Streamed) -> None:
        self._streamed = streamed
        self._first: TextChunk | None = None
        self._calls = False
        self._finish = ""
        self.completion: Completion | None = None

    def __aiter__(self) -> "_Pieces":
        return self

    async def read_first(self) -> None:
        """Read the first piece and keep it; an answer may have none."""
        self._first = await self._next()

    async def __anext__(self) -> Piece:
        chunk, self._first = self._first, None
        if chunk is None:
            chunk = await self._next()
        while chunk is not None:
            self._finish = chunk.finish_reason or self._finish
            self._calls = self._calls or bool(chunk.tool_calls)
            if chunk.is_content or chunk.logprobs:
                share = sum(chunk.logprobs) if chunk.logprobs else None
                return Piece(
                    text=chunk.text,
                    log_share=share,
                    tool_calls=chunk.tool_calls,
                    refusal=chunk.refusal,
                )
            chunk = await self._next()
        self._end()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Leave: the tier stops its work."""
        await self._streamed.stream.aclose()
        self._streamed.ended(None)

    async def _next(self) -> TextChunk | None:
        try:
            return await self._streamed.stream.__anext__()
        except StopAsyncIteration:
            return None
        except BaseException as failure:
            self._streamed.ended(failure)
            raise

    def _end(self) -> None:
        result, found = self._streamed.stream.result, self.completion
        if result is None or found is None:
            return
        found.finish = self._finish or _finish(calls=self._calls)
        _count(found, TokenUsage(**(result.generation or {}).get("usage", {})))
        found.told = _told_last(decided([result]))


def _told_last(headers: Headers) -> Headers:
    return [one for one in headers if one[0] in _KNOWN_AT_THE_END]


def _finish(*, calls: bool) -> str:
    return "tool_calls" if calls else "stop"


def _count(found: Completion, usage: TokenUsage) -> None:
    found.tokens_in, found.tokens_out = usage.input_tokens, usage.output_tokens
    found.tokens_cached = usage.cached_input_tokens
