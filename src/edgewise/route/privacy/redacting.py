"""Hides personal data behind placeholders, and puts it back into what is answered."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgewise.errors import InvalidData
from edgewise.route.privacy.detecting import detect, find, is_seed, strings_of, written

_PLACEHOLDER = re.compile(r"<[A-Z][A-Z_]*_[0-9]+>")
_BEGUN = re.compile(r"<(?:[A-Z][A-Z_]*(?:_[0-9]*)?)?\Z")
_LONGEST_PLACEHOLDER = 64
_DEEPEST = 200
_ROUNDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """An input without its personal data, and the way back. Payload: never logged, never sent."""

    input: Any = field(repr=False)
    mapping: Mapping[str, str] = field(repr=False)
    """The value of each placeholder; it stays on the device."""


def redact(value: Any, kinds: Sequence[str]) -> Redacted:
    """Replace each value of the kinds by a placeholder such as `<EMAIL_1>`, keys too.

    The same value gets the same placeholder; one that the input holds already is not used. A number
    that is such a value becomes text. What comes out holds nothing that `detect` finds; where
    nothing was found it is the input itself.

    Raises
    ------
    InvalidData
        When the input is nested more than 200 deep.
    UsageError, MissingExtra
        As `detect`.

    Examples
    --------
    >>> redact({"text": "write to ana@example.org"}, ["email"]).input
    {'text': 'write to <EMAIL_1>'}
    """
    hiding = _Hiding(value, kinds)
    return Redacted(input=_walk(value, hiding.hide), mapping=hiding.mapping)


def restore(answer: Any, mapping: Mapping[str, str]) -> Any:
    """Put the values back where an answer holds their placeholders, however deep, keys too.

    Examples
    --------
    >>> restore({"reply": "sent to <EMAIL_1>"}, {"<EMAIL_1>": "ana@example.org"})
    {'reply': 'sent to ana@example.org'}
    """
    if not mapping:
        return answer
    return _walk(answer, lambda leaf: _put_back(leaf, mapping) if isinstance(leaf, str) else leaf)


class Restorer:
    """Puts values back into text that comes in pieces, whatever piece a placeholder is split by.

    One for one stream: `feed` each piece, then send what `close` gives.

    Examples
    --------
    >>> restorer = Restorer({"<EMAIL_1>": "ana@example.org"})
    >>> [restorer.feed("to <EMA"), restorer.feed("IL_1> now"), restorer.close()]
    ['to ', 'ana@example.org now', '']
    """

    __slots__ = ("_held", "_mapping")

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._mapping = mapping
        self._held = ""

    def feed(self, piece: str) -> str:
        """Give what is sure by now; the start of a placeholder waits for its end."""
        if not self._mapping:
            return piece
        text = self._held + piece
        tail = max(0, len(text) - _LONGEST_PLACEHOLDER)
        begun = _BEGUN.search(text, tail)
        cut = len(text) if begun is None else begun.start()
        self._held = text[cut:]
        return _put_back(text[:cut], self._mapping)

    def close(self) -> str:
        """Give what still waited, when the stream has ended."""
        held, self._held = self._held, ""
        return held


class _Hiding:
    """The placeholders of one input."""

    def __init__(self, value: Any, kinds: Sequence[str]) -> None:
        self.mapping: dict[str, str] = {}
        self._kinds = kinds
        self._by_value: dict[tuple[str, str], str] = {}
        self._last: dict[str, int] = {}
        self._taken = {one for text in strings_of(value) for one in _PLACEHOLDER.findall(text)}

    def hide(self, leaf: str | float) -> str | float:
        text = leaf if isinstance(leaf, str) else written(leaf)
        if not text or not detect(text, self._kinds):
            return leaf
        hidden = text
        for _ in range(_ROUNDS):
            spans = find(hidden, self._kinds)
            if not spans:
                return hidden
            pieces, done = [], 0
            for span in spans:
                value = hidden[span.start : span.end]
                pieces += [hidden[done : span.start], self._placeholder(span.kind, value)]
                done = span.end
            hidden = "".join([*pieces, hidden[done:]])
        # Each round laid bare another value: then no part of the text is trusted.
        return self._placeholder("text", text)

    def _placeholder(self, kind: str, value: str) -> str:
        known = self._by_value.get((kind, value))
        if known is not None:
            return known
        number = self._last.get(kind, 0) + 1
        while (made := f"<{kind.upper()}_{number}>") in self._taken:
            number += 1
        self._last[kind] = number
        self._by_value[kind, value] = made
        self.mapping[made] = value
        return made


def _put_back(text: str, mapping: Mapping[str, str]) -> str:
    if "<" not in text:
        return text
    return _PLACEHOLDER.sub(lambda found: mapping.get(found[0], found[0]), text)


def _walk(value: Any, change: Callable[[str | float], str | float], depth: int = 0) -> Any:
    """Give a value with its strings and numbers changed; what holds none that is stays itself."""
    if isinstance(value, str | int | float):
        return change(value)
    if not isinstance(value, Mapping | list | tuple | set | frozenset):
        return value
    if depth > _DEEPEST:
        what = f"the input is nested more than {_DEEPEST} deep"
        raise InvalidData(what, where="input", hint="nest it less; loops can't be redacted")
    if isinstance(value, Mapping):
        pairs = [
            (
                _walk(key, change, depth + 1),
                item if depth == 0 and is_seed(key, item) else _walk(item, change, depth + 1),
            )
            for key, item in value.items()
        ]
        same = all(
            key is old and item is now
            for (key, item), (old, now) in zip(pairs, value.items(), strict=True)
        )
        return value if same else dict(pairs)
    items = [_walk(item, change, depth + 1) for item in value]
    if all(item is old for item, old in zip(items, value, strict=True)):
        return value
    return _like(value, items)


def _like(value: Any, items: Iterable[Any]) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return value._make(items)
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return kind(items)
    raise AssertionError(type(value))
