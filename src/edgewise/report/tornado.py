"""A tornado as SVG: what each uncertain number does by itself, the widest bar first."""

from collections.abc import Sequence
from html import escape

from edgewise.records import Swing

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 560, 16, 16, 50, 40
_MOST = 12


def draw_tornado(swings: Sequence[Swing], lead: str) -> str:
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
    span = _WIDTH - _LEFT - _RIGHT - 120

    def at(usd: float) -> float:
        return _LEFT + 60 + (usd - low) / reach * span

    height = _TOP + _ROW * len(shown) + 8
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>Tornado</title><desc>{escape(_words(shown, lead))}</desc>",
        f'<text class="label" x="{_LEFT}" y="14">{escape(lead)}, USD a month</text>',
        f'<line class="mark" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="{_TOP - 8}" y2="{height}"/>',
        *(
            f'<text class="note" x="{at(usd):.1f}" y="{_TOP - 12}" text-anchor="middle">'
            f"{_short(usd)}</text>"
            for usd in sorted({low, 0.0, high})
            if usd == 0 or abs(at(usd) - at(0)) > 40
        ),
    ]
    for number, one in enumerate(shown):
        y = _TOP + _ROW * number
        parts += _bar(one, y, at(one.low_usd), at(one.high_usd))
    return "".join([*parts, "</svg>"])


def _bar(one: Swing, y: float, low_x: float, high_x: float) -> list[str]:
    left, width = min(low_x, high_x), abs(high_x - low_x)
    low_first = low_x <= high_x
    sides = [("end", low_x - 8), ("start", high_x + 8)]
    if not low_first:
        sides = [("start", low_x + 8), ("end", high_x - 8)]
    labels = (_short(one.low), _short(one.high))
    return [
        f'<text class="name" x="{_LEFT}" y="{y + 10}">{escape(one.name)}</text>',
        f'<rect class="bar" x="{left:.1f}" y="{y + 15}" width="{max(width, 1):.1f}" height="12"/>',
        f'<circle class="s1 dot" cx="{low_x:.1f}" cy="{y + 21}" r="4"/>',
        f'<circle class="s1 full" cx="{high_x:.1f}" cy="{y + 21}" r="4"/>',
        *(
            f'<text class="tick" x="{x:.1f}" y="{y + 25}" text-anchor="{anchor}">{label}</text>'
            for label, (anchor, x) in zip(labels, sides, strict=True)
        ),
    ]


def _words(shown: Sequence[Swing], lead: str) -> str:
    first = shown[0]
    return f"{lead}: {first.name} from {_short(first.low)} to {_short(first.high)} moves it most."


def _short(value: float) -> str:
    for size, mark in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {mark}"
    return f"{value:.3g}"
