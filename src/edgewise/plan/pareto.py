"""Options in all that a choice weighs, and which of them no other beats."""

from collections.abc import Sequence
from dataclasses import replace

from edgewise.records import Tradeoff

_WEIGHED = (
    "usd_per_month",
    "latency_p95_ms",
    "quality_loss",
    "joules_per_request",
    "exposed_share",
)


def mark_beaten(tradeoffs: Sequence[Tradeoff]) -> tuple[Tradeoff, ...]:
    """Give the options with the names of those that beat them.

    One beats another that is better in nothing that both know, and worse in something. What either
    does not know decides nothing.
    """
    return tuple(
        replace(one, beaten_by=tuple(b.option for b in tradeoffs if _beats(b, one)))
        for one in tradeoffs
    )


def _beats(one: Tradeoff, other: Tradeoff) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in _WEIGHED]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return all(a <= b for a, b in known) and any(a < b for a, b in known)
