"""Asks a gateway from a process of its own: at given moments, or one request after the other.

`python -m edgewise.testing.traffic URL` reads one JSON line a request from its input and writes one
JSON line an answer, in the order of the requests. `send` runs it. A request at a moment starts at
that moment whatever became of those before it, so a server that stalls is not spared.
"""

import asyncio
import json
import random  # noqa: TID251 - the border: gaps between requests that come one by one
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

_WARM = 32
"""Connections that are open before the first request."""
_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. Made by whoever wants traffic."""

    text: str
    at_s: float = 0.0
    """After the start; only where requests come at their moments."""
    private: bool = False
    location: str = ""
    """The tier that has to answer, where it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of it."""

    status: int
    latency_ms: float
    """From the first byte sent to the last received."""
    engine_ms: float = 0.0
    """What the answer itself says that the engine took."""
    confidence: float = 0.0
    location: str = ""
    late_ms: float = 0.0
    """How much later than its moment it was sent."""


def send(
    url: str, requests: Sequence[Asked], *, gap_ms: float | None = None, timeout_s: float = 600.0
) -> list[Answered]:
    """Send requests from a process of its own, and give their answers in order.

    Parameters
    ----------
    gap_ms
        One request after the other, with exponential gaps of this mean after each answer; `None`
        sends each at its moment.
    """
    command = [sys.executable, "-m", __name__, url]
    command += [] if gap_ms is None else [str(gap_ms)]
    lines = "".join(json.dumps(asdict(one)) + "\n" for one in requests)
    done = subprocess.run(
        command, input=lines, capture_output=True, text=True, check=True, timeout=timeout_s
    )
    return [Answered(**json.loads(line)) for line in done.stdout.splitlines()]


class _Connection(asyncio.Protocol):
    """Carries one request at a time."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes, float]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @property
    def open(self) -> bool:
        """Whether it can carry another request; a server closes what was idle for long."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bytes, float]]":
        """Send a request; gives status, body and the moment of its last byte."""
        assert self._transport is not None
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        now_s = time.perf_counter()
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._answer is None or self._answer.done():
            return
        head = self._received[:end].lower()
        length = int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        body = self._received[end + 4 :]
        if len(body) >= length:
            self._answer.set_result((int(head[9:12]), body, now_s))

    def connection_lost(self, failure: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(failure or ConnectionError("closed before the answer"))


class _Client:
    """Asks one server over as many connections as are needed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._idle: list[_Connection] = []

    async def open(self, connections: int) -> None:
        """Open connections ahead of time."""
        for _ in range(connections):
            self._idle.append(await self._connect())

    async def ask(self, one: Asked, due_s: float) -> Answered:
        """Send one request now, and wait for its answer."""
        while self._idle and not self._idle[-1].open:
            self._idle.pop()
        connection = self._idle.pop() if self._idle else await self._connect()
        request = _request(one)
        sent_s = time.perf_counter()
        async with asyncio.timeout(_LIMIT_S):
            status, body, ended_s = await connection.ask(request)
        self._idle.append(connection)
        said = json.loads(body) if status == 200 else {}
        return Answered(
            status=status,
            latency_ms=(ended_s - sent_s) * 1000,
            engine_ms=said.get("latency_ms", 0.0),
            confidence=said.get("confidence", 0.0),
            location=said.get("location", ""),
            late_ms=(sent_s - due_s) * 1000,
        )

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(_Connection, self._host, self._port)
        return made


def _request(one: Asked) -> bytes:
    body = json.dumps({"text": one.text, "privacy_flag": one.private}).encode()
    head = "POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    if one.location:
        head += f"x-edgewise-force-location: {one.location}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def _at_moments(url: str, requests: Sequence[Asked]) -> list[Answered]:
    client = _Client(url)
    await client.open(_WARM)
    start_s = time.perf_counter() + 0.1
    asked: list[asyncio.Task[Answered]] = []
    for one in requests:
        due_s = start_s + one.at_s
        wait_s = due_s - time.perf_counter()
        if wait_s > 0.0:
            await asyncio.sleep(wait_s)
        asked.append(asyncio.create_task(client.ask(one, due_s)))
        await asyncio.sleep(0)  # it is sent before the next one is looked at
    return list(await asyncio.gather(*asked))


async def _one_by_one(url: str, requests: Sequence[Asked], gap_ms: float) -> list[Answered]:
    client, rng = _Client(url), random.Random(0)
    await client.open(1)
    found = []
    for one in requests:
        await asyncio.sleep(rng.expovariate(1.0) * gap_ms / 1000)
        found.append(await client.ask(one, time.perf_counter()))
    return found


def _read(lines: Iterator[str]) -> list[Asked]:
    return [Asked(**json.loads(line)) for line in lines]


def main() -> None:
    """Send what is read, and write what came of it."""
    url, *gap_ms = sys.argv[1:]
    requests = _read(iter(sys.stdin))
    if gap_ms:
        found = asyncio.run(_one_by_one(url, requests, float(gap_ms[0])))
    else:
        found = asyncio.run(_at_moments(url, requests))
    sys.stdout.writelines(json.dumps(asdict(one)) + "\n" for one in found)


if __name__ == "__main__":
    main()
