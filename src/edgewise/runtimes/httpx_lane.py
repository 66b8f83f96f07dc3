"""The lane that is always there: the door to `httpx2`.

It goes by the proxies that the environment names, but not for what is on this machine.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from edgewise.runtimes.addresses import is_here
from edgewise.runtimes.answers import read_json
from edgewise.runtimes.lane import Exchanged, LaneBroken

_MAX_REFUSAL_BYTES = 64_000
_MOST_CONNECTIONS = 100
_MOST_IDLE = 20
"""The pool looks at each idle connection whenever a call ends: hundreds would hold up the loop."""
_NOT_SENT = ("ConnectE", "ConnectT", "Proxy", "Unsupported")


class HttpxLane:
    """Calls one URL by `httpx2`. Made by `RemoteModel`, used from one event loop."""

    def __init__(self, url: str) -> None:
        import httpx2  # noqa: PLC0415 - heavy

        limits = httpx2.Limits(
            max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_IDLE
        )
        self._url = url
        # Reading the certificates takes tens of milliseconds: only where they are used.
        verify = url.startswith("https")
        # What is for this machine would leave it by a proxy that the environment names.
        straight = httpx2.AsyncHTTPTransport(verify=verify, limits=limits) if is_here(url) else None
        self._client = httpx2.AsyncClient(limits=limits, verify=verify, transport=straight)
        self._broken = httpx2.HTTPError
        self._unfit = (httpx2.InvalidURL, UnicodeError)

    @property
    def connections(self) -> int:
        """Count the connections that are open."""
        pool: Any = self._client._transport
        return len(pool._pool.connections)

    def encode(self, body: Any) -> bytes:
        """Give a body's JSON; as `Lane.encode`."""
        return json.dumps(body).encode()

    def decode(self, content: bytes | str) -> Any:
        """Read JSON; as `Lane.decode`."""
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
        try:
            async with (
                asyncio.timeout_at(until_s),
                self._sent(method, content, headers) as answer,
            ):
                # A short refusal is read to its end, so that its connection can be used again.
                most = most_bytes if answer.status_code == 200 else _MAX_REFUSAL_BYTES
                received = bytearray()
                async for part in answer.aiter_raw():
                    received += part
                    if len(received) > most:
                        return Exchanged(answer.status_code, answer.headers, b"", whole=False)
                return Exchanged(answer.status_code, answer.headers, bytes(received))
        except self._broken as failure:
            raise _told(failure) from None
        except self._unfit:
            raise ValueError("not a URL that can be asked") from None

    async def flow(
        self, method: str, content: bytes, headers: Mapping[str, str], *, until_s: float
    ) -> "_Flow":
        """Send a request and give its answer once the head is here; as `Lane.flow`."""
        call = self._sent(method, content, headers)
        try:
            async with asyncio.timeout_at(until_s):
                return _Flow(call, await call.__aenter__(), self._broken)
        except self._broken as failure:
            raise _told(failure) from None
        except self._unfit:
            raise ValueError("not a URL that can be asked") from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _sent(
        self, method: str, content: bytes, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Any]:
        return self._client.stream(
            method, self._url, content=content, headers=dict(headers), timeout=None
        )


class _Flow:
    """An answer on its way. Made by the lane."""

    def __init__(
        self, call: AbstractAsyncContextManager[Any], answer: Any, broken: type[Exception]
    ) -> None:
        self.status_code: int = answer.status_code
        self.headers: Mapping[str, str] = answer.headers
        self._call, self._broken = call, broken
        self._parts: AsyncIterator[bytes] = answer.aiter_raw()

    async def read(self, until_s: float) -> bytes:
        """Give what has come; as `Flowing.read`."""
        try:
            async with asyncio.timeout_at(until_s):
                return await anext(self._parts, b"")
        except self._broken as failure:
            raise _told(failure) from None

    async def aclose(self) -> None:
        """Leave."""
        await self._call.__aexit__(None, None, None)


def _told(failure: Exception) -> LaneBroken:
    """Give what went wrong by its name alone: the failure holds the request, and the key."""
    name = type(failure).__name__
    return LaneBroken(name, sent=not name.startswith(_NOT_SENT))
