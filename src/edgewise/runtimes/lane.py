"""What carries calls to an endpoint: an HTTP client that a composer may hand in."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One whole answer."""

    status_code: int
    headers: Mapping[str, str]
    """Names in small letters."""
    content: bytes


class Flowing(Protocol):
    """An answer whose head is here and whose body comes. Given by a lane, read once."""

    status_code: int
    headers: Mapping[str, str]
    """Names in small letters."""

    def aiter_raw(self) -> AsyncIterator[bytes]:
        """Give the body as it comes; raises an `OSError` where it breaks off."""
        ...


class Lane(Protocol):
    """Carries calls to one URL over connections that it keeps. Used from one event loop.

    It follows no redirects and takes no more than it is told to. A call that is cancelled frees
    its connection at once.
    """

    async def exchange(
        self, method: str, content: bytes, headers: Mapping[str, str], most_bytes: int
    ) -> Exchanged:
        """Send a request and give its whole answer.

        Raises
        ------
        OSError
            When no whole answer comes; a `ConnectionRefusedError` where nobody listens.
        """
        ...

    def stream(
        self, method: str, content: bytes, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Flowing]:
        """Send a request and give its answer once the head is here; leaving ends the call.

        Raises
        ------
        OSError
            When no answer comes.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
