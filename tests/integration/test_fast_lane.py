"""The gateway's own way to an endpoint: what it reads, what it refuses, what it keeps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from edgewise.errors import DeadlineExceeded
from edgewise.gateway.upstream import FastLane
from edgewise.runtimes import ChatWire, RemoteModel

pytestmark = pytest.mark.integration
EVENT = b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\n'
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
LABEL = '{"label": "yes", "confidence": 0.9}'
LABELLED = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b"


@asynccontextmanager
async def answering(
    sent: bytes, connections: list[asyncio.StreamWriter] | None = None, **given: Any
) -> AsyncIterator[RemoteModel]:
    """Answer each request of each connection with these bytes."""

    opened = [] if connections is None else connections

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r")[0]))
                writer.write(sent)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        remote = RemoteModel(f"http://127.0.0.1:{port}", lane=FastLane, **given)
        try:
            yield remote
        finally:
            await remote.aclose()
            for writer in opened:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
async def test_the_fast_lane_reads_json_in_each_of_its_encodings(encoding: str) -> None:
    body = LABEL.encode(encoding)
    async with answering(LABELLED % (len(body), body)) as remote:
        answer = await remote.apredict({"text": "x"})

    assert (answer.label, answer.confidence) == ("yes", 0.9)


async def test_the_fast_lane_takes_no_answer_that_nobody_asked_for() -> None:
    other = LABEL.replace("yes", "no").encode()
    sent = LABELLED % (len(LABEL), LABEL.encode()) + LABELLED % (len(other), other)
    connections: list[asyncio.StreamWriter] = []
    async with answering(sent, connections) as remote:
        answers = [await remote.apredict({"text": "x"}) for _ in range(2)]

    assert [answer.label for answer in answers] == ["yes", "yes"]
    assert len(connections) == 2


async def test_a_stream_that_outruns_its_reader_waits_and_leaves_its_connection_whole() -> None:
    events = EVENT * 12_000 + b"data: [DONE]\n\n"
    sent = EVENTS + b"content-length: %d\r\n\r\n" % len(events) + events
    connections: list[asyncio.StreamWriter] = []
    async with answering(sent, connections, wire=ChatWire()) as remote:
        texts = []
        for _ in range(2):
            text = ""
            async for piece in remote.astream({"prompt": "x"}):
                text += piece.text
                if len(text) < 100:
                    await asyncio.sleep(0)
            texts.append(text)

    assert texts == ["hi" * 12_000] * 2
    assert len(connections) == 1


async def test_each_of_many_calls_is_given_up_at_its_own_time() -> None:
    connections: list[asyncio.StreamWriter] = []
    async with answering(b"", connections) as remote:
        ended: list[float] = []

        async def ask(timeout_ms: float) -> None:
            with pytest.raises(DeadlineExceeded):
                await remote.apredict({"text": "x"}, timeout_ms=timeout_ms)
            ended.append(timeout_ms)

        await asyncio.gather(*map(ask, (90.0, 30.0, 60.0, 30.0)))
        await ask(20.0)

    assert ended == [30.0, 30.0, 60.0, 90.0, 20.0]


async def test_a_call_that_is_given_up_leaves_the_others_their_time() -> None:
    waits = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r")[0]))
        await waits.wait()
        writer.write(LABELLED % (len(LABEL), LABEL.encode()))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        remote = RemoteModel(f"http://127.0.0.1:{port}", lane=FastLane)
        patient = asyncio.create_task(remote.apredict({"text": "x"}, timeout_ms=20_000.0))
        with pytest.raises(DeadlineExceeded):
            await remote.apredict({"text": "x"}, timeout_ms=20.0)
        waits.set()
        found = await patient
        await remote.aclose()

    assert found.label == "yes"
