"""Server-sent events out of bytes, wherever the network cut them. Pure."""

import codecs

_MOST_BYTES = 4_000_000
_MARK = codecs.BOM_UTF8


class EventReader:
    r"""Gives the data of each event as it is whole. One for one stream.

    Source: WHATWG HTML, server-sent events. Only `data` is read: no endpoint names its events in
    a way that matters here.

    Examples
    --------
    >>> reader = EventReader()
    >>> [*reader.feed(b"data: a"), *reader.feed(b"b\n\n: hush\n\n")]
    ['ab']
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._begun = False

    def feed(self, received: bytes) -> list[str]:
        """Give the events that these bytes end.

        Raises
        ------
        ValueError
            When an event is longer than any answer's piece.
        """
        lines = self._rest + received
        if not self._begun:
            if _MARK.startswith(lines):  # as far as it is here
                self._rest = lines
                return []
            self._begun = True
            lines = lines.removeprefix(_MARK)
        held = b""
        if b"\r" in lines:
            # A carriage return at the end may be the first half of a line end.
            held = b"\r" if lines.endswith(b"\r") else b""
            lines = lines.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = lines.split(b"\n")
        self._rest = rest + held
        if len(self._rest) + self._size > _MOST_BYTES:
            raise ValueError("an event without an end")
        return [event for line in whole if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> str | None:
        if not line:
            event = b"\n".join(self._data).decode("utf-8", "replace") if self._data else None
            self._data, self._size = [], 0
            return event
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
            if self._size > _MOST_BYTES:
                raise ValueError("an event without an end")
        return None
