"""A fast endpoint to stand behind a gateway: answers at once, or after a time, one at a time.

Chats that ask for a stream get `--pieces` pieces, `--gap-ms` apart, the first at once.

python -m benchmarks.gateway_upstream --port 9020 --service-ms 5
"""

import argparse
import asyncio
from collections.abc import AsyncIterator

from edgewise.gateway.http import HttpServer
from edgewise.gateway.messages import Request, Response
from edgewise.gateway.server import listen, new_runner

PLAIN = b'{"label":"positive","confidence":0.9,"probabilities":{"negative":0.1,"positive":0.9}}'
CHAT = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    b'"finish_reason":"stop","message":{"role":"assistant","content":"positive"}}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)
PIECE = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"finish_reason":null,"delta":{"content":"tok"}}]}\n\n'
)
LAST = PIECE.replace(b"null", b'"stop"').replace(b'"content":"tok"', b"")


async def said(pieces: int, gap_ms: float) -> AsyncIterator[bytes]:
    """Give an answer in pieces."""
    for number in range(pieces):
        if number:
            await asyncio.sleep(gap_ms / 1000)
        yield PIECE
    yield LAST + b"data: [DONE]\n\n"


async def serve(port: int, service_ms: float, pieces: int, gap_ms: float) -> None:
    """Answer until killed."""
    turn = asyncio.Lock()

    async def answer(request: Request) -> Response:
        if service_ms:
            async with turn:
                await asyncio.sleep(service_ms / 1000)
        if b'"stream"' in request.body:
            return Response(kind="text/event-stream", parts=said(pieces, gap_ms))
        return Response(body=CHAT if "chat" in request.path else PLAIN)

    server = HttpServer(answer)
    await server.listen(listen("127.0.0.1", port))
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--service-ms", type=float, default=0.0)
    parser.add_argument("--pieces", type=int, default=8)
    parser.add_argument("--gap-ms", type=float, default=1.0)
    given = parser.parse_args()
    with new_runner() as runner:
        runner.run(serve(given.port, given.service_ms, given.pieces, given.gap_ms))


if __name__ == "__main__":
    main()
