"""The far end of a bad network: a server that counts, behind a proxy that can be made bad.

`python -m edgewise.testing.far_end HOST` is that process. It prints one JSON line with the ports of
both, then obeys a JSON line at a time from its input, and ends when that closes. What a client
sends is kept from the first byte on, that of connections which broke too.
"""

import asyncio
import contextlib
import json
import random  # noqa: TID251 - which chunk a proxy loses is chance
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from edgewise.testing.fault import Fault, FaultKind

LABELS = ("no", "yes")
_RESEND_S = 0.2
"""The shortest time after which TCP sends a lost segment again."""
_CHUNK_BYTES = 4096
_LIMIT_S = 10.0
_REASONS = {200: "OK", 429: "Too Many Requests", 500: "Internal Server Error", 503: "Unavailable"}
_STATUS = {FaultKind.TOO_MANY: 429, FaultKind.SERVER_ERROR: 500, FaultKind.UNAVAILABLE: 503}
_CALM = Fault()


def label_of(text: str) -> str:
    """Give the one right label of a text, so that a mixed-up answer is found out."""
    return LABELS[zlib.crc32(text.encode()) % len(LABELS)]


class FarEnd:
    """Server and proxy, and all that they saw. Made by `main`; lives on one event loop."""

    def __init__(self) -> None:
        self.fault = _CALM
        self.received: list[bytearray] = []
        """Of each connection, all bytes."""
        self.arrived: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        """Requests by id for which an answer with status 200 was begun."""
        self.deadlines_ms: dict[str, float] = {}
        self.connections = 0
        self.open = 0
        self._server_port = 0
        self._rng = random.Random(7)
        self._links: set[asyncio.StreamWriter] = set()
        self._listening: asyncio.Server | None = None
        self._address = ("", 0)

    async def start(self, host: str) -> dict[str, int]:
        """Listen; give the ports."""
        server = await asyncio.start_server(self._serve, host, 0)
        self._server_port = server.sockets[0].getsockname()[1]
        self._address = (host, 0)
        await self._listen()
        return {"server": self._server_port, "proxy": self._address[1]}

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what one line says."""
        if "fault" in order:
            await self._set(Fault(kind=FaultKind(order["fault"]), amount=order["amount"]))
        if "commands" in order:
            return {"failed": _run_all(order["commands"])}
        if "find" in order:
            everything = b"\n".join(self.received)
            return {"found": [one for one in order["find"] if one.encode() in everything]}
        return {
            "arrived": self.arrived,
            "served": self.served,
            "deadlines_ms": self.deadlines_ms,
            "connections": self.connections,
            "open": self.open,
        }

    async def _set(self, fault: Fault) -> None:
        self.fault = fault
        if fault.kind in (FaultKind.CUT, FaultKind.FAR_CUT):
            if self._listening is not None:
                self._listening.close()
                self._listening = None
            self._abort_links()
        elif self._listening is None:
            await self._listen()
        if fault.kind is FaultKind.RESET:
            self._abort_links()

    def _abort_links(self) -> None:
        for writer in self._links:
            writer.transport.abort()

    async def _listen(self) -> None:
        self._listening = await asyncio.start_server(
            self._relay, *self._address, reuse_address=True
        )
        self._address = self._listening.sockets[0].getsockname()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a client to the server, as well as the fault of the moment lets through."""
        if self.fault.kind is FaultKind.RESET:
            writer.transport.abort()
            return
        there, here = await asyncio.open_connection(self._address[0], self._server_port)
        log = bytearray()
        self.received.append(log)
        self._links |= {writer, here}
        try:
            ways = [self._carry(reader, here, log), self._carry(there, writer, bytearray())]
            tasks = [asyncio.ensure_future(one) for one in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            pass  # as in `_serve`
        finally:
            self._links -= {writer, here}
            for one in (writer, here):
                one.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: bytearray
    ) -> None:
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                log += chunk
                await self._hold(len(chunk))
                writer.write(chunk)
                await writer.drain()
        except OSError:
            writer.transport.abort()

    async def _hold(self, size: int) -> None:
        """Wait as long as the link would need for a chunk."""
        while self.fault.kind is FaultKind.BLACK_HOLE:
            await asyncio.sleep(0.01)
        kind, amount = self.fault.kind, self.fault.amount
        if kind is FaultKind.DELAY:
            await asyncio.sleep(amount)
        elif kind is FaultKind.RATE:
            await asyncio.sleep(size / amount)
        elif kind is FaultKind.LOSS:
            wait_s = _RESEND_S
            while self._rng.random() < amount and wait_s < 2.0:
                await asyncio.sleep(wait_s)
                wait_s *= 2

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        log = bytearray()
        self.received.append(log)
        try:
            while await self._answer(reader, writer, log):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # Python 3.11's streams print a handler that ends cancelled as a defect
        finally:
            self.open -= 1
            writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: bytearray
    ) -> bool:
        """Answer one request as the fault says; say whether the connection goes on."""
        head = await _read_head(reader, log)
        lines = head.decode("latin-1").lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        body = await _read_exactly(reader, int(fields.get("content-length", 0)), log)
        fault = self.fault
        looked = lines[0].startswith("head")
        name = fields.get("idempotency-key", "")
        if not looked:
            self.arrived[name] += 1
            if "x-edgewise-deadline-ms" in fields:
                self.deadlines_ms[name] = float(fields["x-edgewise-deadline-ms"])
        if fault.kind is FaultKind.HANG:
            await reader.read()
            return False
        status = _STATUS.get(fault.kind, 200)
        if status == 200 and not looked:
            self.served[name] += 1
        payload = b"" if looked else _payload(body, fault, status)
        whole = _head(status, len(payload), fault) + payload
        return await _send(writer, whole, fault)


def _run_all(commands: Sequence[tuple[Sequence[str], str]]) -> str:
    """Run commands, each with its input, until one fails; say what failed."""
    for words, heard in commands:
        done = subprocess.run(
            words, input=heard, text=True, capture_output=True, timeout=_LIMIT_S, check=False
        )
        if done.returncode:
            return f"`{' '.join(words)}` ended with {done.returncode}: {done.stderr.strip()}"
    return ""


async def _read_head(reader: asyncio.StreamReader, log: bytearray) -> bytes:
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line:
            raise asyncio.IncompleteReadError(bytes(head), None)
        log += line
        head += line
    return bytes(head)


async def _read_exactly(reader: asyncio.StreamReader, size: int, log: bytearray) -> bytes:
    body = bytearray()
    while len(body) < size:
        chunk = await reader.read(size - len(body))
        if not chunk:
            raise asyncio.IncompleteReadError(bytes(body), size)
        log += chunk
        body += chunk
    return bytes(body)


def _payload(body: bytes, fault: Fault, status: int) -> bytes:
    if fault.kind is FaultKind.WRONG_JSON:
        return b'{"predictions": [{"label": 7, "confi'
    if status != 200:
        return b"{}"
    rows = []
    for one in json.loads(body)["inputs"]:
        label = label_of(one["text"])
        shares = {name: 0.99 if name == label else 0.01 for name in LABELS}
        rows.append({"label": label, "confidence": 0.99, "probabilities": shares})
    return json.dumps({"predictions": rows}).encode()


def _head(status: int, size: int, fault: Fault) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "content-type: application/json",
        f"content-length: {size}",
    ]
    if status in (429, 503) and fault.amount:
        lines.append(f"retry-after: {fault.amount:.0f}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _send(writer: asyncio.StreamWriter, whole: bytes, fault: Fault) -> bool:
    if fault.kind is FaultKind.SLOW_LORIS:
        for place in range(len(whole)):
            writer.write(whole[place : place + 1])
            await writer.drain()
            await asyncio.sleep(fault.amount)
    elif fault.kind is FaultKind.HALF_ANSWER:
        writer.write(whole[: len(whole) // 2])
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.transport.abort()
        return False
    writer.write(b"" if fault.kind is FaultKind.SLOW_LORIS else whole)
    await writer.drain()
    return True


async def _main(host: str) -> None:
    far = FarEnd()
    _say(await far.start(host))
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def hear() -> None:
        line = sys.stdin.readline()
        lines.put_nowait(line)
        if not line:
            loop.remove_reader(sys.stdin)

    loop.add_reader(sys.stdin, hear)
    while line := await lines.get():
        _say(await far.obey(json.loads(line)))


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(words: Sequence[str]) -> None:
    """Serve until the input closes."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(words[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
