"""Server-sent events: parts of an answer as they come."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Self

from edgewise.errors import EdgewiseError
from edgewise.gateway.bodies import to_json
from edgewise.gateway.messages import Headers, line_safe
from edgewise.gateway.refusing import Form, refused

KIND = "text/event-stream"
DONE = b"data: [DONE]\n\n"


class Events:
    """Frames JSON values as events, and the end as OpenAI's clients expect it.

    What fails midway is told in an event of its own, and the stream ends without `[DONE]`.

    Parameters
    ----------
    parts
        Values that are sent together.
    told
        Gives, at the end, what the answer's headers could not say; it is sent as a comment.
    close
        Stops what makes the parts; awaited when the events end, begun or not.
    """

    def __init__(
        self,
        parts: AsyncIterator[list[Any]],
        *,
        told: Callable[[], Headers],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._frames, self._close = _framed(parts, told), close

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._frames)

    async def aclose(self) -> None:
        """End the stream."""
        await self._frames.aclose()
        await self._close()


async def _framed(
    parts: AsyncIterator[list[Any]], told: Callable[[], Headers]
) -> AsyncGenerator[bytes, None]:
    try:
        async for part in parts:
            yield b"".join([b"data: " + to_json(one) + b"\n\n" for one in part])
    except EdgewiseError as failure:
        yield b"data: " + refused(failure, Form.OPENAI).body + b"\n\n"
        return
    comment = "".join(f": {name}: {line_safe(value)}\n" for name, value in told())
    yield (f"{comment}\n".encode() if comment else b"") + DONE
