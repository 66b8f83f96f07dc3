"""Server-sent events: parts of an answer as they come."""

from collections.abc import AsyncIterator
from typing import Any

from edgewise.gateway.bodies import to_json

KIND = "text/event-stream"
DONE = b"data: [DONE]\n\n"


async def events(parts: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """Frame JSON values as events, and the last one as OpenAI's clients expect it."""
    async for part in parts:
        yield b"data: " + to_json(part) + b"\n\n"
    yield DONE
