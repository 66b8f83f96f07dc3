"""A model behind an endpoint, asked over HTTP: the door to `httpx2`."""

import asyncio
import contextlib
import json
import re
import threading
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Sequence,
)
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from edgewise.errors import DeadlineExceeded, InvalidData, RemoteError, UsageError
from edgewise.records import Input, Prediction, TextChunk
from edgewise.records import Protocol as ProtocolName
from edgewise.runtimes.addresses import checked_key, joined_url, without_secrets
from edgewise.runtimes.answers import read_json
from edgewise.runtimes.blocking import Blocking
from edgewise.runtimes.chat_wire import DONE, ChatWire, as_chunk
from edgewise.runtimes.events import EventReader
from edgewise.runtimes.lane import Exchanged, Lane
from edgewise.runtimes.wire import Wire, find_wire

T = TypeVar("T")
_MAX_BODY_BYTES = 16_000_000
_MAX_STREAM_BYTES = 64_000_000  # pieces repeat their envelope, and are not kept
_MAX_REFUSAL_BYTES = 64_000
_END_S = 0.05
_MOST_CONNECTIONS = 100
_MOST_IDLE = 20
"""The pool looks at each idle connection whenever a call ends: hundreds would hold up the loop."""
_NOT_REACHED = ("ConnectE", "ConnectT", "ConnectionRefused", "Proxy", "Unsupported", "gai")
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
            "content-type": "application/json",
            "accept": "application/json",
            "accept-encoding": "identity",
        }
        if api_key:
            self._headers["authorization"] = f"Bearer {checked_key(api_key)}"
        self._lane = None if lane is None else lane(self._url)
        self._async: Any = None
        self._sync: tuple[Blocking, Any] | None = None
        self._lock = threading.Lock()

    async def apredict(
        self, one: Input, *, timeout_ms: float | None = None, request_id: str = ""
    ) -> Prediction:
        """Answer one input.

        Parameters
        ----------
        request_id
            Sent as `idempotency-key`: an endpoint that knows it answers a repeat without doing
            the work again.

        Raises
        ------
        DeadlineExceeded
            When the answer does not come in time.
        RemoteError
            When the endpoint can't be reached or answers nonsense.
        InvalidData
            When the input can't be sent.
        """
        return (await self._ask(self._lane or self._client(), [one], timeout_ms, request_id))[0]

    async def apredict_many(
        self, inputs: Sequence[Input], *, timeout_ms: float | None = None
    ) -> list[Prediction]:
        """Answer inputs in order: in one call where the protocol takes many."""
        return await self._ask(self._lane or self._client(), inputs, timeout_ms)

    def astream(
        self, one: Input, *, timeout_ms: float | None = None, request_id: str = ""
    ) -> AsyncGenerator[TextChunk, None]:
        """Give the pieces of one answer as they come; closing it ends the call at the endpoint.

        An endpoint that does not stream gives its answer as one piece.

        Parameters
        ----------
        timeout_ms
            For each wait: for the first piece, connecting included, and between two.

        Raises
        ------
        DeadlineExceeded, RemoteError, InvalidData
            As `apredict`; also when the stream breaks off.
        UsageError
            When the protocol has no streams.
        """
        return self._streamed(self._lane or self._client(), one, timeout_ms, request_id)

    def stream(
        self, one: Input, *, timeout_ms: float | None = None
    ) -> Generator[TextChunk, None, None]:
        """Give the pieces of one answer, blocking; as `astream`."""
        blocking, client = self._blocking()
        pieces = self._streamed(client, one, timeout_ms, "")
        try:
            while (piece := blocking.run(_next(pieces))) is not None:
                yield piece
        finally:
            blocking.run(pieces.aclose())

    async def _streamed(
        self, client: Any, one: Input, timeout_ms: float | None, request_id: str
    ) -> AsyncGenerator[TextChunk, None]:
        wire = self._wire
        if not isinstance(wire, ChatWire):
            hint = "stream text generation over protocol openai"
            raise UsageError("this protocol has no streams", where=self.where, hint=hint)
        limit_ms = self._timeout_ms if timeout_ms is None else timeout_ms
        content = json.dumps(wire.streamed(self._body([one]))).encode()
        headers = {**self._call_headers(limit_ms, request_id), "accept": "text/event-stream"}
        pieces = self._pieces(client, wire, content, headers)
        try:
            while True:
                piece = await self._timed(_next(pieces), limit_ms)
                if piece is None:
                    return
                yield piece
        finally:
            await pieces.aclose()

    async def _pieces(
        self, client: Any, wire: ChatWire, content: bytes, headers: dict[str, str]
    ) -> AsyncGenerator[TextChunk, None]:
        post, broken = self._post(client, content, headers)
        try:
            async with post as answer:
                await self._expect_plain(answer)
                if answer.headers.get("content-type", "").startswith("application/json"):
                    received = await self._whole(answer)
                    yield as_chunk(self._read("application/json", received, 1)[0])
                    return
                async for piece in self._events(wire, answer):
                    yield piece
        except broken as failure:
            raise self._broken(failure) from None

    def _post(
        self, client: Any, content: bytes, headers: dict[str, str]
    ) -> tuple[Any, type[Exception]]:
        """Give a call whose answer is read as it comes, and what it raises where that fails."""
        if self._lane is not None and client is self._lane:
            return self._lane.stream("POST", content, headers), OSError
        import httpx2  # noqa: PLC0415 - heavy

        post = client.stream("POST", self._url, content=content, headers=headers, timeout=None)
        return post, httpx2.HTTPError

    async def _events(self, wire: ChatWire, answer: Any) -> AsyncIterator[TextChunk]:
        reader, size, ended = EventReader(), 0, False
        parts = answer.aiter_raw()
        async for part in parts:
            size += len(part)
            try:
                if size > _MAX_STREAM_BYTES:
                    raise ValueError("the answer is too large")
                for event in reader.feed(part):
                    if event == DONE:
                        await _end(parts)
                        return
                    piece = wire.piece(event)
                    if piece is not None:
                        ended = ended or bool(piece.finish_reason)
                        yield piece
            except ValueError as wrong:
                what = f"the stream broke: {wrong}"
                hint = "try again, or read the endpoint's log"
                raise RemoteError(what, where=self.where, hint=hint) from None
        if not ended:
            what, hint = "the stream ended before its answer", "try again"
            raise RemoteError(what, where=self.where, hint=hint)

    async def aprobe(self, timeout_ms: float) -> None:
        """See whether the endpoint is there, without work for its model.

        Any answer but a server's failure will do: many endpoints refuse a `HEAD`.

        Raises
        ------
        DeadlineExceeded, RemoteError
            When nothing comes back, or a failure.
        """
        await self._timed(self._look(), timeout_ms)

    async def _look(self) -> None:
        if self._lane is not None:
            found = await self._carried(self._lane, "HEAD", b"", self._headers)
            if found.status_code >= 500:
                raise self._refused(found)
            return
        import httpx2  # noqa: PLC0415 - heavy

        try:
            answer = await self._client().head(self._url, headers=self._headers, timeout=None)
        except httpx2.HTTPError as failure:
            raise self._broken(failure) from None
        if answer.status_code >= 500:
            raise self._refused(answer)

    def prepare(self) -> None:
        """Load what the first call needs: it would hold up the event loop for a tenth of a second.

        Any thread may call it, before the first call.
        """
        if self._lane is None:
            self._client()

    async def _carried(
        self, lane: Lane, method: str, content: bytes, headers: dict[str, str]
    ) -> Exchanged:
        try:
            return await lane.exchange(method, content, headers, _MAX_BODY_BYTES)
        except OSError as failure:
            raise self._broken(failure) from None

    def _client(self) -> Any:
        if self._async is None:
            self._async = _open_client(self._url)
        return self._async

    async def _timed(self, call: Coroutine[Any, Any, T], limit_ms: float) -> T:
        try:
            async with asyncio.timeout(limit_ms / 1000):
                return await call
        except TimeoutError:
            what = f"no answer within {limit_ms:.0f} ms"
            hint = "allow more time, or check the network"
            raise DeadlineExceeded(what, where=self.where, hint=hint) from None

    def predict(self, one: Input, *, timeout_ms: float | None = None) -> Prediction:
        """Answer one input, blocking."""
        return self.predict_many([one], timeout_ms=timeout_ms)[0]

    def predict_many(
        self, inputs: Sequence[Input], *, timeout_ms: float | None = None
    ) -> list[Prediction]:
        """Answer inputs in order, blocking."""
        blocking, client = self._blocking()
        return blocking.run(self._ask(client, inputs, timeout_ms))

    def _blocking(self) -> tuple[Blocking, Any]:
        with self._lock:
            if self._sync is None or not self._sync[0].lives_here:
                self._sync = Blocking(), _open_client(self._url)
                weakref.finalize(self, self._sync[0].stop)
            return self._sync

    async def aclose(self) -> None:
        """Close the connections of both faces."""
        if self._lane is not None:
            await self._lane.aclose()
        if self._async is not None:
            client, self._async = self._async, None
            await client.aclose()
        self.close()

    def close(self) -> None:
        """Close the synchronous face's connections."""
        with self._lock:
            opened, self._sync = self._sync, None
        if opened is not None and opened[0].lives_here:
            opened[0].run(opened[1].aclose())
            opened[0].close()

    async def _ask(
        self, client: Any, inputs: Sequence[Input], timeout_ms: float | None, request_id: str = ""
    ) -> list[Prediction]:
        if not inputs:
            return []
        if not self._wire.batches and len(inputs) > 1:
            try:
                async with asyncio.TaskGroup() as group:
                    asked = [
                        group.create_task(self._ask(client, [one], timeout_ms)) for one in inputs
                    ]
            except BaseExceptionGroup as failures:
                raise failures.exceptions[0] from None
            return [task.result()[0] for task in asked]
        limit_ms = self._timeout_ms if timeout_ms is None else timeout_ms
        content = json.dumps(self._body(inputs)).encode()
        headers = self._call_headers(limit_ms, request_id)
        kind, answer = await self._timed(self._exchange(client, content, headers), limit_ms)
        return self._read(kind, answer, len(inputs))

    async def _exchange(
        self, client: Any, content: bytes, headers: dict[str, str]
    ) -> tuple[str, bytes]:
        """Send a body; give the content type and the bytes of an answer with status 200."""
        if self._lane is not None and client is self._lane:
            found = await self._carried(client, "POST", content, headers)
            self._check_plain(found)
            return found.headers.get("content-type", ""), found.content
        import httpx2  # noqa: PLC0415 - heavy

        post = client.stream("POST", self._url, content=content, headers=headers, timeout=None)
        try:
            async with post as answer:
                await self._expect_plain(answer)
                received = await self._whole(answer)
                return answer.headers.get("content-type", ""), received
        except httpx2.HTTPError as failure:
            # The failure holds the request, and with it the key: its name is enough.
            raise self._broken(failure) from None
        except (httpx2.InvalidURL, UnicodeError):
            hint = "write it like https://host/path"
            raise UsageError("not a URL that can be asked", where=self.where, hint=hint) from None

    async def _expect_plain(self, answer: Any) -> None:
        """See that an answer has status 200 and is not compressed."""
        if answer.status_code != 200:
            await _drain(answer)
        self._check_plain(answer)

    def _check_plain(self, answer: Any) -> None:
        if answer.status_code != 200:
            raise self._refused(answer)
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise self._nonsense(
                "the answer is compressed, and that was not asked for",
                "let the endpoint obey `accept-encoding: identity`",
            )

    async def _whole(self, answer: Any) -> bytes:
        received = bytearray()
        async for part in answer.aiter_raw():
            received += part
            if len(received) > _MAX_BODY_BYTES:
                raise self._nonsense("the answer is too large", "ask with fewer inputs")
        return bytes(received)

    def _call_headers(self, limit_ms: float, request_id: str) -> dict[str, str]:
        headers = {**self._headers, "x-edgewise-deadline-ms": f"{limit_ms:.0f}"}
        if request_id:
            headers["idempotency-key"] = request_id
        return headers

    def _body(self, inputs: Sequence[Input]) -> Any:
        try:
            return self._wire.encode(inputs, self._model, self._labels)
        except ValueError as unfit:
            hint = 'give {"text": "…"}, or an image as numbers'
            raise InvalidData(str(unfit), where="input", hint=hint) from None

    def _read(self, kind: str, content: bytes, n: int) -> list[Prediction]:
        name = self._wire.name.value
        if not content:
            raise self._nonsense("the answer is empty", f"is it a {name} endpoint?")
        try:
            body = read_json(content)
        except (ValueError, RecursionError):
            known = _MEDIA_TYPE.match(kind.lower())
            what = f"the answer is no JSON ({known[0] if known else 'of no known type'})"
            hint = f"is it a {name} endpoint? a web page answers HTML"
            raise self._nonsense(what, hint) from None
        try:
            return self._wire.decode(body, n, self._labels)
        except ValueError as wrong:
            what = f"not an answer of protocol {name}: {wrong}"
            raise self._nonsense(what, "check protocol and labels") from None

    def _nonsense(self, what: str, hint: str) -> RemoteError:
        return RemoteError(what, where=self.where, hint=hint, status=200, maybe_served=True)

    def _refused(self, answer: Any) -> RemoteError:
        status = int(answer.status_code)
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

    def _broken(self, failure: Exception) -> RemoteError:
        name = type(failure).__name__
        sent = not name.startswith(_NOT_REACHED)
        what, hint = f"can't be reached: {name}", "is it running, and is the URL right?"
        if sent:
            what, hint = f"the connection broke: {name}", "try again, or read the endpoint's log"
        return RemoteError(what, where=self.where, hint=hint, maybe_served=sent)


def _open_client(url: str) -> Any:
    import httpx2  # noqa: PLC0415 - heavy

    limits = httpx2.Limits(max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_IDLE)
    # Reading the certificates takes tens of milliseconds: only where they are used.
    return httpx2.AsyncClient(limits=limits, verify=url.startswith("https"))


async def _next(pieces: AsyncGenerator[TextChunk, None]) -> TextChunk | None:
    return await anext(pieces, None)


async def _end(parts: AsyncIterator[bytes]) -> None:
    """Read the end of a stream that is over, so that its connection can be used again."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_S):
            async for _ in parts:
                return


async def _drain(answer: Any) -> None:
    """Read a short refusal to its end, so that its connection can be used again."""
    received = 0
    async for part in answer.aiter_raw():
        received += len(part)
        if received > _MAX_REFUSAL_BYTES:
            return


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
    except ValueError:
        return None
    return max(0.0, (until - sent).total_seconds())
