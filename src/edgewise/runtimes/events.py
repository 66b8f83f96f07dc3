"""Server-sent events out of bytes, wherever the network cut them. Pure."""

import codecs

_MOST_CHARACTERS = 4_000_000


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
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, received: bytes) -> list[str]:
        """Give the events that these bytes end.

        Raises
        ------
        ValueError
            When an event is longer than any answer's piece.
        """
        text = self._rest + self._decoder.decode(received)
        # A carriage return at the end may be the first half of a line end.
        held = "\r" if text.endswith("\r") else ""
        text = text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        self._rest = rest + held
        if len(self._rest) + self._size > _MOST_CHARACTERS:
            raise ValueError("an event without an end")
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: str) -> str | None:
        if not line:
            event = "\n".join(self._data) if self._data else None
            self._data, self._size = [], 0
            return event
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
            self._size += len(value)
            if self._size > _MOST_CHARACTERS:
                raise ValueError("an event without an end")
        return None
