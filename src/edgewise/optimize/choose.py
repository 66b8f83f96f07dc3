"""Which candidate ships. Pure."""

import math
from collections.abc import Sequence
from dataclasses import replace

from edgewise.records import Candidate, EdgeTier, Objective
from edgewise.units import format_bytes, format_ms


def over_storage(size_bytes: int, edge: EdgeTier) -> tuple[str, ...]:
    """Say by how much a bundle exceeds the tier's storage, if it does."""
    if edge.storage_bytes is None or size_bytes <= edge.storage_bytes:
        return ()
    return (
        f"{format_bytes(size_bytes)} on disk, and storage is {format_bytes(edge.storage_bytes)}",
    )


def over_limits(one: Candidate, edge: EdgeTier, objective: Objective) -> tuple[str, ...]:
    """Say which limits of the target a measured candidate exceeds."""
    reasons = list(over_storage(one.size_bytes, edge))
    memory = one.peak_memory_bytes
    if edge.memory_bytes is not None and memory is not None and memory > edge.memory_bytes:
        reasons.append(
            f"peaks at {format_bytes(memory)}, and memory is {format_bytes(edge.memory_bytes)}"
        )
    limit_ms = objective.latency_p95_ms
    if limit_ms is not None and one.p95_ms is not None and one.p95_ms > limit_ms:
        reasons.append(f"p95 is {format_ms(one.p95_ms)}, and {format_ms(limit_ms)} is asked")
    return tuple(reasons)


def choose(candidates: Sequence[Candidate]) -> tuple[int | None, tuple[Candidate, ...]]:
    """Pick the first of those that `near_best` names.

    Returns
    -------
    (int or None, tuple of Candidate)
        The index of the chosen one among the kept, and all with the reason of the choice added.
    """
    near, why = near_best(candidates)
    if not near:
        return None, tuple(candidates)
    return near[0], mark(candidates, near[0], why)


def near_best(candidates: Sequence[Candidate]) -> tuple[tuple[int, ...], str]:
    """Name those whose metric is within one standard error of the best, and say why, fastest first.

    Without labels, all that are kept are named.

    Source: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984), 3.4.3.
    """
    kept = [(i, one, one.fidelity) for i, one in enumerate(candidates) if one.kept]
    rated = [
        (i, one, found.metric, found.n)
        for i, one, found in kept
        if found is not None and found.metric is not None
    ]
    if not rated:
        why = "chosen: the fastest of those that keep to the source"
        return _fastest_first([(i, one) for i, one, _ in kept]), why
    best = max(metric for _, _, metric, _ in rated)
    error = max(math.sqrt(metric * (1 - metric) / n) for _, _, metric, n in rated if metric == best)
    why = (
        f"chosen: the fastest within one standard error ({error:.1%}) of the best kept ({best:.1%})"
    )
    return _fastest_first([(i, one) for i, one, m, _ in rated if m >= best - error]), why


def mark(candidates: Sequence[Candidate], chosen: int, why: str) -> tuple[Candidate, ...]:
    """Give all, the chosen one with the reason of the choice."""
    marked = replace(candidates[chosen], why=(why,))
    return (*candidates[:chosen], marked, *candidates[chosen + 1 :])


def _fastest_first(found: Sequence[tuple[int, Candidate]]) -> tuple[int, ...]:
    ordered = sorted((one.p50_ms or math.inf, one.size_bytes, i) for i, one in found)
    return tuple(i for _, _, i in ordered)
