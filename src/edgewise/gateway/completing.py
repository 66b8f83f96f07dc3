"""What completes a chat or a text, whatever it is: the promise, and what it gives."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from edgewise.gateway.asking import Asked
from edgewise.gateway.messages import Headers
from edgewise.records import Input, ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a completion."""

    text: str
    log_share: float | None = None
    """The natural logarithm of its probability, where it is known."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls of tools, or pieces of them."""
    refusal: str = ""
    """In what words the model refuses, in place of a text."""


class Pieces(Protocol):
    """The parts of a completion as they come."""

    def __aiter__(self) -> AsyncIterator[Piece]: ...

    async def __anext__(self) -> Piece: ...

    async def aclose(self) -> None:
        """Leave: what works on it stops. A second call does nothing."""
        ...


@dataclass(slots=True, kw_only=True)
class Completion:
    """One completion on its way. Made by what completes, read by the interface."""

    pieces: Pieces
    headers: Headers
    """Of the decision, as far as it is known when it begins."""
    tokens_in: int = 0
    """Known when the pieces have ended, as all that follows."""
    tokens_cached: int = 0
    """Of those, the ones that the model had read before."""
    tokens_out: int = 0
    finish: str = "stop"
    told: Headers = field(default_factory=list)
    """Of the decision, what was not known when it began."""


class Completes(Protocol):
    """Completes a chat or a text. Called from the event loop.

    `one` holds the request's `messages` or its `prompt`, `body` the whole request; the completion
    may be closed at any piece. It raises what `HybridInferenceEngine.predict` raises.
    """

    async def complete(self, one: Input, body: dict[str, Any], asked: Asked) -> Completion:
        """Begin to complete; gives back once it is known who answers."""
        ...
