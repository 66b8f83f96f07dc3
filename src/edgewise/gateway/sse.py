"""Server-sent events: parts of an answer as they come."""

from typing import Protocol, Self

from edgewise.errors import EdgewiseError
from edgewise.gateway.completing import Completion, Piece
from edgewise.gateway.messages import line_safe
from edgewise.gateway.refusing import Form, refused

KIND = "text/event-stream"
DONE = b"data: [DONE]\n\n"


class Frames(Protocol):
    """Gives the events of one answer, in the order of its pieces."""

    def piece(self, piece: Piece) -> bytes:
        """Give the events of a piece."""
        ...

    def end(self, completion: Completion) -> bytes:
        """Give the events of the end."""
        ...


def event(value: bytes) -> bytes:
    """Give an event of a value's JSON."""
    return b"data: %b\n\n" % value


class Events:
    """The events of a completion on its way, ended as OpenAI's clients expect it.

    What fails midway is told in an event of its own, and the stream ends without `[DONE]`. What
    the answer's headers could not say is told as a comment before its end.
    """

    def __init__(self, completion: Completion, frames: Frames) -> None:
        self._completion, self._frames = completion, frames
        self._pieces = completion.pieces
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        try:
            return self._frames.piece(await self._pieces.__anext__())
        except StopAsyncIteration:
            self._ended = True
        except EdgewiseError as failure:
            self._ended = True
            return event(refused(failure, Form.OPENAI).body)
        told = self._completion.told
        comment = "".join(f": {name}: {line_safe(value)}\n" for name, value in told)
        end = self._frames.end(self._completion)
        return end + (f"{comment}\n".encode() if comment else b"") + DONE

    async def aclose(self) -> None:
        """Stop what makes the pieces."""
        await self._pieces.aclose()
