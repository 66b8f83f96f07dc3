"""Streams in a process of their own: started at a rate, timed to their first piece.

A stream's time counts from when it was due, whatever became of those before. Only those that start
in the last third count, when as many are open as will be. Prints one JSON object.

    python -m benchmarks.gateway_streams --port 8080 --rate 100 --seconds 20
"""

import argparse
import asyncio
import json
import time

from benchmarks.gateway_load import quantile

BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"say something"}]}'
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n"
)
FIRST, END = b'"tok"', b"0\r\n\r\n"
REFUSED = (b"HTTP/1.1 503", b"HTTP/1.1 429")
_LATEST_S = 60.0


class Stream(asyncio.Protocol):
    """One connection: a stream at a time, kept for the next."""

    def __init__(self, streams: "Streams") -> None:
        self._streams = streams
        self._due_s: float | None = None
        self._tail = b""
        self._open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def begin(self, due_s: float) -> None:
        assert self._transport is not None
        self._due_s, self._tail, self._open = due_s, b"", True
        self._transport.write(self._streams.request)

    def data_received(self, data: bytes) -> None:
        self._tail = self._tail[-1024:] + data
        if self._due_s is not None and FIRST in self._tail:
            self._streams.first(self._due_s)
            self._due_s = None
        if self._tail.startswith(REFUSED):
            self._open, self._due_s = False, None
            self._streams.refuse(self)
        elif self._tail.endswith(END):
            self._open = False
            self._streams.ended(self, whole=self._due_s is None and b"[DONE]" in self._tail)

    def connection_lost(self, failure: Exception | None) -> None:
        del failure
        if self._open:
            self._streams.ended(None, whole=False)


class Streams:
    """What was started, and what came of it."""

    def __init__(self, model: str) -> None:
        body = BODY.replace(b'"m"', json.dumps(model).encode())
        self.request = HEAD % len(body) + body
        self.took_s: list[float] = []
        self.open = self.most_open = self.whole = self.refused = self.failed = 0
        self._idle: list[Stream] = []
        self._counts_from_s = 0.0

    async def run(self, port: int, rate: float, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        start_s = time.perf_counter()
        self._counts_from_s = start_s + seconds * 2 / 3
        for number in range(int(rate * seconds)):
            due_s = start_s + number / rate
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            if not self._idle:  # connecting is not what is timed
                _, made = await loop.create_connection(lambda: Stream(self), "127.0.0.1", port)
                self._idle.append(made)
                due_s = time.perf_counter()
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            self._idle.pop().begin(due_s)
        until_s = time.perf_counter() + _LATEST_S
        while self.open and time.perf_counter() < until_s:
            await asyncio.sleep(0.05)
        self.failed += self.open

    def first(self, due_s: float) -> None:
        if due_s >= self._counts_from_s:
            self.took_s.append(time.perf_counter() - due_s)

    def refuse(self, stream: Stream) -> None:
        self.open -= 1
        self.refused += 1
        self._idle.append(stream)

    def ended(self, stream: Stream | None, *, whole: bool) -> None:
        self.open -= 1
        self.whole += whole
        self.failed += not whole
        if stream is not None:
            self._idle.append(stream)


def main() -> None:
    """Start streams, and print what came of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--model", default="default")
    given = parser.parse_args()
    streams = Streams(given.model)
    asyncio.run(streams.run(given.port, given.rate, given.seconds))
    found = {
        "whole": streams.whole,
        "refused": streams.refused,
        "failed": streams.failed,
        "most_open": streams.most_open,
        "p50_ms": round(quantile(streams.took_s, 0.5), 3),
        "p99_ms": round(quantile(streams.took_s, 0.99), 3),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
