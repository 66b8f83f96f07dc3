"""Calls to remote tiers over kept connections: a small client on llhttp.

It does what the gateway needs of HTTP/1.1 and nothing else: no redirects, no proxies, no cookies,
no compression. Each connection carries one call at a time; a call that is given up takes its
connection along.
"""

import asyncio
import math
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httptools

from edgewise.gateway.bodies import from_json, to_json
from edgewise.gateway.messages import FIELDS
from edgewise.runtimes import Exchanged, LaneBroken, read_json

_MOST_IDLE = 128
_MOST_HEAD_BYTES = 65_536
_MOST_UNREAD_BYTES = 262_144


class _Alarm:
    """Gives up on waits whose time is over: one timer for all of a lane's. Made by the lane.

    A timer for each wait would be set and stopped with each call; this one rings for the wait that
    ends first, and is set again when it rings.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._until_s: dict[asyncio.Future[None], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_s = math.inf

    def bound(self, waiter: "asyncio.Future[None]", until_s: float) -> None:
        """Let a wait last until a time of the event loop."""
        self._until_s[waiter] = until_s
        if until_s < self._rings_s:
            self._set(until_s)

    def forget(self, waiter: "asyncio.Future[None]") -> None:
        """Note that a wait has ended."""
        del self._until_s[waiter]

    def rest(self) -> None:
        """Stop the timer, where nobody waits."""
        if not self._until_s:
            self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_s = None, math.inf

    def _set(self, at_s: float) -> None:
        self._stop()
        self._timer, self._rings_s = self.loop.call_at(at_s, self._ring), at_s

    def _ring(self) -> None:
        due_s = max(self._rings_s, self.loop.time())  # timers are kept to a millisecond
        self._stop()
        for waiter, until_s in self._until_s.items():
            if until_s <= due_s and not waiter.done():
                waiter.set_exception(TimeoutError())
        left = [one for one in self._until_s.values() if one > due_s]
        if left:
            self._set(min(left))


class _Line(asyncio.Protocol):
    """One connection, and the answer that comes over it. Made by the lane, one call at a time.

    Whoever waits is woken once what it waits for is here; the lane's alarm bounds that wait.
    """

    def __init__(self, alarm: _Alarm) -> None:
        self.transport: Any = None
        self.reusable = True
        self.is_over = True
        """Whether no answer is under way."""
        self.status_code = 0
        self.headers: dict[str, str] = {}
        self.unread_bytes = 0
        self._alarm = alarm
        self._parser: Any = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._failure: OSError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._waits_for_bytes = 0
        self._head_bytes = 0
        self._has_head = self._paused = self._bodiless = False

    def ask(self, sent: bytes, *, bodiless: bool = False) -> None:
        """Send a request; its answer is what comes from here on."""
        self._bodiless = bodiless
        self.headers, self._parts = {}, []
        self.status_code = self.unread_bytes = self._head_bytes = 0
        self.is_over = self._has_head = False
        self.transport.write(sent)

    async def wait(self, most_bytes: int, until_s: float) -> None:
        """Wait until the head and this much of the body is here, or all of it.

        Raises
        ------
        LaneBroken
            When it breaks off before.
        TimeoutError
            When it is not here in time.
        """
        self._waits_for_bytes = most_bytes
        while not self.is_over and not (self._has_head and self.unread_bytes >= most_bytes):
            if self._failure is not None:
                raise self._failure
            waiter = self._waiter = self._alarm.loop.create_future()
            self._alarm.bound(waiter, until_s)
            try:
                await waiter
            finally:
                self._alarm.forget(waiter)
                self._waiter = None

    def take(self) -> bytes:
        """Give what is here of the body and was not taken before."""
        parts = self._parts
        self._parts, self.unread_bytes = [], 0
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def abort(self) -> None:
        """End the connection."""
        self.reusable = False
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, failure: Exception | None) -> None:
        self.reusable = False
        if failure is None and self._ends_by_closing:
            self.is_over = True
            self._wake()
        else:
            self._fail(type(failure or ConnectionResetError()).__name__)

    def data_received(self, data: bytes) -> None:
        if self.is_over:  # nobody asked for this
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("ConnectionError")
            self.transport.abort()

    def on_message_begin(self) -> None:
        if self.is_over:
            raise ConnectionError("an answer that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _MOST_HEAD_BYTES:
            raise ConnectionError("the head is too large")
        key = FIELDS.get(name) or name.decode("latin-1").lower()
        self.headers[key] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status_code = self._parser.get_status_code()
        if self.status_code < 200:
            return
        self._has_head = True
        if self._bodiless:  # its length is told, and nothing follows: the parser can't know
            self.reusable = False
            self.on_message_complete()
        elif self._waits_for_bytes == 0:
            self._wake()

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)
        self.unread_bytes += len(part)
        if self.unread_bytes >= self._waits_for_bytes:
            self._wake()
            # What nobody waits for stays in the network.
            if self.unread_bytes > _MOST_UNREAD_BYTES and not self._paused:
                self._paused = True
                self.transport.pause_reading()

    def on_message_complete(self) -> None:
        if self.status_code < 200:  # an interim answer: the real one follows
            self.headers = {}
            return
        self.reusable = self.reusable and bool(self._parser.should_keep_alive())
        self.is_over = True
        self._wake()

    @property
    def _ends_by_closing(self) -> bool:
        """Whether nothing tells its length: it is whole when the connection ends."""
        told = ("content-length", "transfer-encoding")
        return self._has_head and not any(name in self.headers for name in told)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, name: str) -> None:
        self.reusable = False
        if not self.is_over and self._failure is None:
            self._failure = LaneBroken(name, sent=True)
            self._wake()


class _Flow:
    """An answer whose body comes while it is read. Made by the lane."""

    def __init__(self, lane: "FastLane", line: _Line) -> None:
        self._lane, self._line = lane, line
        self.status_code = line.status_code
        self.headers: Mapping[str, str] = line.headers

    async def read(self, until_s: float) -> bytes:
        """Give what has come; as `Flowing.read`."""
        line = self._line
        if not line.unread_bytes:
            await line.wait(1, until_s)
        return line.take()

    async def aclose(self) -> None:
        """Leave."""
        self._lane.take_back(self._line)


class FastLane:
    """Asks one endpoint. Made by `RemoteModel`, used from one event loop."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._to = f" {path} HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\n"
        self._idle: deque[_Line] = deque()
        self._alarm: _Alarm | None = None

    def encode(self, body: Any) -> bytes:
        """Give a body's JSON; as `Lane.encode`."""
        return to_json(body)

    def decode(self, content: bytes | str) -> Any:
        """Read JSON; as `Lane.decode`."""
        try:
            return from_json(content)
        except ValueError:  # it may still be in another encoding than UTF-8
            return read_json(content)

    async def exchange(
        self,
        method: str,
        content: bytes,
        headers: Mapping[str, str],
        *,
        most_bytes: int,
        until_s: float,
    ) -> Exchanged:
        """Send a request and give its answer; as `Lane.exchange`."""
        line = self._kept() or await self._connected(until_s)
        try:
            line.ask(self._written(method, content, headers), bodiless=method == "HEAD")
            await line.wait(most_bytes + 1, until_s)
            whole = line.unread_bytes <= most_bytes
            return Exchanged(line.status_code, line.headers, line.take() if whole else b"", whole)
        finally:
            self.take_back(line)

    async def flow(
        self, method: str, content: bytes, headers: Mapping[str, str], *, until_s: float
    ) -> _Flow:
        """Send a request and give its answer once the head is here; as `Lane.flow`."""
        line = self._kept() or await self._connected(until_s)
        line.ask(self._written(method, content, headers))
        try:
            await line.wait(0, until_s)
        except BaseException:
            line.abort()
            raise
        return _Flow(self, line)

    async def aclose(self) -> None:
        """Close the connections that wait."""
        if self._alarm is not None:
            self._alarm.rest()
        while self._idle:
            self._idle.pop().transport.close()
        await asyncio.sleep(0)

    def take_back(self, line: _Line) -> None:
        """Keep the connection of a call that has ended; of one that has not, end it."""
        if not line.is_over or line.unread_bytes:
            line.abort()
        elif line.reusable and len(self._idle) < _MOST_IDLE:
            self._idle.append(line)
        else:
            line.transport.close()

    def _written(self, method: str, content: bytes, headers: Mapping[str, str]) -> bytes:
        told = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"{method}{self._to}{told}content-length: {len(content)}\r\n\r\n"
        return head.encode("latin-1") + content

    def _kept(self) -> _Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.reusable and not line.transport.is_closing():
                return line
        return None

    async def _connected(self, until_s: float) -> _Line:
        loop = asyncio.get_running_loop()
        alarm = self._alarm = _Alarm(loop) if self._alarm is None else self._alarm
        try:
            async with asyncio.timeout_at(until_s):
                _, made = await loop.create_connection(
                    lambda: _Line(alarm), self._host, self._port, ssl=self._tls
                )
        except TimeoutError:
            raise
        except OSError as failure:
            raise LaneBroken(type(failure).__name__, sent=False) from None
        return made
