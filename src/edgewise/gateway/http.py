"""HTTP/1.1 on asyncio and llhttp: the door to `httptools`.

A connection is strict: what two readers could understand differently is refused and the connection
closed, so that nothing can be smuggled past what stands in front. Everything has a bound: the
head, the body, and the time that each of them and each answer may take to pass.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import httptools

from edgewise.gateway.messages import FIELDS, Request, Response, head_of

Answerer = Callable[[Request], Awaitable[Response]]
Shedder = Callable[[Request], bytes | None]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_SWEEP_S = 0.1
_LINGER_S = 1.0
_MOST_HEADERS = 100
_MOST_WAITING = 16
_OFFER = ("connection", "upgrade", "http2-settings")
_NEEDED_ONCE = ("host", "content-length", "transfer-encoding", "authorization")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one connection may ask of the server. Made from the gateway's settings."""

    head_bytes: int = 32_768
    body_bytes: int = 8_000_000
    read_s: float = 30.0
    """A request that has begun is here within this time."""
    idle_s: float = 75.0
    """A connection without a request is closed after this time."""
    write_s: float = 60.0
    """A reader that takes nothing for this long has gone away."""
    connections: int = 10_000


class Refused(Exception):
    """The connection asked for something that it does not get; it ends with this status."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status, self.what = status, what


class Connection(asyncio.Protocol):
    """One connection: its requests are answered in turn. Made by the server."""

    def __init__(self, server: "HttpServer") -> None:
        self._server = server
        self._limits = server.limits
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._writable = asyncio.Event()
        self._writable.set()
        self._since_s = server.now_s()
        self._stuck_since_s: float | None = None
        self._unread_bytes = 0
        self._reading = False
        self._closing = False
        self._peer = ""
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_bytes = self._head_bytes = self._fields = self._fields_bytes = 0
        self._in_head = self._modern = True
        self._offered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, or close it when there are too many."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        if len(self._server.connections) >= self._limits.connections:
            self._transport.close()
            return
        self._server.connections.add(self)

    def connection_lost(self, failure: Exception | None) -> None:
        """Stop working for who has gone away."""
        del failure
        self._server.connections.discard(self)
        self._closing = True
        self._waiting.clear()
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Let what streams wait."""
        self._writable.clear()
        self._stuck_since_s = self._server.now_s()

    def resume_writing(self) -> None:
        """Let it go on, and what waited for its reader too."""
        self._writable.set()
        self._stuck_since_s = None
        if self._task is None and self._waiting:
            self._turn(keep=True)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._closing:
            return
        if not self._reading:
            self._reading, self._since_s = True, self._server.now_s()
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._read(data)
            if self._in_head and self._head_bytes > self._limits.head_bytes:
                raise Refused(431, "the head is too large")
        except Refused as refused:
            self._refuse(refused.status, refused.what)
        except httptools.HttpParserCallbackError as wrapped:
            cause = wrapped.__context__
            if isinstance(cause, Refused):
                self._refuse(cause.status, cause.what)
            else:
                raise
        except httptools.HttpParserError:
            self._refuse(400, "not HTTP/1.1")

    def _read(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:  # the parser reads no further
                data = self._declined() + data[offer.args[0] :]

    def _declined(self) -> bytes:
        """Give the head again without its offer of HTTP/2, for a parser that reads its body."""
        keep = "close" not in self._headers.get("connection", "").lower()
        kept = {name: told for name, told in self._headers.items() if name not in _OFFER}
        lines = [f"{name}: {told}\r\n" for name, told in kept.items()]
        method, end = self._parser.get_method(), b"\r\n" if keep else b"connection: close\r\n\r\n"
        head = b"%b %b HTTP/1.1\r\n" % (method, self._url) + "".join(lines).encode("latin-1") + end
        self._parser = httptools.HttpRequestParser(self)
        self._begin()
        return head

    def on_url(self, url: bytes) -> None:
        """Note a piece of the path."""
        self._url += url
        if len(self._url) > self._limits.head_bytes:
            raise Refused(431, "the head is too large")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header."""
        self._fields += 1
        self._fields_bytes += len(name) + len(value)
        if self._fields > _MOST_HEADERS or self._fields_bytes > self._limits.head_bytes:
            raise Refused(431, "the head is too large")
        if not self._in_head:  # trailers: the head was judged without them
            return
        headers, key = self._headers, FIELDS.get(name) or name.decode("latin-1").lower()
        told = value.decode("latin-1").strip()
        if key in headers:
            if key in _NEEDED_ONCE:
                raise Refused(400, f"`{key}` is given twice")
            told = f"{headers[key]}, {told}"  # RFC 9110 (5.3)
        headers[key] = told

    def on_headers_complete(self) -> None:
        """Look at the head before anything else is read."""
        self._in_head = False
        headers = self._headers
        self._offered = self._parser.should_upgrade()
        if self._offered:
            if headers.get("upgrade", "").lower() != "h2c":
                raise Refused(400, "upgrades are not spoken here")
            return  # what it offers is declined, and its head read again
        modern = self._modern = self._parser.get_http_version() == "1.1"
        if modern and "host" not in headers:
            raise Refused(400, "there is no `host`")
        if "transfer-encoding" in headers and (
            "content-length" in headers or headers["transfer-encoding"].lower() != "chunked"
        ):
            raise Refused(400, "the body's length is told twice")
        length = headers.get("content-length", "0")
        if len(length) > 15 or int(length) > self._limits.body_bytes:
            raise Refused(413, f"more than {self._limits.body_bytes} bytes")
        if modern and self._task is None and headers.get("expect", "").lower() == "100-continue":
            self._transport.write(_CONTINUE)

    def on_body(self, part: bytes) -> None:
        """Note a piece of the body."""
        self._body_bytes += len(part)
        if self._body_bytes > self._limits.body_bytes:
            raise Refused(413, f"more than {self._limits.body_bytes} bytes")
        self._body.append(part)

    def on_message_complete(self) -> None:
        """Answer the request, or let it wait for those before it."""
        if self._offered:
            return
        url = self._url.decode("latin-1")
        path, _, query = (url if url.startswith("/") else self._relative(url)).partition("?")
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            path=path,
            query=query,
            headers=self._headers,
            body=self._body[0] if len(self._body) == 1 else b"".join(self._body),
            peer=self._peer,
            modern=self._modern,
        )
        keep = bool(self._parser.should_keep_alive())
        self._reading = False
        self._begin()
        if self._task is not None or not self._writable.is_set():
            self._waiting.append((request, keep))
            if len(self._waiting) >= _MOST_WAITING:
                self._transport.pause_reading()
            return
        if not self._take(request, keep=keep):
            self._turn(keep=keep)

    def _relative(self, url: str) -> str:
        """Give what follows the host of an absolute target, whose host counts (RFC 9112, 3.2.2)."""
        scheme, mark, rest = url.partition("://")
        if not mark or scheme.lower() not in ("http", "https"):
            return url
        end = min((rest.index(one) for one in "/?" if one in rest), default=len(rest))
        self._headers["host"] = rest[:end].rpartition("@")[2]
        return rest[end:] if rest.startswith("/", end) else f"/{rest[end:]}"

    def _take(self, request: Request, *, keep: bool) -> bool:
        """Begin to answer a request, or refuse it at once and say so."""
        shed = self._server.shed(request)
        if shed is not None:
            self._transport.write(shed)
            self._closing = self._closing or not request.modern  # it is not told to stay
            return False
        self._task = self._server.loop.create_task(self._answer(request, keep=keep))
        return True

    async def _answer(self, request: Request, *, keep: bool) -> None:
        parts = None
        try:
            response = await self._server.answer(request)
            parts = response.parts
            modern = request.modern
            close = not keep or self._server.draining or (parts is not None and not modern)
            head = head_of(response, self._server.lines, close=close, modern=modern)
            if self._transport.is_closing():
                return
            if request.method == "HEAD":
                self._transport.write(head)
            elif parts is None:
                self._transport.write(head + response.body)
            elif response.begun:
                await self._stream(parts, head, modern=modern)
            else:
                self._transport.write(head)
                await self._stream(parts, b"", modern=modern)
        except asyncio.CancelledError:
            self._transport.abort()
            return
        except Exception as failure:  # noqa: BLE001 - the outermost border: the caller is let go
            self._server.on_failure(failure)
            self._transport.abort()
            return
        finally:
            if parts is not None:
                await _close(parts)
        self._turn(keep=not close)

    async def _stream(self, parts: AsyncIterator[bytes], head: bytes, *, modern: bool) -> None:
        write = self._transport.write
        async for part in parts:
            if part:
                write(b"%b%x\r\n%b\r\n" % (head, len(part), part) if modern else head + part)
                head = b""
            if not self._writable.is_set():
                await self._writable.wait()
        write(head + _LAST_CHUNK if modern else head)

    def _turn(self, *, keep: bool) -> None:
        """Go on with the next request, where its answer is read; or close."""
        self._task = None
        self._since_s = self._server.now_s()
        while self._waiting and keep and not self._closing and self._writable.is_set():
            if len(self._waiting) >= _MOST_WAITING:
                self._transport.resume_reading()
            request, keep = self._waiting.popleft()
            if self._take(request, keep=keep):
                return
        if not keep or self._closing:
            self._transport.close()

    def _refuse(self, status: int, what: str) -> None:
        """Say what is wrong, and end the connection: what follows can't be trusted."""
        self._closing = True
        if self._task is None and self._waiting:
            self._transport.close()  # an answer here would be taken for that of the first
        elif self._task is None:
            body = f'{{"error":"{what}"}}'.encode()
            answer = Response(status=status, body=body)
            self._transport.write(head_of(answer, self._server.lines, close=True) + body)
            if status == 413:
                self._linger()
            else:
                self._transport.close()
        else:  # what is under way is answered first
            self._task.add_done_callback(lambda _: self._transport.close())

    def _linger(self) -> None:
        """Take what is still sent and drop it: closed at once, its sender would read no answer."""
        self._since_s, self._reading = self._server.now_s(), False
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def sweep(self, now_s: float) -> None:
        """Close what takes too long."""
        closing = self._transport.is_closing()
        if closing and self._stuck_since_s is None:
            self._stuck_since_s = now_s  # what is left to send keeps it open
        if self._stuck_since_s is not None:
            unread, self._unread_bytes = self._unread_bytes, self._transport.get_write_buffer_size()
            if self._unread_bytes < unread:
                self._stuck_since_s = now_s
            elif now_s - self._stuck_since_s > self._limits.write_s:
                self._transport.abort()
                return
        if closing:
            return
        if self._closing:
            if self._task is None and now_s - self._since_s > _LINGER_S:
                self._transport.close()
        elif self._reading and now_s - self._since_s > self._limits.read_s:
            self._refuse(408, "the request took too long to come")
        elif self._is_idle and (
            self._server.closing_idle or now_s - self._since_s > self._limits.idle_s
        ):
            self._transport.close()

    @property
    def _is_idle(self) -> bool:
        return self._task is None and not self._reading


async def _close(parts: AsyncIterator[bytes]) -> None:
    closing = getattr(parts, "aclose", None)
    if closing is not None:
        await closing()


class HttpServer:
    """Listens, and hands each request to the application. Made and stopped by `serve`.

    Parameters
    ----------
    answer
        The application.
    shed
        Gives the whole answer for a request that is not taken at all, or `None` to take it.
    on_failure
        Told of what the application raised.
    """

    def __init__(
        self,
        answer: Answerer,
        *,
        limits: HttpLimits | None = None,
        shed: Shedder = lambda _: None,
        on_lag: Callable[[float], None] = lambda _: None,
        on_failure: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self.answer = answer
        self.limits = HttpLimits() if limits is None else limits
        self.shed = shed
        self.on_failure = on_failure
        self.connections: set[Connection] = set()
        self.draining = self.closing_idle = False
        self.lines = ""
        self.loop = asyncio.get_running_loop()
        self.now_s = self.loop.time
        self._on_lag = on_lag
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def listen(self, socket: Any, tls: ssl.SSLContext | None = None) -> None:
        """Take connections from a socket that listens."""
        self._stamp()
        made = await self.loop.create_server(
            lambda: Connection(self), sock=socket, ssl=tls, backlog=4096
        )
        self._servers.append(made)
        if self._sweeper is None:
            self._sweeper = self.loop.create_task(self._sweep())

    async def drain(self, grace_s: float) -> int:
        """Take no more connections, answer what is under way; give how many had to be cut off.

        A client may be sending over a connection that looks idle here: for a second each request
        is still answered, and told that it is the last one.
        """
        self.draining = True
        for server in self._servers:
            server.close()
        start_s = self.now_s()
        while self.connections and self.now_s() < start_s + grace_s:
            if self.now_s() > start_s + _LINGER_S:
                self.closing_idle = True
            for one in list(self.connections):
                one.sweep(self.now_s())
            await asyncio.sleep(0.01)
        left = [one._task for one in self.connections if one._task is not None]
        for one in list(self.connections):
            one._transport.abort()
        await asyncio.sleep(0)  # each is told that its connection is gone
        if left:  # what they hold is closed next, and the log too
            await asyncio.wait(left, timeout=_LINGER_S)
        if self._sweeper is not None:
            self._sweeper.cancel()
        return len(left)

    async def _sweep(self) -> None:
        while True:
            before_s = self.now_s()
            await asyncio.sleep(_SWEEP_S)
            now_s = self.now_s()
            self._on_lag(max(0.0, now_s - before_s - _SWEEP_S))
            self._stamp()
            for one in list(self.connections):
                one.sweep(now_s)

    def _stamp(self) -> None:
        self.lines = f"date: {formatdate(usegmt=True)}\r\nserver: edgewise\r\n"
