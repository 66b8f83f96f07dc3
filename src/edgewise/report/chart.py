"""Line charts as SVG: scales, ticks, lines told apart by dash and label, marks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 112, 16, 44

Point = tuple[float, float]


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
    """In units of the drawing; the chart is 560 wide."""
    note: str
    style: str
    name: str = ""
    """Written beside it."""


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


def draw(chart: Chart) -> str:
    """Give the chart as one SVG element."""
    xs = [x for line in chart.lines for x, _ in line.points] + [mark.x for mark in chart.marks]
    xs += [one.x for one in chart.bubbles]
    ys = [y for line in chart.lines for _, y in line.points] + [one.y for one in chart.bubbles]
    ys += [level.y for level in chart.levels]
    x_scale = _Scale(xs, (_LEFT, WIDTH - _RIGHT), log=chart.log_x)
    y_scale = _Scale(ys, (HEIGHT - _BOTTOM, _TOP), log=chart.log_y)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(chart.title)}</title><desc>{escape(chart.description)}</desc>",
        *_axes(chart, x_scale, y_scale),
    ]
    for mark in chart.marks:
        parts += _mark(mark, x_scale.at(mark.x))
    for level in chart.levels:
        parts += _level(level, y_scale.at(level.y))
    labels = []
    for line in chart.lines:
        path = " ".join(f"{x_scale.at(x):.1f},{y_scale.at(y):.1f}" for x, y in line.points)
        name = f"<title>{escape(line.name)}</title>"
        parts.append(f'<polyline class="{line.style}" points="{path}">{name}</polyline>')
        if line.dots:
            parts += [
                f'<circle class="{line.style} dot" r="3.5" '
                f'cx="{x_scale.at(x):.1f}" cy="{y_scale.at(y):.1f}">'
                f"<title>{escape(chart.x_format(x))}, {escape(chart.y_format(y))}</title></circle>"
                for x, y in line.points
            ]
        labels.append((y_scale.at(line.points[-1][1]), line))
    parts += [
        f'<circle class="{one.style} dot" r="{one.radius:.1f}" '
        f'cx="{x_scale.at(one.x):.1f}" cy="{y_scale.at(one.y):.1f}">'
        f"<title>{escape(one.note)}</title></circle>"
        for one in sorted(chart.bubbles, key=lambda one: -one.radius)
    ]
    parts += _names(chart.bubbles, x_scale, y_scale)
    parts += _labels(labels)
    return "".join([*parts, "</svg>"])


class _Scale:
    def __init__(self, values: Sequence[float], ends: tuple[float, float], *, log: bool) -> None:
        low, high = min(values), max(values)
        if low == high:
            low, high = (low / 2, high * 2) if log and low > 0 else (low - 0.5, high + 0.5)
        elif not log:
            low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
        self.low, self.high, self.ends, self.log = low, high, ends, log

    def at(self, value: float) -> float:
        if self.log:
            share = math.log(max(value, 1e-12) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.ends[0] + share * (self.ends[1] - self.ends[0])

    def ticks(self) -> list[float]:
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            step = max(1, (last - first) // 5)
            powers = [10.0**power for power in range(first, last + 1, step)]
            if len(powers) > 2:
                return powers
            finer = [m * 10.0**p for p in range(first - 1, last + 1) for m in (1, 2, 5)]
            return [one for one in finer if self.low <= one <= self.high]
        rough = (self.high - self.low) / 5
        size = 10 ** math.floor(math.log10(rough))
        step = next(size * m for m in (1, 2, 5, 10) if size * m >= rough)
        first = math.ceil(self.low / step)
        return [round(step * k, 10) for k in range(first, math.floor(self.high / step) + 1)]


def _axes(chart: Chart, x_scale: _Scale, y_scale: _Scale) -> list[str]:
    base, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for tick in y_scale.ticks():
        y = y_scale.at(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(chart.y_format(tick), (_LEFT - 8, y + 4), anchor="end"))
    for tick in x_scale.ticks():
        place = (x_scale.at(tick), base + 18)
        parts.append(_text(chart.x_format(tick), place, anchor="middle"))
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{base}" y2="{base}"/>')
    below = ((_LEFT + right) / 2, HEIGHT - 6)
    parts.append(_text(chart.x_label, below, anchor="middle", style="label"))
    parts.append(_text(chart.y_label, (_LEFT, _TOP - 4), anchor="start", style="label"))
    return parts


def _mark(mark: Mark, x: float) -> list[str]:
    anchor = "end" if x > WIDTH / 2 else "start"
    place = (x + (-5 if anchor == "end" else 5), _TOP + 10)
    return [
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>',
        _text(mark.note, place, anchor=anchor, style="note"),
    ]


def _level(level: Level, y: float) -> list[str]:
    return [
        f'<line class="mark" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
        _text(level.note, (_LEFT + 4, y - 5), anchor="start", style="note"),
    ]


def _names(bubbles: Sequence[Bubble], x_scale: _Scale, y_scale: _Scale) -> list[str]:
    """Name dots beside them, moved down where two names would touch."""
    parts: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for one in sorted(bubbles, key=lambda one: y_scale.at(one.y)):
        if not one.name:
            continue
        x, y = x_scale.at(one.x), y_scale.at(one.y) + 4
        wide = 7.0 * len(one.name)
        right = x + one.radius + wide + 4 < WIDTH - _RIGHT + 8
        left_end = x + one.radius + 4 if right else x - one.radius - 4 - wide
        for low, high, below in taken:
            if low < left_end + wide and left_end < high and abs(y - below) < 14:
                y = below + 14
        taken.append((left_end, left_end + wide, y))
        anchor, at = ("start", left_end) if right else ("end", left_end + wide)
        parts.append(_text(one.name, (at, y), anchor=anchor, style=f"name {one.style}"))
    return parts


def _labels(wanted: list[tuple[float, Line]]) -> list[str]:
    """Name each line at its end beside a piece of it, moved apart where they would touch."""
    parts, last = [], -math.inf
    for y, line in sorted(wanted, key=lambda pair: pair[0]):
        placed = max(y, last + 14)
        last = placed
        x = WIDTH - _RIGHT + 4
        ends = f'x1="{x}" x2="{x + 13}" y1="{placed:.1f}" y2="{placed:.1f}"'
        parts.append(f'<line class="key {line.style}" {ends}/>')
        place = (x + 16, placed + 4)
        parts.append(_text(line.name, place, anchor="start", style=f"name {line.style}"))
    return parts


def _text(words: str, place: Point, *, anchor: str, style: str = "tick") -> str:
    x, y = place
    spot = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{style}" {spot}>{escape(words)}</text>'
