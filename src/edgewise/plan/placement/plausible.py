"""Numbers of a placement that look like another unit, and what nobody has said."""

from collections.abc import Iterator

from edgewise.plan.plausible import doubts_about_call
from edgewise.records import PlacementProblem


def warnings_of(problem: PlacementProblem) -> Iterator[str]:
    """Give what a reader of the placement should check first."""
    for one in problem.profiles:
        where = f"{one.model} on {one.device_class}"
        yield from doubts_about_call(f"{where}: usd_per_request", one.usd_per_request)
        if one.p95_ms < 0.01:
            yield f"{where}: a p95 of {one.p95_ms:g} ms looks like seconds"
    for work in problem.workloads:
        if work.latency_p95_ms is not None and work.latency_p95_ms < 1:
            yield f"{work.name}: a p95 of at most {work.latency_p95_ms:g} ms looks like seconds"
        peak, mean = work.peak_per_s, work.mean_per_s
        if peak is not None and peak < mean:
            yield f"{work.name}: peak_per_s of {peak:.3g} is below the month's mean of {mean:.3g}"
        if work.requests_per_month == 0:
            yield f"{work.name}: there are no requests"
    yield from _uncounted(problem)
    yield from _unheld(problem)
    if problem.usd_per_kwh > 2:
        yield f"usd_per_kwh: {problem.usd_per_kwh:g} USD looks like cents"
    if not _anything_costs(problem):
        yield "nothing has a price: give device classes `usd`, and profiles `usd_per_request`"


def _uncounted(problem: PlacementProblem) -> Iterator[str]:
    """Say which machines have a price and are paid by the request."""
    priced = {one.name for one in problem.device_classes if one.usd + one.usd_per_month > 0}
    for pool in problem.pools:
        if pool.max_units is None and pool.device_class in priced:
            yield f"{pool.name}: machines without max_units are elastic: their price is not counted"


def _unheld(problem: PlacementProblem) -> Iterator[str]:
    """Say which memory and storage nothing is held against, for want of a size."""
    machines = {one.name: one for one in problem.device_classes}
    sizes = {one.name: one.size_bytes for one in problem.models}
    for one in problem.profiles:
        machine, where = machines[one.device_class], f"{one.model} on {one.device_class}"
        if machine.memory_bytes is not None and one.peak_memory_bytes == 0:
            yield f"{where}: no `memory` and no `size` is given, so it is taken to need none"
        if machine.storage_bytes is not None and sizes[one.model] == 0:
            yield f"{where}: no `size` is given, so it is taken to need no storage"


def _anything_costs(problem: PlacementProblem) -> bool:
    return any(
        (
            *(one.usd + one.usd_per_month + one.watts for one in problem.device_classes),
            *(one.usd_per_request + one.joules for one in problem.profiles),
            *(pool.usd_per_month for pool in problem.pools),
            *(tier.usd_per_month for tier in problem.tiers),
        )
    )
