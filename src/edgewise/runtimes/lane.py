"""What carries calls to an endpoint: an HTTP client and its JSON, which a composer may hand in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class LaneBroken(OSError):
    """A call that brought no answer, or not all of one.

    Parameters
    ----------
    name
        What went wrong, in a word: it is shown, so it holds nothing of the request.
    sent
        Whether the endpoint may have seen the request.
    """

    def __init__(self, name: str, *, sent: bool) -> None:
        super().__init__(name)
        self.name, self.sent = name, sent


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One answer."""

    status_code: int
    headers: Mapping[str, str]
    """Names in small letters."""
    content: bytes
    whole: bool = True
    """Whether it is all there: what is larger than was allowed is cut off."""


class Flowing(Protocol):
    """An answer whose head is here and whose body comes. Given by a lane, read once."""

    status_code: int
    headers: Mapping[str, str]
    """Names in small letters."""

    async def read(self, until_s: float) -> bytes:
        """Give what has come of the body, waiting for some; empty at its end.

        Raises
        ------
        LaneBroken
            When it breaks off.
        TimeoutError
            When nothing came by this time of the event loop.
        """
        ...

    async def aclose(self) -> None:
        """Leave: the call ends, and its connection is kept where the body was read to its end."""
        ...


class Lane(Protocol):
    """Carries calls to one URL over connections that it keeps. Used from one event loop.

    It follows no redirects and takes no more than it is told to. A call that is cancelled or late
    frees its connection at once.
    """

    def encode(self, body: Any) -> bytes:
        """Give a body's JSON.

        Raises
        ------
        ValueError
            When a text in it can't be sent.
        """
        ...

    def decode(self, content: bytes | str) -> Any:
        """Read JSON.

        Raises
        ------
        ValueError, RecursionError
            When it is none; `NaN` and its like are none.
        """
        ...

    async def exchange(
        self,
        method: str,
        content: bytes,
        headers: Mapping[str, str],
        *,
        most_bytes: int,
        until_s: float,
    ) -> Exchanged:
        """Send a request and give its answer.

        Parameters
        ----------
        most_bytes
            Of the body.
        until_s
            Time of the event loop by which the answer is here, connecting included.

        Raises
        ------
        LaneBroken
            When none comes.
        TimeoutError
            When it does not come in time.
        ValueError
            When the URL can't be asked.
        """
        ...

    async def flow(
        self, method: str, content: bytes, headers: Mapping[str, str], *, until_s: float
    ) -> Flowing:
        """Send a request and give its answer once the head is here; who reads it closes it.

        Raises
        ------
        LaneBroken, TimeoutError, ValueError
            As `exchange`.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
