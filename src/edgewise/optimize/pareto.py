"""The candidates that no other beats in everything. Pure."""

from collections.abc import Sequence

from edgewise.records import Candidate

Costs = tuple[float, ...]
"""All of them the lower the better."""


def costs_of(one: Candidate) -> Costs | None:
    """Give error, p95, peak memory and size of a measured candidate; `None` before it is measured.

    The error is one minus the metric, or minus the cosine where there are no labels.
    """
    found = one.fidelity
    if found is None or one.p95_ms is None or one.peak_memory_bytes is None:
        return None
    quality = found.metric if found.metric is not None else found.cosine
    if quality is None:
        return None
    return (1.0 - quality, one.p95_ms, float(one.peak_memory_bytes), float(one.size_bytes))


def dominates(one: Costs, other: Costs) -> bool:
    """Say whether one is nowhere worse and somewhere better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def pareto_front(costs: Sequence[Costs]) -> tuple[int, ...]:
    """Give the indices of those that none dominates, in their order; equal ones all stay."""
    return tuple(
        index
        for index, one in enumerate(costs)
        if not any(dominates(other, one) for other in costs)
    )
