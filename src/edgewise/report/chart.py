"""Line charts as SVG: axes, lines told apart by dash and name, marks, dots.

What is drawn is a `Chart`; how it is laid out is a `Layout`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from edgewise.report.layout import (
    LINE,
    WIDE,
    Box,
    Layout,
    Place,
    Point,
    Room,
    apart,
    dense,
    key,
    opened,
    text,
    width_of,
    wrapped,
)
from edgewise.report.scale import Scale

_KEY = 17.0
"""A piece of a line and the gap to its name."""
_PAD_SHARE = 0.04
_CLEARLY = 2.0
"""How much nearer a name is to its own dot than to any other."""
_ACROSS_MARK = 6
"""How much worse it is that a note lies across a mark, maybe another's, than across a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series. `style` is a class of the page: colour and dash."""

    name: str
    points: Sequence[Point]
    style: str
    dots: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubble:
    """A dot whose area stands for a third number; `note` says all three."""

    x: float
    y: float
    radius: float
    """In units of the drawing, whose letters are 12 high."""
    note: str
    style: str
    name: str = ""
    """Written beside it where there is room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A vertical line with a note."""

    x: float
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A horizontal line with a note."""

    y: float
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart's content; the title and the description are read aloud."""

    title: str
    description: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()
    levels: Sequence[Level] = ()
    bubbles: Sequence[Bubble] = ()
    log_x: bool = False
    log_y: bool = False
    x_format: Callable[[float], str] = "{:g}".format
    y_format: Callable[[float], str] = "{:g}".format


def draw(chart: Chart, layout: Layout = WIDE) -> str:
    """Give the chart as one SVG element."""
    return _Drawing(chart, layout).svg()


class _Drawing:
    """One chart in one layout: what lies where."""

    def __init__(self, chart: Chart, layout: Layout) -> None:
        self.chart, self.layout = chart, layout
        names = [width_of(line.name, bold=True) for line in chart.lines]
        beside = [_KEY + 8 + wide for wide in names] if layout.names_beside else []
        self.heads = _rows(chart.lines, layout)
        below = len(self._x_label(layout.width))
        pad = max([0.0, *(one.radius + 2 for one in chart.bubbles)])
        ys = [y for line in chart.lines for _, y in line.points] + [one.y for one in chart.bubbles]
        ys += [level.y for level in chart.levels]
        y_pad = max(pad, _PAD_SHARE * layout.height)
        # The label of the y axis needs its room, which needs the width of the ticks.
        flat = Scale(ys, (layout.height, 0.0), log=chart.log_y, pad=y_pad)
        self.y_ticks = _spaced(
            flat, lambda tick: (flat.at(tick), flat.at(tick) + LINE), chart.y_format
        )
        ticks = [width_of(chart.y_format(tick)) + 10 for tick in self.y_ticks]
        self.left = max([layout.left, *ticks])
        self.right = layout.width - max([layout.right, *beside])
        self.y_label = wrapped(chart.y_label, layout.width - self._label_left())
        self.top = LINE * (len(self.y_label) + len(self.heads)) + 11
        self.base = self.top + layout.height
        self.height = self.base + 24 + LINE * below
        self.y = Scale(ys, (self.base, self.top), log=chart.log_y, pad=y_pad)
        xs = [x for line in chart.lines for x, _ in line.points]
        xs += [one.x for one in chart.marks] + [one.x for one in chart.bubbles]
        x_pad = max(pad, 0.0 if chart.log_x else _PAD_SHARE * (self.right - self.left))
        self.x = Scale(xs, (self.left, self.right), log=chart.log_x, pad=x_pad)
        self.room = Room(Box(self.left - 2, self.top, self.right + 4, self.base))

    def _label_left(self) -> float:
        return self.left if self.layout.names_beside else 0.0

    def _x_label(self, width: float) -> list[str]:
        return wrapped(self.chart.x_label, width)

    def svg(self) -> str:
        chart = self.chart
        parts = [opened(self.layout, self.height, chart.title, chart.description), *self._axes()]
        for line in chart.lines:
            self.room.ink += dense(self._places(line.points))
        for level in chart.levels:
            y = self.y.at(level.y)
            self.room.ink += dense([(self.left, y), (self.right, y)])
        for one in chart.bubbles:
            x, y, r = self.x.at(one.x), self.y.at(one.y), one.radius
            self.room.taken.append(Box(x - r, y - r, x + r, y + r))
        parts += self._marks() + self._levels()
        for line in chart.lines:
            parts += self._line(line)
        parts += [
            f'<circle class="{one.style} dot" r="{one.radius:.1f}" '
            f'cx="{self.x.at(one.x):.1f}" cy="{self.y.at(one.y):.1f}">'
            f"<title>{escape(one.note)}</title></circle>"
            for one in sorted(chart.bubbles, key=lambda one: -one.radius)
        ]
        parts += self._names()
        parts += self._beside() if self.layout.names_beside else self._above()
        return "".join([*parts, "</svg>"])

    def _places(self, points: Sequence[Point]) -> list[Point]:
        return [(self.x.at(x), self.y.at(y)) for x, y in points]

    def _axes(self) -> list[str]:
        chart, base, left, right = self.chart, self.base, self.left, self.right
        parts = []
        for tick in self.y_ticks:
            y = self.y.at(tick)
            parts.append(
                f'<line class="grid" x1="{left:g}" x2="{right:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            parts.append(text(chart.y_format(tick), (left - 8, y + 4), anchor="end"))

        def ends(tick: float) -> tuple[float, float]:
            half = width_of(chart.x_format(tick)) / 2
            return self.x.at(tick) - half, self.x.at(tick) + half + 6

        parts += [
            text(chart.x_format(tick), (self.x.at(tick), base + 19), anchor="middle")
            for tick in _spaced(self.x, ends, chart.x_format)
        ]
        parts.append(
            f'<line class="axis" x1="{left:g}" x2="{right:g}" y1="{base:g}" y2="{base:g}"/>'
        )
        for row, words in enumerate(self._x_label(self.layout.width)):
            half = width_of(words) / 2
            middle = min(max((left + right) / 2, half), self.layout.width - half)
            place = (middle, base + 20 + LINE * (row + 1))
            parts.append(text(words, place, anchor="middle", style="label"))
        for row, words in enumerate(self.y_label):
            place = (self._label_left(), 12 + LINE * row)
            parts.append(text(words, place, style="label"))
        return parts

    def _marks(self) -> list[str]:
        places = [self.x.at(mark.x) for mark in self.chart.marks]
        for x in places:
            self.room.ink += _ACROSS_MARK * dense([(x, self.top), (x, self.base)])
        parts = []
        for mark, x in zip(self.chart.marks, places, strict=True):
            parts.append(
                f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{self.top:g}" '
                f'y2="{self.base:g}"/>'
            )
            parts += self._note(mark.note, self._beside_mark(x, width_of(mark.note)))
        return parts

    def _beside_mark(self, x: float, wide: float) -> list[Place]:
        sides = [Place(x + 4, 0, "start"), Place(x - 4, 0, "end")]
        if x > (self.left + self.right) / 2:
            sides.reverse()
        # A note that is too long for both sides lies across its line.
        across = max(self.left + 2, min(x - wide / 2, self.right - wide))
        sides.append(Place(across, 0, "start"))
        rows = [self.top + 13 + LINE * row for row in range(int((self.layout.height - 4) / LINE))]
        return [Place(side.x, y, side.anchor) for y in rows for side in sides]

    def _levels(self) -> list[str]:
        parts = []
        left, right = self.left + 4, self.right - 4
        for level in self.chart.levels:
            y = self.y.at(level.y)
            parts.append(
                f'<line class="mark" x1="{self.left:g}" x2="{self.right:g}" y1="{y:.1f}" '
                f'y2="{y:.1f}"/>'
            )
            places = [
                Place(left + share / 8 * (right - left), height, "start" if share < 8 else "end")
                for height in (y - 5, y + 14)
                for share in range(9)
            ]
            parts += self._note(level.note, places)
        return parts

    def _note(self, words: str, places: Sequence[Place]) -> list[str]:
        found = self.room.find(width_of(words), places) or places[0]
        return [text(words, (found.x, found.y), anchor=found.anchor, style="note")]

    def _line(self, line: Line) -> list[str]:
        chart = self.chart
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in self._places(line.points))
        name = f"<title>{escape(line.name)}</title>"
        parts = [f'<polyline class="{line.style}" points="{path}">{name}</polyline>']
        if line.dots:
            parts += [
                f'<circle class="{line.style} dot" r="3.5" '
                f'cx="{self.x.at(x):.1f}" cy="{self.y.at(y):.1f}">'
                f"<title>{escape(chart.x_format(x))}, {escape(chart.y_format(y))}</title></circle>"
                for x, y in line.points
            ]
        return parts

    def _names(self) -> list[str]:
        """Name dots beside them, the first first; one without room has its note alone."""
        parts = []
        for one in self.chart.bubbles:
            if not one.name:
                continue
            wide = width_of(one.name, bold=True)
            places = _around(self.x.at(one.x), self.y.at(one.y), one.radius + 5)
            found = self.room.find(wide, [at for at in places if self._is_of(one, at.box(wide))])
            if found is not None:
                style = f"name {one.style}"
                parts.append(text(one.name, (found.x, found.y), anchor=found.anchor, style=style))
        return parts

    def _is_of(self, one: Bubble, box: Box) -> bool:
        """Say whether words there stand beside this dot rather than beside another."""

        def gap(dot: Bubble) -> float:
            return box.far_from((self.x.at(dot.x), self.y.at(dot.y))) - dot.radius

        elsewhere = [dot for dot in self.chart.bubbles if (dot.x, dot.y) != (one.x, one.y)]
        return all(gap(one) + _CLEARLY <= gap(other) for other in elsewhere)

    def _beside(self) -> list[str]:
        """Name each line at its end beside a piece of it, moved apart where they would touch."""
        lines, x = self.chart.lines, self.right + 6
        ends = [self.y.at(line.points[-1][1]) for line in lines]
        parts = []
        for line, y in zip(lines, apart(ends, self.top, self.base), strict=True):
            parts += [key(line.style, (x, y)), _name(line, x + _KEY, y)]
        return parts

    def _above(self) -> list[str]:
        """Name the lines in rows above the axes, each beside a piece of it."""
        parts = []
        for row, lines in enumerate(self.heads):
            y = 8 + LINE * (len(self.y_label) + row)
            x = 0.0
            for line in lines:
                parts += [key(line.style, (x, y)), _name(line, x + _KEY, y)]
                x += _wide(line)
        return parts


def _name(line: Line, x: float, y: float) -> str:
    return text(line.name, (x, y + 4), style=f"name {line.style}")


def _wide(line: Line) -> float:
    return _KEY + width_of(line.name, bold=True) + 10


def _rows(lines: Sequence[Line], layout: Layout) -> list[list[Line]]:
    """Give the rows of names that stand above the axes."""
    rows: list[list[Line]] = []
    if layout.names_beside:
        return rows
    for line in lines:
        if not rows or sum(map(_wide, [*rows[-1], line])) > layout.width + 10:
            rows.append([])
        rows[-1].append(line)
    return rows


def _around(x: float, y: float, far: float) -> Iterator[Place]:
    """Give places beside a dot: near it first, to its right before the others."""
    for gap in (far, far + 12):
        yield Place(x + gap, y + 4, "start")
        yield Place(x - gap, y + 4, "end")
        yield Place(x, y - gap + 1, "middle")
        yield Place(x, y + gap + 8, "middle")
        for up in (-0.75, 0.75):
            yield Place(x + 0.75 * gap, y + 4 + up * gap, "start")
            yield Place(x - 0.75 * gap, y + 4 + up * gap, "end")


def _spaced(
    scale: Scale, ends: Callable[[float], tuple[float, float]], form: Callable[[float], str]
) -> list[float]:
    """Give the finest ticks whose words do not touch and all differ."""

    def clear(ticks: list[float]) -> bool:
        spans = sorted(map(ends, ticks))
        apart = all(before[1] <= after[0] for before, after in pairwise(spans))
        return apart and len(set(map(form, ticks))) == len(ticks)

    return next(filter(clear, scale.tick_sets()))
