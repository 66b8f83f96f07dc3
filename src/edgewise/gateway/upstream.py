"""Calls to remote tiers over kept connections: a small client on llhttp.

It does what the gateway needs of HTTP/1.1 and nothing else: no redirects, no proxies, no cookies,
no compression. Each connection carries one call at a time; a call that is given up takes its
connection along.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httptools

from edgewise.runtimes import Exchanged

_MOST_IDLE = 128
_MOST_HEAD_BYTES = 65_536


class _Call(asyncio.Protocol):
    """One connection and the call that it carries."""

    def __init__(self, most_bytes: int) -> None:
        self.transport: Any = None
        self.most_bytes = most_bytes
        self._answer: asyncio.Future[Exchanged] | None = None
        self._parser: Any = None
        self.reusable = True

    def begin(
        self, loop: asyncio.AbstractEventLoop, sent: bytes, *, bodiless: bool
    ) -> "asyncio.Future[Exchanged]":
        """Send a request; gives where its answer will be."""
        self._bodiless = bodiless
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._received = self._head = 0
        self._answer = loop.create_future()
        self.transport.write(sent)
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, failure: Exception | None) -> None:
        self.reusable = False
        self._fail(failure or ConnectionResetError("closed before the answer was whole"))

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
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
        if self._bodiless:  # its length is told, and nothing follows: the parser can't know
            self.reusable = False
            self.on_message_complete()

    def on_body(self, part: bytes) -> None:
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
        if self._answer is not None and not self._answer.done():
            content = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._answer.set_result(Exchanged(status, self._headers, content))

    def _fail(self, failure: Exception) -> None:
        self.reusable = False
        if self._answer is not None and not self._answer.done():
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
        told = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = (
            f"{method} {self._path} HTTP/1.1\r\nhost: {self._name}\r\n{told}"
            f"content-length: {len(content)}\r\n\r\n"
        )
        call = await self._connection(loop, most_bytes)
        try:
            answer = await call.begin(
                loop, head.encode("latin-1") + content, bodiless=method == "HEAD"
            )
        except BaseException:
            call.transport.abort()
            raise
        if call.reusable and len(self._idle) < _MOST_IDLE:
            self._idle.append(call)
        else:
            call.transport.close()
        return answer

    async def aclose(self) -> None:
        """Close the connections that wait."""
        while self._idle:
            self._idle.pop().transport.close()
        await asyncio.sleep(0)

    async def _connection(self, loop: asyncio.AbstractEventLoop, most_bytes: int) -> _Call:
        while self._idle:
            call = self._idle.pop()
            if call.reusable and not call.transport.is_closing():
                return call
        _, made = await loop.create_connection(
            lambda: _Call(most_bytes), self._host, self._port, ssl=self._tls
        )
        return made
