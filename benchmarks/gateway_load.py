"""A load generator in a process of its own: raw sockets, one request at a time a connection.

Closed loop (`--rate 0`): each connection asks again as soon as it was answered. Open loop: requests
start at their time, whatever became of those before; a latency counts from that time, so that a
server that stalls is not spared. Prints one JSON object.

    python -m benchmarks.gateway_load --port 8080 --connections 8 --seconds 5 --rate 500
"""

import argparse
import asyncio
import json
import time
from collections import deque

TEXT = '{"text":"a good film that says great things about people and never bores anyone"}'


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._received = b""
        self._asked_s = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, since_s: float) -> None:
        assert self._transport is not None
        self._asked_s = since_s
        self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end].lower()
        length = int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        if len(self._received) < end + 4 + length:
            return
        self._received = b""
        self._load.answered(self, int(head[9:12]), time.perf_counter() - self._asked_s)

    def connection_lost(self, failure: Exception | None) -> None:
        del failure
        self._load.lost(self)


class Load:
    """What is asked, and what came of it."""

    def __init__(self, request: bytes, rate: float) -> None:
        self.request = request
        self.ok: list[float] = []
        self.refused: list[float] = []
        self.failed = 0
        self._rate = rate
        self._end_s = 0.0
        self._idle: deque[Client] = deque()
        self._due: deque[float] = deque()

    async def run(self, port: int, connections: int, seconds: float) -> float:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, client = await loop.create_connection(lambda: Client(self), "127.0.0.1", port)
            self._idle.append(client)
        start_s = time.perf_counter()
        self._end_s = start_s + seconds
        if self._rate:
            await self._paced(start_s)
        else:
            for client in list(self._idle):
                client.ask(time.perf_counter())
            self._idle.clear()
            await asyncio.sleep(seconds)
        return time.perf_counter() - start_s

    async def _paced(self, start_s: float) -> None:
        number = 0
        while (now_s := time.perf_counter()) < self._end_s:
            due_s = start_s + number / self._rate
            if due_s > now_s:
                await asyncio.sleep(due_s - now_s)
            number += 1
            self._due.append(due_s)
            self._next()
        await asyncio.sleep(1.0)

    def _next(self) -> None:
        while self._due and self._idle:
            self._idle.popleft().ask(self._due.popleft())

    def answered(self, client: Client, status: int, took_s: float) -> None:
        if status == 200:
            self.ok.append(took_s)
        elif status in (429, 503):
            self.refused.append(took_s)
        else:
            self.failed += 1
        if self._rate:
            self._idle.append(client)
            self._next()
        elif time.perf_counter() < self._end_s:
            client.ask(time.perf_counter())

    def lost(self, client: Client) -> None:
        if time.perf_counter() < self._end_s:
            self.failed += 1
        if client in self._idle:
            self._idle.remove(client)


def quantile(values: list[float], share: float) -> float:
    """Give a quantile in milliseconds; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0


def main() -> None:
    """Ask, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--path", default="/predict")
    parser.add_argument("--body", default=TEXT)
    given = parser.parse_args()
    body = given.body.encode()
    head = (
        f"POST {given.path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer sk-none\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    load = Load(head.encode() + body, given.rate)
    took_s = asyncio.run(load.run(given.port, given.connections, given.seconds))
    found = {
        "ok": len(load.ok),
        "refused": len(load.refused),
        "failed": load.failed,
        "per_s": len(load.ok) / min(took_s, given.seconds),
        "p50_ms": quantile(load.ok, 0.5),
        "p99_ms": quantile(load.ok, 0.99),
        "refused_p99_ms": quantile(load.refused, 0.99),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
