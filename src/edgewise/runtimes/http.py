"""A model behind an endpoint, asked over HTTP."""

import asyncio
import contextlib
import re
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from edgewise.errors import DeadlineExceeded, EdgewiseError, InvalidData, RemoteError, UsageError
from edgewise.records import Input, Prediction, TextChunk
from edgewise.records import Protocol as ProtocolName
from edgewise.runtimes.addresses import checked_key, joined_url, without_secrets
from edgewise.runtimes.blocking import Blocking
from edgewise.runtimes.chat_wire import ChatWire, StreamReader, as_chunk
from edgewise.runtimes.httpx_lane import HttpxLane
from edgewise.runtimes.lane import Exchanged, Flowing, Lane, LaneBroken
from edgewise.runtimes.wire import Wire, find_wire

_MAX_BODY_BYTES = 16_000_000
_MAX_REFUSAL_BYTES = 64_000
_END_S = 0.05
_MOST_MS = 999_999_999.0
"""What a gateway takes for a deadline."""
_NOTHING: Mapping[str, str] = {}
_JSON = "application/json"
_MEDIA_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,40}")
_HINTS = {
    401: "check the API key",
    403: "check the API key",
    404: "check the endpoint and its model's name",
    405: "check the endpoint and the protocol",
    413: "send a smaller input, or fewer at once",
    429: "ask less often, or wait as long as it says",
}


class RemoteModel:
    """A remote tier. Connections are kept and reused; one object serves any number of callers.

    Made by the engine, the pipeline and `CloudInferenceClient`. The asynchronous face belongs to
    one event loop; the synchronous one to any thread. Redirects are not followed: they would take
    the API key along. The key and what was sent are never shown.

    Parameters
    ----------
    endpoint
        A URL with or without the protocol's own path.
    labels
        In the order of the answer's probabilities; empty accepts any label.
    timeout_ms
        For calls that bring none. It bounds a whole call, connecting and all of its inputs; of a
        stream, each wait for a piece.
    lane
        Gives what carries the asynchronous face's calls to a URL; by default `httpx2` does.
    wire
        In place of the protocol's own: a `ChatWire` answers chats with text.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        protocol: ProtocolName = ProtocolName.JSON,
        model: str = "",
        labels: tuple[str, ...] = (),
        api_key: str | None = None,
        timeout_ms: float = 10_000.0,
        wire: Wire | None = None,
        lane: Callable[[str], Lane] | None = None,
    ) -> None:
        self._wire = find_wire(protocol) if wire is None else wire
        self._labels = labels
        self._model = model
        self._timeout_ms = timeout_ms
        self._url = joined_url(endpoint, self._wire.path(model))
        self.where = without_secrets(self._url)
        # Unasked compression could make a small answer as large as memory.
        self._headers = {
            "content-type": _JSON,
            "accept": _JSON,
            "accept-encoding": "identity",
        }
        if api_key:
            self._headers["authorization"] = f"Bearer {checked_key(api_key)}"
        self._open_lane = HttpxLane if lane is None else lane
        self._lane: Lane | None = None
        self._sync: tuple[Blocking, Lane] | None = None
        self._lock = threading.Lock()

    async def apredict(
        self,
        one: Input,
        *,
        timeout_ms: float | None = None,
        request_id: str = "",
        about: Mapping[str, str] = _NOTHING,
    ) -> Prediction:
        """Answer one input.

        Parameters
        ----------
        request_id
            Sent as `idempotency-key`: an endpoint that knows it answers a repeat without doing
            the work again.
        about
            Headers more, in small letters.

        Raises
        ------
        DeadlineExceeded
            When the answer does not come in time.
        RemoteError
            When the endpoint can't be reached or answers nonsense.
        InvalidData
            When the input can't be sent.
        """
        return (await self._ask(self._opened(), [one], timeout_ms, request_id, about))[0]

    async def apredict_many(
        self, inputs: Sequence[Input], *, timeout_ms: float | None = None
    ) -> list[Prediction]:
        """Answer inputs in order: in one call where the protocol takes many."""
        return await self._ask(self._opened(), inputs, timeout_ms)

    def astream(
        self,
        one: Input,
        *,
        timeout_ms: float | None = None,
        request_id: str = "",
        about: Mapping[str, str] = _NOTHING,
    ) -> AsyncGenerator[TextChunk, None]:
        """Give the pieces of one answer as they come; closing it ends the call at the endpoint.

        An endpoint that does not stream gives its answer as one piece.

        Parameters
        ----------
        timeout_ms
            For each wait: for the first piece, connecting included, and between two. The endpoint
            is told that it has so long for the whole answer; without it, nothing.
        request_id, about
            As `apredict`.

        Raises
        ------
        DeadlineExceeded, RemoteError, InvalidData
            As `apredict`; also when the stream breaks off.
        UsageError
            When the protocol has no streams.
        """
        return self._streamed(self._opened(), one, timeout_ms, request_id, about)

    def stream(
        self, one: Input, *, timeout_ms: float | None = None, request_id: str = ""
    ) -> Generator[TextChunk, None, None]:
        """Give the pieces of one answer, blocking; as `astream`."""
        blocking, lane = self._blocking()
        pieces = self._streamed(lane, one, timeout_ms, request_id, _NOTHING)
        try:
            while (piece := blocking.run(_next(pieces))) is not None:
                yield piece
        finally:
            blocking.run(pieces.aclose())

    async def _streamed(
        self,
        lane: Lane,
        one: Input,
        timeout_ms: float | None,
        request_id: str,
        about: Mapping[str, str],
    ) -> AsyncGenerator[TextChunk, None]:
        wire = self._wire
        if not isinstance(wire, ChatWire):
            hint = "stream text generation over protocol openai"
            raise UsageError("this protocol has no streams", where=self.where, hint=hint)
        limit_ms = self._timeout_ms if timeout_ms is None else timeout_ms
        content = self._encoded(lane, [one], streamed=True)
        # Without a deadline each wait is bounded, and the endpoint need not end the whole by then.
        headers = self._call_headers(timeout_ms, request_id, about)
        headers["accept"] = "text/event-stream"
        now_s, limit_s = asyncio.get_running_loop().time, limit_ms / 1000
        until_s = now_s() + limit_s
        try:
            answer = await lane.flow("POST", content, headers, until_s=until_s)
        except (OSError, ValueError) as failure:
            raise self._failed(failure, limit_ms) from None
        reader = StreamReader(wire, lane.decode)
        try:
            if answer.status_code != 200 or _is_json(answer):
                yield as_chunk(self._read(lane, await _whole(answer, until_s), 1)[0])
                return
            self._check_plain(answer)
            while part := await answer.read(until_s):
                for piece in self._pieces(reader, part):
                    yield piece
                    until_s = now_s() + limit_s
                if reader.is_over:
                    await _read_end(answer, now_s() + _END_S)
                    return
        except OSError as failure:
            raise self._failed(failure, limit_ms) from None
        finally:
            await answer.aclose()
        if not reader.has_ended:
            what, hint = "the stream ended before its answer", "try again"
            raise RemoteError(what, where=self.where, hint=hint, maybe_served=True)

    def _pieces(self, reader: StreamReader, part: bytes) -> Generator[TextChunk, None, None]:
        try:
            yield from reader.feed(part)
        except ValueError as wrong:
            what = f"the stream broke: {wrong}"
            hint = "try again, or read the endpoint's log"
            raise RemoteError(what, where=self.where, hint=hint, maybe_served=True) from None

    async def aprobe(self, timeout_ms: float) -> None:
        """See whether the endpoint is there, without work for its model.

        Any answer but a server's failure will do: many endpoints refuse a `HEAD`.

        Raises
        ------
        DeadlineExceeded, RemoteError
            When nothing comes back, or a failure.
        """
        found = await self._exchange(self._opened(), "HEAD", b"", self._headers, timeout_ms)
        if found.status_code >= 500:
            raise self._refused(found)

    def prepare(self) -> None:
        """Load what the first call needs: it would hold up the event loop for a tenth of a second.

        Any thread may call it, before the first call.
        """
        self._opened()

    def _opened(self) -> Lane:
        if self._lane is None:
            self._lane = self._open_lane(self._url)
        return self._lane

    async def _exchange(
        self, lane: Lane, method: str, content: bytes, headers: dict[str, str], limit_ms: float
    ) -> Exchanged:
        until_s = asyncio.get_running_loop().time() + limit_ms / 1000
        try:
            return await lane.exchange(
                method, content, headers, most_bytes=_MAX_BODY_BYTES, until_s=until_s
            )
        except (OSError, ValueError) as failure:
            raise self._failed(failure, limit_ms) from None

    def predict(
        self, one: Input, *, timeout_ms: float | None = None, request_id: str = ""
    ) -> Prediction:
        """Answer one input, blocking; as `apredict`."""
        blocking, lane = self._blocking()
        return blocking.run(self._ask(lane, [one], timeout_ms, request_id))[0]

    def predict_many(
        self, inputs: Sequence[Input], *, timeout_ms: float | None = None
    ) -> list[Prediction]:
        """Answer inputs in order, blocking."""
        blocking, lane = self._blocking()
        return blocking.run(self._ask(lane, inputs, timeout_ms))

    def _blocking(self) -> tuple[Blocking, Lane]:
        with self._lock:
            if self._sync is None or not self._sync[0].lives_here:
                self._sync = Blocking(), HttpxLane(self._url)
                weakref.finalize(self, self._sync[0].stop)
            return self._sync

    async def aclose(self) -> None:
        """Close the connections of both faces."""
        lane, self._lane = self._lane, None
        if lane is not None:
            await lane.aclose()
        self.close()

    def close(self) -> None:
        """Close the synchronous face's connections."""
        with self._lock:
            opened, self._sync = self._sync, None
        if opened is not None and opened[0].lives_here:
            opened[0].run(opened[1].aclose())
            opened[0].close()

    async def _ask(
        self,
        lane: Lane,
        inputs: Sequence[Input],
        timeout_ms: float | None,
        request_id: str = "",
        about: Mapping[str, str] = _NOTHING,
    ) -> list[Prediction]:
        if not inputs:
            return []
        if not self._wire.batches and len(inputs) > 1:
            try:
                async with asyncio.TaskGroup() as group:
                    asked = [
                        group.create_task(self._ask(lane, [one], timeout_ms)) for one in inputs
                    ]
            except BaseExceptionGroup as failures:
                raise failures.exceptions[0] from None
            return [task.result()[0] for task in asked]
        limit_ms = self._timeout_ms if timeout_ms is None else timeout_ms
        content = self._encoded(lane, inputs)
        headers = self._call_headers(limit_ms, request_id, about)
        answer = await self._exchange(lane, "POST", content, headers, limit_ms)
        return self._read(lane, answer, len(inputs))

    def _check_plain(self, answer: Exchanged | Flowing) -> None:
        """See that an answer has status 200 and is not compressed."""
        if answer.status_code != 200:
            raise self._refused(answer)
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise self._nonsense(
                "the answer is compressed, and that was not asked for",
                "let the endpoint obey `accept-encoding: identity`",
            )

    def _call_headers(
        self, limit_ms: float | None, request_id: str, about: Mapping[str, str]
    ) -> dict[str, str]:
        headers = {**self._headers, **about}
        if limit_ms is not None:
            headers["x-edgewise-deadline-ms"] = f"{min(max(limit_ms, 1.0), _MOST_MS):.0f}"
        if request_id:
            headers["idempotency-key"] = request_id
        return headers

    def _encoded(self, lane: Lane, inputs: Sequence[Input], *, streamed: bool = False) -> bytes:
        """Give the body of a call."""
        try:
            body = self._wire.encode(inputs, self._model, self._labels)
            if streamed and isinstance(self._wire, ChatWire):
                body = self._wire.streamed(body)
            return lane.encode(body)
        except ValueError as unfit:
            hint = 'give {"text": "…"}, or an image as numbers'
            raise InvalidData(str(unfit), where="input", hint=hint) from None

    def _read(self, lane: Lane, answer: Exchanged, n: int) -> list[Prediction]:
        self._check_plain(answer)
        if not answer.whole:
            raise self._nonsense("the answer is too large", "ask with fewer inputs")
        content = answer.content
        if not content:
            hint = f"is it a {self._wire.name.value} endpoint?"
            raise self._nonsense("the answer is empty", hint)
        try:
            body = lane.decode(content)
        except (ValueError, RecursionError):
            known = _MEDIA_TYPE.match(answer.headers.get("content-type", "").lower())
            what = f"the answer is no JSON ({known[0] if known else 'of no known type'})"
            hint = f"is it a {self._wire.name.value} endpoint? a web page answers HTML"
            raise self._nonsense(what, hint) from None
        try:
            return self._wire.decode(body, n, self._labels)
        except ValueError as wrong:
            what = f"not an answer of protocol {self._wire.name.value}: {wrong}"
            raise self._nonsense(what, "check protocol and labels") from None

    def _nonsense(self, what: str, hint: str) -> RemoteError:
        return RemoteError(what, where=self.where, hint=hint, status=200, maybe_served=True)

    def _refused(self, answer: Exchanged | Flowing) -> RemoteError:
        status = answer.status_code
        other = "check the endpoint, the protocol and what is sent"
        if status >= 500:
            other = "try again later, or read the endpoint's log"
        elif 300 <= status < 400:
            other = "give the URL that it leads to: redirects are not followed"
        return RemoteError(
            f"answered HTTP {status}",
            where=self.where,
            hint=_HINTS.get(status, other),
            status=status,
            retry_after_s=_retry_after_s(answer.headers),
        )

    def _failed(self, failure: OSError | ValueError, limit_ms: float) -> EdgewiseError:
        """Give in our words how a lane failed."""
        if isinstance(failure, TimeoutError):
            what = f"no answer within {limit_ms:.0f} ms"
            hint = "allow more time, or check the network"
            return DeadlineExceeded(what, where=self.where, hint=hint)
        if isinstance(failure, LaneBroken):
            return self._broken(failure)
        hint = "write it like https://host/path"
        return UsageError("not a URL that can be asked", where=self.where, hint=hint)

    def _broken(self, broken: LaneBroken) -> RemoteError:
        what, hint = f"can't be reached: {broken.name}", "is it running, and is the URL right?"
        if broken.sent:
            what = f"the connection broke: {broken.name}"
            hint = "try again, or read the endpoint's log"
        return RemoteError(what, where=self.where, hint=hint, maybe_served=broken.sent)


def _is_json(answer: Flowing) -> bool:
    return answer.headers.get("content-type", "").startswith(_JSON)


async def _whole(answer: Flowing, until_s: float) -> Exchanged:
    """Read an answer to its end; of a refusal only what may still be its end."""
    most = _MAX_BODY_BYTES if answer.status_code == 200 else _MAX_REFUSAL_BYTES
    received = bytearray()
    while part := await answer.read(until_s):
        received += part
        if len(received) > most:
            return Exchanged(answer.status_code, answer.headers, b"", whole=False)
    return Exchanged(answer.status_code, answer.headers, bytes(received))


async def _read_end(answer: Flowing, until_s: float) -> None:
    """Read the end of a stream that is over, so that its connection can be used again."""
    with contextlib.suppress(OSError):
        await answer.read(until_s)


async def _next(pieces: AsyncGenerator[TextChunk, None]) -> TextChunk | None:
    return await anext(pieces, None)


def _retry_after_s(headers: Any) -> float | None:
    """Read `Retry-After`: seconds, or a date, which is counted from the answer's own `Date`."""
    told = headers.get("retry-after", "").strip()
    if told.isascii() and told.isdigit():
        return float(told[:9])
    try:
        until, sent = (
            parsedate_to_datetime(value).replace(tzinfo=UTC)
            for value in (told, headers.get("date", ""))
        )
    except (ValueError, OverflowError):
        return None
    return max(0.0, (until - sent).total_seconds())
