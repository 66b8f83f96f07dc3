"""What the detectors of one text share: its plain form, and where digits stand close together."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from edgewise.route.privacy.folding import fold, places_of

Place = tuple[int, int]
"""Start and end, the end left out."""
Forms = Mapping[tuple[int, ...], tuple[str, ...]]
"""For the lengths of a number's groups, which separators may stand between them, in order."""

_RUN = re.compile(r"[0-9](?<![0-9].)(?:[ .\-]?[0-9]){8,}")
_GROUP = re.compile(r"[0-9]+")
_AMOUNT_SIGNS = "$€£¥₹+#"


class Span(NamedTuple):
    """Where a value of a kind stands in a text; the end is left out."""

    start: int
    end: int
    kind: str


class Scan:
    """One text while it is looked at: lives for one call."""

    __slots__ = ("_places", "_runs", "digits", "original", "text")

    def __init__(self, text: str) -> None:
        self.original = text
        self.text = fold(text)
        # Of a word, such as most keys are, nothing needs to be counted.
        self.digits = 0 if self.text.isalpha() else sum(map(self.text.count, "0123456789"))
        self._runs: list[list[Place]] | None = None
        self._places: list[int] | None = None

    def runs(self) -> list[list[Place]]:
        """Give the groups of digits of each run of 9 or more, at most one separator between two."""
        if self._runs is None:
            self._runs = [
                [group.span() for group in _GROUP.finditer(self.text, *run.span())]
                for run in _RUN.finditer(self.text)
            ]
        return self._runs

    def numbers(self, forms: Forms) -> Iterator[Place]:
        """Give numbers that are grouped so and so and stand alone.

        Parameters
        ----------
        forms
            For the lengths of the groups, which separators may stand between them, in order.
        """
        total = sum(next(iter(forms)))
        for run in self.runs():
            for first, last in windows(run, total):
                groups = run[first:last]
                separators = forms.get(tuple(end - start for start, end in groups))
                if separators is None:
                    continue
                between = "".join(self.text[end] for _, end in groups[:-1])
                if between in separators and self._stands_alone(groups[0][0], groups[-1][1]):
                    yield groups[0][0], groups[-1][1]

    def as_written(self, place: Place) -> Place:
        """Turn a place in the plain form into that in the text as it was written."""
        if self.text is self.original:
            return place
        if self._places is None:
            self._places = places_of(self.original)
        return self._places[place[0]], self._places[place[1] - 1] + 1

    def digits_of(self, place: Place) -> str:
        """Give the digits in a place, without what separates them."""
        return "".join(_GROUP.findall(self.text, *place))

    def _stands_alone(self, start: int, end: int) -> bool:
        """Say whether a number is no part of a word, an amount, a fraction or a longer chain."""
        before = self.text[max(0, start - 2) : start]
        after = self.text[end : end + 2]
        if before and (_in_word(before[-1]) or before[-1] in _AMOUNT_SIGNS):
            return False
        if len(before) == 2 and before[1] in ".-," and before[0].isalnum():
            return False
        if after and _in_word(after[0]):
            return False
        return not (len(after) == 2 and after[0] in ".-," and after[1].isalnum())


def windows(groups: list[Place], total: int) -> Iterator[Place]:
    """Give first and last (left out) of adjacent groups that have so many digits together."""
    for first in range(len(groups)):
        size = 0
        for last in range(first, min(first + total, len(groups))):
            size += groups[last][1] - groups[last][0]
            if size >= total:
                if size == total:
                    yield first, last + 1
                break


def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_"
