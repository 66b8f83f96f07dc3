"""What the server hands to the application, and what it gets back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

JSON = "application/json"
Headers = list[tuple[str, str]]

FIELDS = {
    written.encode(): name
    for name in (
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "date",
        "host",
        "idempotency-key",
        "server",
        "user-agent",
        "x-edgewise-deadline-ms",
    )
    for written in (name, name.title())
}
"""The names of fields that most messages have, as they are written."""
_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n" for one in HTTPStatus}


@dataclass(slots=True, kw_only=True)
class Request:
    """One request, whole. Made by the server, read by the application."""

    method: str
    path: str
    """As it was sent: percent signs and all, without the query."""
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Names in small letters; what was sent twice is joined by a comma."""
    body: bytes = b""
    peer: str = ""
    """The address at the other end; empty over what has none."""
    modern: bool = True
    """Whether the client speaks HTTP/1.1, and not an older version."""


@dataclass(slots=True, kw_only=True)
class Response:
    """One answer: a body, or parts that follow as they come."""

    status: int = 200
    body: bytes = b""
    kind: str = JSON
    """The media type; empty where there is no body."""
    headers: Headers = field(default_factory=list)
    parts: AsyncIterator[bytes] | None = None
    """A stream; then `body` is not read."""
    begun: bool = False
    """Whether the first part is there already: then it is sent together with the head."""


def head_of(response: Response, extra: str, *, close: bool, modern: bool = True) -> bytes:
    """Give the first lines of an answer, up to the empty one.

    Parameters
    ----------
    extra
        Lines that every answer has, each with its end.
    modern
        Whether the client speaks HTTP/1.1: another knows no chunks, and is told when the
        connection stays.
    """
    lines = [_LINES.get(response.status, _LINES[500]), extra]
    if response.kind:
        lines.append(f"content-type: {response.kind}\r\n")
    if response.parts is None:
        lines.append(f"content-length: {len(response.body)}\r\n")
    elif modern:
        lines.append("transfer-encoding: chunked\r\n")
    headers = response.headers
    if headers:
        if _is_safe("".join([value for _, value in headers])):
            lines += [f"{name}: {value}\r\n" for name, value in headers]
        else:
            lines += [f"{name}: {line_safe(value)}\r\n" for name, value in headers]
    if close:
        lines.append("connection: close\r\n\r\n")
    else:
        lines.append("\r\n" if modern else "connection: keep-alive\r\n\r\n")
    return "".join(lines).encode("latin-1", "replace")


def line_safe(value: str) -> str:
    """Give a header's value that can't end its line: what is not printable ASCII is quoted."""
    return value if _is_safe(value) else quote(value, safe=" ,;:=/")


def _is_safe(value: str) -> bool:
    return value.isascii() and value.isprintable()
