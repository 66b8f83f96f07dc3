"""OpenAI's interface: models, chat completions, completions and embeddings.

A classifier answers with its label as the text; what generates text is handed in instead, as
another `Completes`. Framing, errors and checks are here.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Protocol

from edgewise.errors import InvalidData
from edgewise.gateway import sse
from edgewise.gateway.asking import Asked, Asking, decided, refuse_late
from edgewise.gateway.bodies import read_object, to_json
from edgewise.gateway.completing import Completes, Completion, Piece
from edgewise.gateway.messages import Request, Response
from edgewise.gateway.refusing import Refusal
from edgewise.records import Input, ToolCall
from edgewise.route import Clock

_LEAST_LOG_SHARE = -100.0
_MESSAGES_HINT = 'give [{"role": "user", "content": "…"}]'


class Embeds(Protocol):
    """Gives texts their vectors."""

    async def embed(self, inputs: Sequence[Input], asked: Asked) -> tuple[list[list[float]], int]:
        """Give a vector a text, and the tokens of all, as far as a request's headers allow."""
        ...


class Labels:
    """Completes a text with its label. Made by the gateway."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def complete(self, one: Input, body: dict[str, Any], asked: Asked) -> Completion:
        """Answer with the label, its probability that of its one token."""
        text = one["prompt"] if "prompt" in one else _last_message(one["messages"])
        result = await self._asking.one({"text": text}, asked, (body,))
        share = max(_LEAST_LOG_SHARE, math.log(result.confidence)) if result.confidence else -100.0

        async def pieces() -> AsyncGenerator[Piece, None]:
            yield Piece(text=result.label, log_share=share)

        return Completion(
            pieces=pieces(), headers=decided([result]), tokens_in=len(text.split()), tokens_out=1
        )


class OpenAi:
    """Answers `/v1`. Made by the gateway.

    Parameters
    ----------
    most
        Texts that one request may have embedded.
    """

    def __init__(
        self,
        completes: Completes,
        embeds: Embeds | None,
        *,
        name: str,
        clock: Clock,
        ids: Any,
        most: int,
    ) -> None:
        self._completes, self._embeds = completes, embeds
        self._name, self._clock, self._ids = name, clock, ids
        self._most = most
        self._made_s = int(clock.utc_s())

    def models(self) -> Response:
        """List the models."""
        return Response(body=to_json({"object": "list", "data": [self._model()]}))

    def model(self, name: str) -> Response:
        """Give one model."""
        if name not in (self._name, "default"):
            raise Refusal(404, "no such model")
        return Response(body=to_json(self._model()))

    def _model(self) -> dict[str, Any]:
        made = {"object": "model", "created": self._made_s, "owned_by": "edgewise"}
        return {"id": self._name, **made}

    async def chat(self, request: Request, asked: Asked) -> Response:
        """Answer `/v1/chat/completions`."""
        body = read_object(request.body)
        one = {"messages": _messages(body)}
        return await self._answer(one, body, asked, _Chat(self._head("chatcmpl"), body))

    async def complete(self, request: Request, asked: Asked) -> Response:
        """Answer `/v1/completions`."""
        body = read_object(request.body)
        prompt = body.get("prompt")
        if isinstance(prompt, list) and len(prompt) == 1:
            prompt = prompt[0]
        if not isinstance(prompt, str):
            raise InvalidData("`prompt` is no text", where="prompt", hint="give one text")
        one = {"prompt": prompt}
        return await self._answer(one, body, asked, _Text(self._head("cmpl"), body))

    async def embed(self, request: Request, asked: Asked) -> Response:
        """Answer `/v1/embeddings`."""
        refuse_late(asked, "an embedding")
        if self._embeds is None:
            hint = "serve a bundle of feature extraction"
            raise Refusal(404, "the model gives no embeddings", hint=hint)
        body = read_object(request.body)
        self._check_model(body)
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
            raise InvalidData("`input` is no text", where="input", hint="give texts")
        if len(texts) > self._most:
            what, hint = f"{len(texts)} texts", f"give 1 to {self._most}"
            raise InvalidData(what, where="input", hint=hint)
        if body.get("encoding_format") not in (None, "float", "base64"):
            raise InvalidData("no such `encoding_format`", where="input", hint="say float")
        vectors, tokens = await self._embeds.embed([{"text": text} for text in texts], asked)
        if vectors and body.get("dimensions") not in (None, len(vectors[0])):
            what, hint = f"the model gives {len(vectors[0])} dimensions", "leave `dimensions` out"
            raise InvalidData(what, where="dimensions", hint=hint)
        encode = _base64 if body.get("encoding_format") == "base64" else _as_it_is
        data = [
            {"object": "embedding", "index": index, "embedding": encode(vector)}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        told = {"object": "list", "data": data, "model": self._name, "usage": usage}
        return Response(body=to_json(told))

    def _check_model(self, body: dict[str, Any]) -> None:
        if body.get("model") not in (None, "", "default", self._name):
            raise Refusal(404, "no such model", hint="see /v1/models")

    def _head(self, kind: str) -> dict[str, Any]:
        made = int(self._clock.utc_s())
        return {"id": f"{kind}-{self._ids()}", "created": made, "model": self._name}

    async def _answer(
        self, one: Input, body: dict[str, Any], asked: Asked, shape: "_Shape"
    ) -> Response:
        if body.get("n", 1) not in (1, None):
            raise InvalidData("`n` is not 1", where="n", hint="ask once for each")
        self._check_model(body)
        refuse_late(asked, "a completion")
        completion = await self._completes.complete(one, body, asked)
        if body.get("stream") is True:
            parts = sse.Events(completion, shape)
            return Response(kind=sse.KIND, parts=parts, headers=completion.headers, begun=True)
        pieces = [piece async for piece in completion.pieces]
        return Response(body=to_json(shape.whole(pieces, completion)), headers=completion.headers)


class _Shape(ABC):
    """The JSON of an answer, whole or in chunks."""

    object = ""
    chunk_object = ""

    def __init__(self, head: dict[str, Any], body: dict[str, Any]) -> None:
        self._head = head
        self._told = bool(body.get("logprobs"))
        options = body.get("stream_options")
        self._usage = isinstance(options, dict) and options.get("include_usage") is True
        self._alike = b""
        """The JSON of a chunk as far as all of an answer are alike."""

    def whole(self, pieces: Sequence[Piece], completion: Completion) -> dict[str, Any]:
        """Give the whole answer."""
        choice = self.choice(pieces, delta=False)
        choice["finish_reason"] = completion.finish
        usage = _usage(completion)
        return {**self._head, "object": self.object, "choices": [choice], "usage": usage}

    def piece(self, piece: Piece) -> bytes:
        """Give the events of a piece; what stands before the first comes with it."""
        opening = self._begin()
        return opening + self._chunk({**self.choice([piece], delta=True), "finish_reason": None})

    def end(self, completion: Completion) -> bytes:
        """Give the events of the end."""
        opening = self._begin()
        said = self._chunk({**self.closing(), "finish_reason": completion.finish})
        if self._usage:
            head = {**self._head, "object": self.chunk_object}
            said += sse.event(to_json({**head, "choices": [], "usage": _usage(completion)}))
        return opening + said

    def _begin(self) -> bytes:
        """Give what stands before the first piece, once."""
        if self._alike:
            return b""
        head = {**self._head, "object": self.chunk_object}
        self._alike = to_json(head)[:-1] + b',"choices":['
        return b"".join([self._chunk(choice) for choice in self.opening()])

    def _chunk(self, choice: dict[str, Any]) -> bytes:
        return sse.event(self._alike + to_json(choice) + b"]}")

    def opening(self) -> list[dict[str, Any]]:
        """Give the choices that stand before the first piece."""
        return []

    @abstractmethod
    def closing(self) -> dict[str, Any]:
        """Give the choice that says how it ended, without the reason."""

    @abstractmethod
    def choice(self, pieces: Sequence[Piece], *, delta: bool) -> dict[str, Any]:
        """Give a choice of these pieces."""


class _Chat(_Shape):
    object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def opening(self) -> list[dict[str, Any]]:
        delta = {"role": "assistant", "content": ""}
        return [{"index": 0, "delta": delta, "finish_reason": None}]

    def closing(self) -> dict[str, Any]:
        return {"index": 0, "delta": {}}

    def choice(self, pieces: Sequence[Piece], *, delta: bool) -> dict[str, Any]:
        text = "".join(piece.text for piece in pieces)
        refusal = "".join(piece.refusal for piece in pieces)
        told = None
        if self._told:
            told = {"content": [_token(piece) for piece in pieces]}
        if delta:
            return {"index": 0, "delta": _delta(text, refusal, pieces), "logprobs": told}
        calls = [call for piece in pieces for call in piece.tool_calls]
        content = text or (None if calls or refusal else "")
        message: dict[str, Any] = {"role": "assistant", "content": content}
        message["refusal"] = refusal or None
        if calls:
            message["tool_calls"] = [_call(call) for call in calls]
        return {"index": 0, "message": message, "logprobs": told}


class _Text(_Shape):
    object = "text_completion"
    chunk_object = "text_completion"

    def closing(self) -> dict[str, Any]:
        return {"index": 0, "text": "", "logprobs": None}

    def choice(self, pieces: Sequence[Piece], *, delta: bool) -> dict[str, Any]:
        del delta
        told = None
        if self._told:
            tokens = [_said(piece) for piece in pieces]
            told = {"tokens": tokens, "token_logprobs": [piece.log_share for piece in pieces]}
        return {"index": 0, "text": "".join(map(_said, pieces)), "logprobs": told}


def _said(piece: Piece) -> str:
    """Give the words of a piece where the interface has no place for a refusal."""
    return piece.text or piece.refusal


def _token(piece: Piece) -> dict[str, Any]:
    share = _LEAST_LOG_SHARE if piece.log_share is None else piece.log_share
    raw = list(piece.text.encode())
    return {"token": piece.text, "logprob": share, "bytes": raw, "top_logprobs": []}


def _delta(text: str, refusal: str, pieces: Sequence[Piece]) -> dict[str, Any]:
    calls = [{"index": call.index, **_call(call)} for piece in pieces for call in piece.tool_calls]
    if not calls and not refusal:
        return {"content": text}
    told = {"content": text, "refusal": refusal, "tool_calls": calls}
    return {name: value for name, value in told.items() if value}


def _call(call: ToolCall) -> dict[str, Any]:
    """Give a call of a tool; of a later piece of one only what it adds."""
    kind, words = ("custom", "input") if call.custom else ("function", "arguments")
    tool = {"name": call.name} if call.name else {}
    tool[words] = call.arguments
    head = {"id": call.call_id, "type": kind} if call.call_id else {}
    return {**head, kind: tool}


def _usage(completion: Completion) -> dict[str, Any]:
    given, made = completion.tokens_in, completion.tokens_out
    told = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
    if not completion.tokens_cached:
        return told
    return {**told, "prompt_tokens_details": {"cached_tokens": completion.tokens_cached}}


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        what = "`messages` is no list of messages"
        raise InvalidData(what, where="messages", hint=_MESSAGES_HINT)
    return messages


def _last_message(messages: Sequence[dict[str, Any]]) -> str:
    """Give the text of the last message of the user."""
    hint = _MESSAGES_HINT
    for message in reversed(messages):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            told = [part.get("text") for part in content if isinstance(part, dict)]
            texts = [text for text in told if isinstance(text, str)]
            if texts and len(texts) == len(content):
                return "\n".join(texts)
        raise InvalidData("a message's content is no text", where="messages", hint=hint)
    raise InvalidData("there is no message of the user", where="messages", hint=hint)


def _as_it_is(vector: list[float]) -> list[float]:
    return vector


def _base64(vector: list[float]) -> str:
    import base64  # noqa: PLC0415 - few ask for it
    import struct  # noqa: PLC0415 - few ask for it

    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
