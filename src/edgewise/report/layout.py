"""How a plot is laid out: for a wide frame and for a narrow one, and where its words find room.

A page holds each plot twice, and its style shows the one whose letters are large enough.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

LINE = 15.0
"""From one line of words to the next, in units of the drawing; letters are 12 high."""
_ASCENT, _DESCENT = 11.0, 3.0
_EMS = {"ijl|'": 0.28, " .,:;!": 0.33, "ftrI()": 0.41, "sczkvxy-": 0.58, "w": 0.82, "mMW%→": 1.0}
_WIDTHS = {letter: ems for letters, ems in _EMS.items() for letter in letters}

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What differs between the two. The page's style knows them by name."""

    name: str
    width: float
    height: float
    """Of what is between the axes."""
    left: float
    """At least so much is left of the axes."""
    right: float
    names_beside: bool
    """Whether lines are named at their ends, or above the axes."""


WIDE = Layout(name="wide", width=560, height=260, left=56, right=112, names_beside=True)
NARROW = Layout(name="narrow", width=280, height=190, left=40, right=20, names_beside=False)


def both(draw: Callable[[Layout], str]) -> str:
    """Give a plot in both layouts, one after the other."""
    return draw(WIDE) + draw(NARROW)


def opened(layout: Layout, height: float, title: str, description: str) -> str:
    """Give the start of a plot, with what is read aloud."""
    return (
        f'<svg class="{layout.name}" viewBox="0 0 {layout.width:g} {height:g}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    )


def text(words: str, place: Point, *, anchor: str = "start", style: str = "tick") -> str:
    """Give words as SVG; `place` is on their base line."""
    x, y = place
    spot = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{style}" {spot}>{escape(words)}</text>'


def key(style: str, place: Point) -> str:
    """Give a piece of a line, to stand beside its name."""
    x, y = place
    return f'<line class="key {style}" x1="{x:.1f}" x2="{x + 13:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'


def width_of(words: str, *, bold: bool = False) -> float:
    """Say how wide words are at most, in a broad letter of the usual ones."""
    ems = sum(_WIDTHS.get(one, 0.7 if one.isupper() else 0.64) for one in words)
    return 12 * ems * (1.12 if bold else 1.0)


def wrapped(words: str, width: float, *, bold: bool = False) -> list[str]:
    """Part words into lines that fit, at spaces and within a name after a dot or `_`."""
    lines = [""]
    for piece in _pieces(words):
        if lines[-1] and width_of((lines[-1] + piece).strip(), bold=bold) > width:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]


def _pieces(words: str) -> list[str]:
    pieces = [""]
    for one in words:
        pieces[-1] += one
        if one in " ._":
            pieces.append("")
    return [piece for piece in pieces if piece]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in units of the drawing."""

    left: float
    top: float
    right: float
    bottom: float

    def touches(self, other: "Box") -> bool:
        """Say whether the two have a piece in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def far_from(self, point: Point) -> float:
        """Say how far a point is from the nearest of its own."""
        x, y = point
        across = max(self.left - x, x - self.right, 0.0)
        return math.hypot(across, max(self.top - y, y - self.bottom, 0.0))


@dataclass(frozen=True, slots=True)
class Place:
    """Where words could stand: on a base line, from or up to an x."""

    x: float
    y: float
    anchor: str

    def box(self, wide: float) -> Box:
        """Give the room that words of this width need here."""
        left = self.x - {"start": 0.0, "middle": wide / 2, "end": wide}[self.anchor]
        return Box(left, self.y - _ASCENT, left + wide, self.y + _DESCENT)


@dataclass(slots=True)
class Room:
    """What of a drawing is taken. Made by a plot, which asks it where words may stand."""

    inside: Box
    taken: list[Box] = field(default_factory=list)
    ink: list[Point] = field(default_factory=list)
    """Points on lines: words avoid them where they can."""

    def find(self, wide: float, places: Iterable[Place]) -> Place | None:
        """Take the place that is free and crossed by least, the first of those; or none."""
        free = [
            place
            for place in places
            if self._holds(box := place.box(wide)) and not any(map(box.touches, self.taken))
        ]
        best = min(free, key=lambda place: self._crossed(place.box(wide)), default=None)
        if best is not None:
            self.taken.append(best.box(wide))
        return best

    def _holds(self, box: Box) -> bool:
        return (
            self.inside.left <= box.left
            and box.right <= self.inside.right
            and self.inside.top <= box.top
            and box.bottom <= self.inside.bottom
        )

    def _crossed(self, box: Box) -> int:
        return sum(box.left <= x <= box.right and box.top <= y <= box.bottom for x, y in self.ink)


def dense(points: Sequence[Point]) -> list[Point]:
    """Give points along a line that lie no more than four units apart."""
    found = list(points[:1])
    for (x0, y0), (x1, y1) in pairwise(points):
        steps = max(1, int(max(abs(x1 - x0), abs(y1 - y0)) / 4))
        found += [
            (x0 + (x1 - x0) * one / steps, y0 + (y1 - y0) * one / steps)
            for one in range(1, steps + 1)
        ]
    return found


def apart(wanted: Sequence[float], low: float, high: float) -> list[float]:
    """Move heights apart that are a line's height from each other or less, within two ends."""
    order = sorted(range(len(wanted)), key=lambda one: wanted[one])
    placed: list[float] = []
    for one in order:
        placed.append(max(wanted[one], low, *(y + LINE for y in placed[-1:])))
    last = high
    for spot in reversed(range(len(placed))):
        placed[spot] = min(placed[spot], last)
        last = placed[spot] - LINE
    found = [0.0] * len(wanted)
    for one, y in zip(order, placed, strict=True):
        found[one] = y
    return found
