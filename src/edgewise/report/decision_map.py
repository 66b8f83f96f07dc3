"""What becomes of requests by their confidence, as SVG: how often each tier is right there."""

from collections.abc import Callable, Sequence
from html import escape
from itertools import accumulate, pairwise

from edgewise.records import DecisionBin

_WIDTH, _HEIGHT = 560, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 112, 34, 64
_SPAN = _WIDTH - _LEFT - _RIGHT
_TICKS = 5
_NARROW = 90


def draw_decisions(bins: Sequence[DecisionBin], threshold: float | None) -> str:
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
    whole = sum(one.n for one in bins)
    ends = [_LEFT + n / whole * _SPAN for n in accumulate((one.n for one in bins), initial=0)]
    middles = [(a + b) / 2 for a, b in pairwise(ends)]
    floor = _floor(bins)

    def at(share: float) -> float:
        return _HEIGHT - _BOTTOM - (share - floor) / (1 - floor) * (_HEIGHT - _BOTTOM - _TOP)

    deferred = sum(one.n for one in bins if not one.kept) / whole
    border = _LEFT + deferred * _SPAN
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>Decisions by confidence</title><desc>{escape(_words(bins, deferred))}</desc>",
        '<defs><pattern id="deferred" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><line class="hatch" y2="7"/></pattern></defs>',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{border - _LEFT:.1f}" '
        f'height="{_HEIGHT - _BOTTOM - _TOP}" fill="url(#deferred)"/>',
        *_heads(deferred, border, threshold),
        *_axes(bins, ends, floor, at),
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
    return "".join([*parts, *_labels([(ys[-1], n, s) for n, s, ys in lines]), "</svg>"])


def _floor(bins: Sequence[DecisionBin]) -> float:
    """Give the lowest share that is drawn, a whole tenth below all of them."""
    shares = [one.edge_right_share for one in bins]
    shares += [one.cloud_right_share for one in bins if one.cloud_right_share is not None]
    return max(0.0, (int(min(shares) * 10 - 1e-9)) / 10)


def _heads(deferred: float, border: float, threshold: float | None) -> list[str]:
    """Say above each part what becomes of it, and where the threshold lies."""
    right = _WIDTH - _RIGHT
    parts = []
    if deferred > 0:
        narrow = border - _LEFT < _NARROW
        x, anchor = (_LEFT, "start") if narrow else ((_LEFT + border) / 2, "middle")
        parts.append(_text(f"deferred {deferred:.1%}", x, _TOP - 8, anchor))
    if deferred < 1:
        narrow = right - border < _NARROW
        x, anchor = (
            (right, "end") if narrow else ((max(border, _LEFT + _NARROW) + right) / 2, "middle")
        )
        parts.append(_text(f"kept {1 - deferred:.1%}", x, _TOP - 8, anchor))
    if 0 < deferred < 1 and threshold is not None:
        parts.append(
            f'<line class="mark" x1="{border:.1f}" x2="{border:.1f}" y1="{_TOP}" '
            f'y2="{_HEIGHT - _BOTTOM}"/>'
        )
        left = border < _LEFT + _SPAN / 2
        x, anchor = (border + 5, "start") if left else (border - 5, "end")
        parts.append(_text(f"threshold {threshold:.4f}", x, _HEIGHT - _BOTTOM - 8, anchor))
    return parts


def _axes(
    bins: Sequence[DecisionBin], ends: Sequence[float], floor: float, at: Callable[[float], float]
) -> list[str]:
    base, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    step = 0.1 if floor > 0.45 else 0.2
    share = 1.0
    while share > floor - 1e-9:
        y = at(share)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(f"{share:.0%}", _LEFT - 8, y + 4, "end", "tick"))
        share -= step
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{base}" y2="{base}"/>')
    values = [*(one.confidence_low for one in bins), bins[-1].confidence_high]
    for tick in range(_TICKS + 1):
        x = _LEFT + _SPAN * tick / _TICKS
        nearest = min(range(len(ends)), key=lambda i: abs(ends[i] - x))
        parts.append(_text(f"{tick / _TICKS:.0%}", x, base + 16, "middle", "tick"))
        parts.append(_text(f"{values[nearest]:.3f}", x, base + 32, "middle", "tick"))
    middle = (_LEFT + right) / 2
    parts.append(
        _text(
            "share of the requests; below, their confidence", middle, base + 52, "middle", "label"
        )
    )
    parts.append(_text("answers that are right", _LEFT, _TOP - 22, "start", "label"))
    return parts


def _labels(wanted: list[tuple[float, str, str]]) -> list[str]:
    parts: list[str] = []
    last = 0.0
    for y, name, style in sorted(wanted):
        last = max(y, last + 14)
        x = _WIDTH - _RIGHT + 4
        parts.append(
            f'<line class="key {style}" x1="{x}" x2="{x + 13}" y1="{last:.1f}" y2="{last:.1f}"/>'
        )
        parts.append(_text(name, x + 16, last + 4, "start", f"name {style}"))
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


def _text(words: str, x: float, y: float, anchor: str, style: str = "note") -> str:
    spot = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{style}" {spot}>{escape(words)}</text>'
