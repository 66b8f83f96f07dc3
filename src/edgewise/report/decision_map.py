"""What becomes of requests by their confidence, as SVG: how often each tier is right there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, pairwise

from edgewise.records import DecisionBin
from edgewise.report.layout import (
    LINE,
    WIDE,
    Box,
    Layout,
    Place,
    Room,
    apart,
    key,
    opened,
    text,
    width_of,
    wrapped,
)

_TICKS = 5
_X_LABEL = "share of the requests; below, their confidence"
_HEADS = 50.0
"""Above the axes: what is drawn, and what becomes of each part."""


@dataclass(frozen=True, slots=True)
class _Frame:
    layout: Layout
    left: float
    right: float
    top: float
    base: float

    def across(self, share: float) -> float:
        return self.left + share * (self.right - self.left)


def draw_decisions(
    bins: Sequence[DecisionBin], threshold: float | None, layout: Layout = WIDE
) -> str:
    """Draw the requests from the least sure to the surest, each as wide as its share.

    The hatched part is deferred, the plain part kept; dots are how often the edge is right in a
    stretch of confidence, and the broken line how often the cloud is.

    Parameters
    ----------
    threshold
        From which confidence on answers are kept.
    """
    if not bins:
        return ""
    top = _HEADS if layout.names_beside else _HEADS + LINE
    frame = _Frame(layout, layout.left, layout.width - layout.right, top, top + layout.height)
    whole = sum(one.n for one in bins)
    ends = [frame.across(n / whole) for n in accumulate((one.n for one in bins), initial=0)]
    middles = [(a + b) / 2 for a, b in pairwise(ends)]
    floor = _floor(bins)

    def at(share: float) -> float:
        return frame.base - (share - floor) / (1 - floor) * layout.height

    deferred = sum(one.n for one in bins if not one.kept) / whole
    pattern = "deferred" if layout is WIDE else f"deferred-{layout.name}"
    label = wrapped(_X_LABEL, layout.width)
    height = frame.base + 40 + LINE * len(label)
    parts = [
        opened(layout, height, "Decisions by confidence", _words(bins, deferred)),
        f'<defs><pattern id="{pattern}" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><line class="hatch" y2="7"/></pattern></defs>',
        f'<rect x="{frame.left:g}" y="{top:g}" width="{frame.across(deferred) - frame.left:.1f}" '
        f'height="{layout.height:g}" fill="url(#{pattern})"/>',
        *_axes(bins, ends, frame, floor, at),
        *_label(label, frame),
    ]
    lines = [("edge", "s1", [at(one.edge_right_share) for one in bins])]
    if all(one.cloud_right_share is not None for one in bins):
        lines.append(("cloud", "s2", [at(one.cloud_right_share or 0.0) for one in bins]))
    for name, style, ys in lines:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(middles, ys, strict=True))
        parts.append(f'<polyline class="{style}" points="{points}"><title>{name}</title>')
        parts.append("</polyline>")
    for one, x in zip(bins, middles, strict=True):
        spot = f'cx="{x:.1f}" cy="{at(one.edge_right_share):.1f}"'
        parts.append(f'<circle class="s1 dot" r="3.5" {spot}><title>{escape(_note(one))}</title>')
        parts.append("</circle>")
    dots = [(x, at(one.edge_right_share)) for x, one in zip(middles, bins, strict=True)]
    parts += _heads(frame, deferred, threshold, [Box(x - 5, y - 5, x + 5, y + 5) for x, y in dots])
    return "".join([*parts, *_names([(ys[-1], n, s) for n, s, ys in lines], frame), "</svg>"])


def _floor(bins: Sequence[DecisionBin]) -> float:
    """Give the lowest share that is drawn, a whole tenth below all of them."""
    shares = [one.edge_right_share for one in bins]
    shares += [one.cloud_right_share for one in bins if one.cloud_right_share is not None]
    return max(0.0, (int(min(shares) * 10 - 1e-9)) / 10)


def _heads(frame: _Frame, deferred: float, threshold: float | None, taken: list[Box]) -> list[str]:
    """Say above each part what becomes of it, and where the threshold lies."""
    border = frame.across(deferred)
    y = frame.top - 8
    heads = []
    if deferred > 0:
        heads.append((f"deferred {deferred:.1%}", (frame.left + border) / 2))
    if deferred < 1:
        heads.append((f"kept {1 - deferred:.1%}", (border + frame.right) / 2))
    low, parts = frame.left, []
    for number, (words, middle) in enumerate(heads):
        wide = width_of(words)
        later = sum(width_of(one) + 10 for one, _ in heads[number + 1 :])
        x = min(max(middle - wide / 2, low), frame.right - wide - later)
        parts.append(text(words, (x, y), style="note"))
        low = x + wide + 10
    if 0 < deferred < 1 and threshold is not None:
        parts.append(
            f'<line class="mark" x1="{border:.1f}" x2="{border:.1f}" y1="{frame.top:g}" '
            f'y2="{frame.base:g}"/>'
        )
        room = Room(Box(frame.left, frame.top, frame.right, frame.base), taken)
        words = f"threshold {threshold:.4f}"
        heights = [frame.base - 8 - LINE * row for row in range(int(frame.layout.height / LINE))]
        sides = [Place(border + 5, 0, "start"), Place(border - 5, 0, "end")]
        places = [Place(one.x, height, one.anchor) for height in heights for one in sides]
        found = room.find(width_of(words), places) or places[0]
        parts.append(text(words, (found.x, found.y), anchor=found.anchor, style="note"))
    return parts


def _axes(
    bins: Sequence[DecisionBin],
    ends: Sequence[float],
    frame: _Frame,
    floor: float,
    at: Callable[[float], float],
) -> list[str]:
    base, left, right = frame.base, frame.left, frame.right
    parts = []
    step = 0.1 if floor > 0.45 else 0.2
    share = 1.0
    while share > floor - 1e-9:
        y = at(share)
        parts.append(f'<line class="grid" x1="{left:g}" x2="{right:g}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(f"{share:.0%}", (left - 8, y + 4), anchor="end"))
        share -= step
    parts.append(f'<line class="axis" x1="{left:g}" x2="{right:g}" y1="{base:g}" y2="{base:g}"/>')
    values = [*(one.confidence_low for one in bins), bins[-1].confidence_high]
    ticks = _TICKS if frame.layout.names_beside else _TICKS - 1
    for tick in range(ticks + 1):
        x = frame.across(tick / ticks)
        nearest = min(range(len(ends)), key=lambda i: abs(ends[i] - x))
        parts.append(text(f"{tick / ticks:.0%}", (x, base + 19), anchor="middle"))
        parts.append(text(f"{values[nearest]:.3f}", (x, base + 34), anchor="middle"))
    return [*parts, text("answers that are right", (frame.left, 12), style="label")]


def _label(rows: Sequence[str], frame: _Frame) -> list[str]:
    middle = (frame.left + frame.right) / 2 if frame.layout.names_beside else frame.layout.width / 2
    places = [(middle, frame.base + 36 + LINE * (row + 1)) for row in range(len(rows))]
    return [
        text(words, place, anchor="middle", style="label")
        for words, place in zip(rows, places, strict=True)
    ]


def _names(wanted: list[tuple[float, str, str]], frame: _Frame) -> list[str]:
    """Name the lines at their ends, or in a row above what becomes of each part."""
    x = frame.right + 6
    parts: list[str] = []
    heights = apart([y for y, _, _ in wanted], frame.top, frame.base)
    for (_, name, style), y in zip(wanted, heights, strict=True):
        place = (x, y)
        if not frame.layout.names_beside:
            place = (frame.left + 70 * len(parts) / 2, 23.0)
        parts += [
            key(style, place),
            text(name, (place[0] + 17, place[1] + 4), style=f"name {style}"),
        ]
    return parts


def _note(one: DecisionBin) -> str:
    cloud = one.cloud_right_share
    far = "" if cloud is None else f", the cloud in {cloud:.1%}"
    return (
        f"{one.confidence_low:.4f} to {one.confidence_high:.4f}: the edge is right in "
        f"{one.edge_right_share:.1%}{far}, {'kept' if one.kept else 'deferred'}, {one.n:,} requests"
    )


def _words(bins: Sequence[DecisionBin], deferred: float) -> str:
    kept = [one for one in bins if one.kept]
    away = [one for one in bins if not one.kept]
    words = [f"{deferred:.1%} of the requests are deferred and {1 - deferred:.1%} kept."]
    for name, part in (("deferred", away), ("kept", kept)):
        if part:
            n = sum(one.n for one in part)
            right = sum(one.n * one.edge_right_share for one in part) / n
            words.append(f"The edge is right in {right:.1%} of the {name} ones.")
    return " ".join(words)
