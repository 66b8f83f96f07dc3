"""Kills a process that works on an offline queue, and counts what is lost or answered twice.

`python -m edgewise.testing.crashes QUEUE URL ACCEPTED COLLECTED` is that process: it sends what
waits, puts more, and collects the answers, all at once, until nothing is left or it is killed.
"""

import asyncio
import contextlib
import os
import random  # noqa: TID251 - only the type of the rng that is handed in
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from edgewise.errors import RemoteError
from edgewise.records import OfflineRules
from edgewise.route.draining import drain
from edgewise.route.late import LateRequest
from edgewise.route.offline import OfflineQueue

_AT_ONCE = 32
_COLLECTED_AT_ONCE = 200
_PUT = 100
"""Requests that a process puts while it sends."""


class KeyServer:
    """A loopback HTTP server that does the work of an `Idempotency-Key` once; a context manager.

    A key that comes again gets the answer that it got before.
    """

    def __init__(self) -> None:
        self.work: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    @staticmethod
    def answer(key: str) -> bytes:
        """Give the answer of a key."""
        return b"done " + key.encode()

    async def _run(self) -> None:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/late"
        self._ready.set()
        async with server:
            await self._stop.wait()
        # What still talks ends with its connection.
        rest = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                fields = dict(
                    line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line
                )
                await reader.readexactly(int(fields["content-length"]))
                key = fields["idempotency-key"]
                self.asked[key] += 1
                if not self.work[key]:
                    self.work[key] += 1
                body = self.answer(key)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        writer.close()


class KeySender:
    """Sends late requests over kept connections, the id as `Idempotency-Key`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, one: LateRequest) -> bytes:
        """Send one request and give the body of its answer."""
        try:
            if self._idle:
                reader, writer = self._idle.pop()
            else:
                reader, writer = await asyncio.open_connection(self._host, self._port)
            writer.write(
                f"POST {self._path} HTTP/1.1\r\nhost: {self._host}\r\n"
                f"idempotency-key: {one.request_id}\r\n"
                f"content-length: {len(one.payload)}\r\n\r\n".encode()
                + one.payload
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as failure:
            what, hint = "the connection broke", "send it again"
            raise RemoteError(what, where=self._path, hint=hint) from failure
        self._idle.append((reader, writer))
        return body

    async def aclose(self) -> None:
        """Close the connections."""
        for _, writer in self._idle:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashCount:
    """What one killed process left, after another has done the rest."""

    lost: int
    """Accepted requests that were not answered, or not with their own answer."""
    twice: int
    """Answers collected twice, and work done twice."""
    sent_again: int
    """Requests that were under way at the kill."""
    left: int
    """Requests that waited at the kill."""


def prepare(path: Path, count: int) -> None:
    """Make a queue file in which `count` requests wait."""
    payload = b'{"text": "a good film that says great things about people"}'
    requests = [
        LateRequest(request_id=f"r{number:06d}", payload=payload, allowed=("edge", "cloud"))
        for number in range(count)
    ]
    with OfflineQueue(_rules(path, count), remote=["cloud"]) as queue:
        said = queue.put_many(requests)
    if not all(one.accepted for one in said):
        raise AssertionError("a request was refused")


def crash_once(folder: Path, prepared: Path, count: int, after_s: float | None) -> CrashCount:
    """Kill a process at work on a copy of a prepared queue, do the rest, and count.

    Parameters
    ----------
    after_s
        From the moment when the process has opened the queue; `None` lets it end by itself.
    """
    queue, accepted, collected = (folder / name for name in ("queue", "accepted", "collected"))
    shutil.copy(prepared, queue)
    with KeyServer() as server:
        words = [str(queue), server.url, str(accepted), str(collected), str(count)]
        command = [sys.executable, "-m", "edgewise.testing.crashes", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise AssertionError("the process did not start")
            if after_s is not None:
                time.sleep(after_s)
                process.kill()
        if after_s is None and process.returncode != 0:
            raise AssertionError(f"the process ended with {process.returncode}")
        with OfflineQueue(_rules(queue, count), remote=["cloud"]) as rest:
            left = rest.state().waiting
            asyncio.run(_drain(rest, server.url))
            while _collect(rest, collected):
                pass
            again = [name for name, _ in _lines(collected) if rest.take_answer(name) is not None]
    wanted = [f"r{number:06d}" for number in range(count)] + [n for n, _ in _lines(accepted)]
    found = Counter(name for name, _ in _lines(collected))
    right = {name for name, body in _lines(collected) if body == server.answer(name).decode()}
    return CrashCount(
        lost=len(set(wanted) - right),
        twice=sum(times - 1 for times in found.values())
        + sum(times - 1 for times in server.work.values() if times)
        + len(again),
        sent_again=sum(times - 1 for times in server.asked.values()),
        left=left,
    )


def crash_often(folder: Path, count: int, points: int, rng: random.Random) -> Iterator[CrashCount]:
    """Kill at random points over the whole time that the work takes, and give each count."""
    prepared = folder / "prepared"
    prepare(prepared, count)
    start_s = time.perf_counter()
    (folder / "whole").mkdir()
    crash_once(folder / "whole", prepared, count, None)
    whole_s = time.perf_counter() - start_s
    for number in range(points):
        place = folder / f"point{number}"
        place.mkdir()
        yield crash_once(place, prepared, count, rng.uniform(0.0, whole_s))
        shutil.rmtree(place)


def _rules(path: Path, count: int) -> OfflineRules:
    return OfflineRules(path=str(path), max_count=2 * count + _PUT, max_bytes=2**30)


async def _drain(queue: OfflineQueue, url: str) -> None:
    sender = KeySender(url)
    try:
        while queue.state().waiting:
            await drain(queue, sender.send, at_once=_AT_ONCE)
    finally:
        await sender.aclose()


def _collect(queue: OfflineQueue, path: Path) -> int:
    """Take answers as a caller does that survives crashes: peek, keep, take.

    An answer that was kept before a crash is not kept again.
    """
    names = queue.answered_ids()[:_COLLECTED_AT_ONCE]
    kept = {name for name, _ in _lines(path)} if names else set()
    ends = [queue.peek_answer(name) for name in names if name not in kept]
    _append(path, "".join(f"{one.request_id} {one.body.decode()}\n" for one in ends if one))
    queue.take_answers(names)
    return len(names)


def _lines(path: Path) -> list[tuple[str, str]]:
    if not path.exists():
        return []
    return [
        (line.partition(" ")[0], line.partition(" ")[2])
        for line in path.read_text("utf-8").splitlines()
    ]


def _append(path: Path, text: str) -> None:
    """Write at once: a process that is killed has written all of it or none."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


async def _live(queue: OfflineQueue, url: str, accepted: Path, collected: Path) -> None:
    def put() -> None:
        for number in range(_PUT):
            name = f"new{number:06d}"
            if queue.put(LateRequest(request_id=name, payload=b"{}", allowed=("cloud",))).accepted:
                _append(accepted, f"{name}\n")

    def collect() -> None:
        while not done.is_set() or queue.answered_ids():
            if not _collect(queue, collected):
                done.wait(0.005)

    done = threading.Event()
    collecting = asyncio.ensure_future(asyncio.to_thread(collect))
    putting = asyncio.ensure_future(asyncio.to_thread(put))
    await _drain(queue, url)
    await putting
    await _drain(queue, url)
    done.set()
    await collecting


def _main(words: list[str]) -> None:
    path, url, accepted, collected, count = words
    with OfflineQueue(_rules(Path(path), int(count)), remote=["cloud"]) as queue:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        asyncio.run(_live(queue, url, Path(accepted), Path(collected)))


if __name__ == "__main__":
    _main(sys.argv[1:])
