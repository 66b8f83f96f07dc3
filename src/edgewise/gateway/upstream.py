"""Calls to remote tiers over kept connections: a small client on llhttp.

It does what the gateway needs of HTTP/1.1 and nothing else: no redirects, no proxies, no cookies,
no compression. Each connection carries one call at a time; a call that is given up takes its
connection along.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httptools

from edgewise.runtimes import Exchanged

_MOST_IDLE = 128
_MOST_HEAD_BYTES = 65_536
_MOST_UNREAD_BYTES = 262_144


class _Body:
    """An answer whose body comes while it is read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: Any) -> None:
        self.status_code = 0
        self.headers: Mapping[str, str] = {}
        self.begun: asyncio.Future[None] = loop.create_future()
        self.ended = False
        self._loop, self._transport = loop, transport
        self._parts: list[bytes] = []
        self._unread = 0
        self._paused = False
        self._failure: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        """Give the body as it comes."""
        while True:
            if self._parts:
                part = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                self._parts, self._unread = [], 0
                if self._paused:
                    self._paused = False
                    self._transport.resume_reading()
                yield part
            elif self._failure is not None:
                raise self._failure
            elif self.ended:
                return
            else:
                self._waiting = self._loop.create_future()
                await self._waiting

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.status_code, self.headers = status, headers
        if not self.begun.done():
            self.begun.set_result(None)

    def add(self, part: bytes) -> None:
        self._parts.append(part)
        self._unread += len(part)
        if self._unread > _MOST_UNREAD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def end(self, failure: Exception | None = None) -> None:
        if self.ended:
            return
        if failure is None:
            self.ended = True
        elif not self.begun.done():
            self.begun.set_exception(failure)
        else:
            self._failure = failure
        self._wake()

    @property
    def ends_by_closing(self) -> bool:
        """Whether nothing tells its length: it is whole when the connection ends."""
        told = ("content-length", "transfer-encoding")
        return bool(self.status_code) and not any(name in self.headers for name in told)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class _Call(asyncio.Protocol):
    """One connection and the call that it carries."""

    def __init__(self, most_bytes: int) -> None:
        self.transport: Any = None
        self.most_bytes = most_bytes
        self._answer: asyncio.Future[Exchanged] | None = None
        self._body: _Body | None = None
        self._parser: Any = None
        self.reusable = True

    def begin(
        self, loop: asyncio.AbstractEventLoop, sent: bytes, *, bodiless: bool
    ) -> "asyncio.Future[Exchanged]":
        """Send a request; gives where its answer will be."""
        self._answer = loop.create_future()
        self._send(sent, bodiless=bodiless)
        return self._answer

    def flow(self, loop: asyncio.AbstractEventLoop, sent: bytes) -> _Body:
        """Send a request; gives its answer as it comes."""
        self._body = _Body(loop, self.transport)
        self._send(sent, bodiless=False)
        return self._body

    def rest(self) -> None:
        """Forget the call that has ended."""
        self._answer = self._body = None

    def _send(self, sent: bytes, *, bodiless: bool) -> None:
        self._bodiless = bodiless
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._received = self._head = 0
        self.transport.write(sent)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, failure: Exception | None) -> None:
        self.reusable = False
        if failure is None and self._body is not None and self._body.ends_by_closing:
            self._body.end()
            return
        self._fail(failure or ConnectionResetError("closed before the answer was whole"))

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            self.reusable = False  # nobody asked for this
            self.transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as broken:
            cause = broken.__context__
            whole = isinstance(cause, _TooLarge)
            self._fail(cause if whole else ConnectionError("no HTTP"))  # type: ignore[arg-type]

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value)
        if self._head > _MOST_HEAD_BYTES:
            raise _TooLarge
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._body is not None and self._parser.get_status_code() >= 200:
            self._body.begin(self._parser.get_status_code(), self._headers)
        if self._bodiless:  # its length is told, and nothing follows: the parser can't know
            self.reusable = False
            self.on_message_complete()

    def on_body(self, part: bytes) -> None:
        if self._body is not None:
            self._body.add(part)
            return
        self._received += len(part)
        if self._received > self.most_bytes:
            raise _TooLarge
        self._parts.append(part)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # an interim answer: the real one follows
            self._headers = {}
            return
        self.reusable = self.reusable and bool(self._parser.should_keep_alive())
        if self._body is not None:
            self._body.end()
        elif self._answer is not None and not self._answer.done():
            content = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._answer.set_result(Exchanged(status, self._headers, content))

    @property
    def _is_idle(self) -> bool:
        if self._body is not None:
            return self._body.ended
        return self._answer is None or self._answer.done()

    def _fail(self, failure: Exception) -> None:
        self.reusable = False
        if self._body is not None:
            self._body.end(failure)
        elif self._answer is not None and not self._answer.done():
            self._answer.set_exception(failure)
        if self.transport is not None:
            self.transport.abort()


class _TooLarge(ConnectionError):
    """The answer exceeds its bound."""


class FastLane:
    """Asks one endpoint. Made by `RemoteModel`, used from one event loop."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._name = parts.netloc.rpartition("@")[2]
        self._idle: deque[_Call] = deque()
        self._heads: dict[tuple[str, str], str] = {}

    async def exchange(
        self, method: str, content: bytes, headers: Mapping[str, str], most_bytes: int
    ) -> Exchanged:
        """Send a request and give its whole answer.

        Raises
        ------
        OSError
            When no whole answer comes.
        """
        loop = asyncio.get_running_loop()
        call = await self._connection(loop, most_bytes)
        try:
            answer = await call.begin(
                loop, self._written(method, content, headers), bodiless=method == "HEAD"
            )
        except BaseException:
            call.transport.abort()
            raise
        self._take_back(call)
        return answer

    @asynccontextmanager
    async def stream(
        self, method: str, content: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[_Body]:
        """Send a request and give its answer once the head is here; leaving ends the call.

        Raises
        ------
        OSError
            When no answer comes.
        """
        loop = asyncio.get_running_loop()
        call = await self._connection(loop, _MOST_HEAD_BYTES)
        body = call.flow(loop, self._written(method, content, headers))
        try:
            await body.begun
            yield body
        finally:
            if body.ended:
                self._take_back(call)
            else:
                call.transport.abort()

    def _written(self, method: str, content: bytes, headers: Mapping[str, str]) -> bytes:
        told = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = (
            f"{method} {self._path} HTTP/1.1\r\nhost: {self._name}\r\n{told}"
            f"content-length: {len(content)}\r\n\r\n"
        )
        return head.encode("latin-1") + content

    def _take_back(self, call: _Call) -> None:
        if call.reusable and len(self._idle) < _MOST_IDLE:
            call.rest()
            self._idle.append(call)
        else:
            call.transport.close()

    async def aclose(self) -> None:
        """Close the connections that wait."""
        while self._idle:
            self._idle.pop().transport.close()
        await asyncio.sleep(0)

    async def _connection(self, loop: asyncio.AbstractEventLoop, most_bytes: int) -> _Call:
        while self._idle:
            call = self._idle.pop()
            if call.reusable and not call.transport.is_closing():
                call.most_bytes = most_bytes
                return call
        _, made = await loop.create_connection(
            lambda: _Call(most_bytes), self._host, self._port, ssl=self._tls
        )
        return made
