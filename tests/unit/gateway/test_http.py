"""A connection whose other end does not read."""

import asyncio
import socket

from fuzzed import Server, Wire

from edgewise.gateway.http import Connection, HttpLimits, HttpServer
from edgewise.gateway.messages import Request, Response
from edgewise.gateway.server import listen

GET = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"


def connected() -> tuple[Connection, Server, Wire]:
    """Give a connection that has answered a request, and whose reader then stands still."""
    server, wire = Server(), Wire()
    one = Connection(server)  # type: ignore[arg-type]
    one.connection_made(wire)  # type: ignore[arg-type]
    one.data_received(GET)
    server.run()
    one.pause_writing()
    return one, server, wire


def test_who_does_not_read_is_answered_no_further_until_it_does() -> None:
    one, server, wire = connected()

    for _ in range(3):
        one.data_received(GET * 3)
        server.run()
    answered = len(server.requests)
    one.resume_writing()
    server.run()

    assert answered == 1
    assert len(server.requests) == len(wire.written) == 10


def test_what_is_wrong_behind_requests_that_wait_is_not_answered_in_their_place() -> None:
    one, server, wire = connected()
    written = len(wire.written)

    one.data_received(GET)
    one.data_received(b"nonsense\r\n\r\n")
    server.run()

    assert len(wire.written) == written
    assert wire.closing


async def test_who_reads_nothing_for_too_long_is_cut_off() -> None:
    asked: list[Request] = []

    async def answer(request: Request) -> Response:
        asked.append(request)
        return Response(body=bytes(1_000_000))

    listening = listen("127.0.0.1", 0)
    server = HttpServer(answer, limits=HttpLimits(write_s=0.2))
    await server.listen(listening)
    _, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(GET * 1000)
    async with asyncio.timeout(20):
        while not asked or server.connections:
            await asyncio.sleep(0.01)
    writer.close()
    await server.drain(0.0)

    assert len(asked) < 30  # what the kernel holds of them, and two


async def held(body: int, **limits: float) -> tuple[HttpServer, socket.socket]:
    """Give a server that sent an answer of this size, and who does not read it by itself."""

    async def answer(request: Request) -> Response:
        del request
        return Response(body=bytes(body))

    listening, client = listen("127.0.0.1", 0), socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    server = HttpServer(answer, limits=HttpLimits(**limits))  # type: ignore[arg-type]
    await server.listen(listening)
    await server.loop.sock_connect(client, listening.getsockname())
    await server.loop.sock_sendall(client, GET)
    return server, client


async def test_who_reads_slowly_but_steadily_gets_the_whole_answer() -> None:
    server, client = await held(500_000, write_s=0.3)

    received = 0
    async with asyncio.timeout(20):
        while received < 500_000 and (part := await server.loop.sock_recv(client, 10_000)):
            received += len(part)
            await asyncio.sleep(0.02)
    client.close()
    await server.drain(0.0)

    assert received >= 500_000


async def test_a_connection_that_closes_is_not_kept_by_what_nobody_reads() -> None:
    server, client = await held(40_000, write_s=0.2, idle_s=0.2)

    async with asyncio.timeout(20):
        while not server.connections:
            await asyncio.sleep(0.01)
        while server.connections:
            await asyncio.sleep(0.01)
    client.close()
    await server.drain(0.0)


async def test_what_is_cut_off_has_ended_when_the_server_has_stopped() -> None:
    begun = asyncio.Event()
    ended: list[str] = []

    async def answer(request: Request) -> Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(3):  # as where a call that raced is waited for
                await asyncio.sleep(0)
            ended.append(request.path)
        return Response()

    server = HttpServer(answer, limits=HttpLimits())
    listening = listen("127.0.0.1", 0)
    await server.listen(listening)
    _, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(GET)
    await begun.wait()

    cut = await server.drain(0.0)

    assert (cut, ended) == (1, ["/healthz"])
    writer.close()
