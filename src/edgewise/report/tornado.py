"""A tornado as SVG: what each uncertain number does by itself, the widest bar first."""

from collections.abc import Sequence

from edgewise.records import Swing
from edgewise.report.layout import (
    LINE,
    WIDE,
    Box,
    Layout,
    Place,
    Room,
    opened,
    text,
    width_of,
    wrapped,
)

_SIDE, _ENDS, _MOST = 4, 60, 12
"""Units free at both sides, and those for the words at the ends of a bar; the most bars."""


def draw_tornado(swings: Sequence[Swing], lead: str, layout: Layout = WIDE) -> str:
    """Draw a bar a number, from the outcome at its 5th percentile to that at its 95th.

    The end at the low number is open and the one at the high number filled, and each is labelled,
    so the bar reads without colour. The dotted line is where another option becomes cheaper.

    Parameters
    ----------
    lead
        What the outcome is, in words.
    """
    shown = list(swings)[:_MOST]
    if not shown:
        return ""
    ends = [usd for one in shown for usd in (one.low_usd, one.high_usd)] + [0.0]
    low, high = min(ends), max(ends)
    reach = (high - low) or 1.0
    wide = layout.width - 2 * _SIDE

    def at(usd: float) -> float:
        return _SIDE + _ENDS + (usd - low) / reach * (wide - 2 * _ENDS)

    heads = wrapped(f"{lead}, USD a month", wide)
    y = 12 + LINE * len(heads)
    body = [text(words, (_SIDE, 12 + LINE * row), style="label") for row, words in enumerate(heads)]
    room = Room(Box(0, 0, layout.width, y + LINE))
    for usd in (0.0, low, high):
        if room.find(width_of(_short(usd)) + 6, [Place(at(usd), y, "middle")]) is not None:
            body.append(text(_short(usd), (at(usd), y), anchor="middle", style="note"))
    y += LINE
    for one in shown:
        for words in wrapped(one.name, wide, bold=True):
            body.append(text(words, (_SIDE, y + 5), style="name"))
            y += LINE
        body.append(
            f'<line class="mark" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="{y - 6:g}" y2="{y + 14:g}"/>'
        )
        body += _bar(one, y - 2, at(one.low_usd), at(one.high_usd))
        y += 25
    return "".join([opened(layout, y - 8, "Tornado", _words(shown, lead)), *body, "</svg>"])


def _bar(one: Swing, top: float, low_x: float, high_x: float) -> list[str]:
    left, width = min(low_x, high_x), abs(high_x - low_x)
    low_first = low_x <= high_x
    sides = [("end", low_x - 8), ("start", high_x + 8)]
    if not low_first:
        sides = [("start", low_x + 8), ("end", high_x - 8)]
    labels = (_short(one.low), _short(one.high))
    return [
        f'<rect class="bar" x="{left:.1f}" y="{top:g}" width="{max(width, 1):.1f}" height="12"/>',
        f'<circle class="s1 dot" cx="{low_x:.1f}" cy="{top + 6:g}" r="4"/>',
        f'<circle class="s1 full" cx="{high_x:.1f}" cy="{top + 6:g}" r="4"/>',
        *(
            text(label, (x, top + 10), anchor=anchor, style="tick over")
            for label, (anchor, x) in zip(labels, sides, strict=True)
        ),
    ]


def _words(shown: Sequence[Swing], lead: str) -> str:
    first = shown[0]
    return f"{lead}: {first.name} from {_short(first.low)} to {_short(first.high)} moves it most."


def _short(value: float) -> str:
    for size, mark in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g} {mark}"
    return f"{value:.3g}"
