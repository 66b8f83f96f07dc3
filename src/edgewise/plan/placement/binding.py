"""Which constraints bind: those at their limit, and those that keep a cheaper way shut."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from edgewise.plan.placement.constraints import constraints_of, without
from edgewise.plan.placement.highs import Outcome
from edgewise.plan.placement.optimum import Effort, Found, find
from edgewise.plan.placement.routes import Book, Route, latency_limit_ms
from edgewise.records import (
    Assignment,
    Binding,
    Constraint,
    Limit,
    PlacementProblem,
    PlacementWorkload,
    PoolUse,
)
from edgewise.units import format_ms, format_usd

_FEW_ROUTES = 300
"""Up to as many, what a constraint costs is worked out by dropping it."""
_FEW_TRIES = 10_000
"""Up to as many ways times constraints, all of them are dropped in turn."""
_FULL = 0.999
_NEAR = 0.8
_CENT = 0.005
_DEAR = "what costs less would break it"


def bindings_of(problem: PlacementProblem, found: Found, effort: Effort) -> tuple[Binding, ...]:
    """Give the constraints that bind a placement, the dearest first."""
    book = Book(problem)
    named = {(one.limit, one.subject): one for one in constraints_of(problem)}
    texts: dict[Constraint, str] = {}
    for key, text in (*_shut(book, found), *_full(book, found)):
        texts.setdefault(named[key], text)
    few = len(book.routes) <= _FEW_ROUTES
    if few and len(book.routes) * len(named) <= _FEW_TRIES:
        for one in named.values():
            texts.setdefault(one, _DEAR)
    bindings, doubt = [], effort.gap_share * found.usd
    brief = replace(effort, seconds=effort.seconds / max(1, len(named)))
    for one, text in texts.items():
        given = brief if text == _DEAR else effort
        saves = _saves(problem, one, found, given) if few else None
        if text != _DEAR if saves is None else saves > doubt + _CENT:
            bindings.append(Binding(constraint=one, text=text, saves_usd_per_month=saves))
    return tuple(sorted(bindings, key=lambda one: -(one.saves_usd_per_month or 0.0)))


def _saves(
    problem: PlacementProblem, one: Constraint, found: Found, effort: Effort
) -> float | None:
    """Give what dropping a constraint saves: never less than nothing."""
    free = find(without(problem, (one,)), effort)
    return max(0.0, found.usd - free.usd) if free.outcome is Outcome.SOLVED else None


Key = tuple[Limit, str]


def _shut(book: Book, found: Found) -> Iterator[tuple[Key, str]]:
    """Give each limit that by itself keeps a way shut which costs less a request."""
    paid: dict[str, float] = defaultdict(float)
    for one in found.assignments:
        paid[one.workload] += one.usd_per_month
    cheapest: dict[Key, tuple[float, Route]] = {}
    for route in book.routes:
        broken = set(book.broken(route))
        if len(broken) != 1:
            continue
        key = broken.pop()
        usd = book.workloads[route.workload].requests_per_month * route.usd_per_request
        if key not in cheapest or usd < cheapest[key][0]:
            cheapest[key] = (usd, route)
    for key, (usd, route) in cheapest.items():
        way = " then ".join(f"{leg.model} on {leg.pool}" for leg in route.legs)
        than = f"{format_usd(usd)} for its requests, {format_usd(paid[route.workload])} as placed"
        yield key, f"it shuts {way} for {route.workload}: {_why(book, key, route)} ({than})"


def _why(book: Book, key: Key, route: Route) -> str:
    limit, name = key
    if limit is Limit.QUALITY:
        floor = book.workloads[name].quality_floor
        return f"quality may be {route.quality_low or 0.0:.3g}, and {floor:.3g} is asked"
    if limit is Limit.LATENCY:
        return f"its p95 is {format_ms(book.least_ms(route))} at best"
    if limit in (Limit.KINDS, Limit.REGIONS):
        return "its requests may not go there"
    return f"{name} has too little {limit.value}"


def _full(book: Book, found: Found) -> Iterator[tuple[Key, str]]:
    """Give each limit that the placement has reached."""
    problem = book.problem
    for use in found.pools:
        yield from _of_pool(book, use)
    for work in problem.workloads:
        mine = [one for one in found.assignments if one.workload == work.name]
        yield from _of_workload(work, mine)
    if problem.budget_usd_per_month is not None:
        left = problem.budget_usd_per_month - found.usd
        if left <= (1.0 - _FULL) * problem.budget_usd_per_month:
            yield (Limit.BUDGET, ""), f"{format_usd(left)} is left"
    if problem.joules_per_month is not None:
        used = sum(one.joules_per_month for one in found.assignments)
        if used >= _FULL * problem.joules_per_month:
            yield (Limit.ENERGY, ""), "it is used up"


def _of_pool(book: Book, use: PoolUse) -> Iterator[tuple[Key, str]]:
    machine = book.machine(use.pool)
    if use.units is None:
        return
    if use.units == book.pools[use.pool].max_units:
        yield (Limit.UNITS, use.pool), f"all {use.units} machines are used"
    if machine.memory_bytes is not None:
        shut_out = _next_memory(book, use.pool, use.models)
        if shut_out and use.memory_bytes + shut_out > machine.memory_bytes:
            left = 1.0 - use.memory_bytes / machine.memory_bytes
            text = f"{left:.0%} is left beside {', '.join(use.models)}"
            yield (Limit.MEMORY, machine.name), text


def _of_workload(work: PlacementWorkload, mine: Sequence[Assignment]) -> Iterator[tuple[Key, str]]:
    slowest, limit = max(one.latency_p95_ms for one in mine), latency_limit_ms(work)
    if limit is not None and slowest > _NEAR * limit:
        text = f"p95 is planned at {format_ms(slowest)}, and {format_ms(limit)} is asked"
        yield (Limit.LATENCY, work.name), text
    usd = sum(one.usd_per_month for one in mine)
    if work.budget_usd_per_month is not None and usd >= _FULL * work.budget_usd_per_month:
        yield (Limit.WORKLOAD_BUDGET, work.name), "it is spent"
    if any(one.reserved_share > one.share + 1e-6 for one in mine):
        yield (Limit.AVAILABILITY, work.name), "machines stand in for others"


def _next_memory(book: Book, pool: str, models: Iterable[str]) -> int:
    """Give the memory of the smallest model that may run on a pool and does not; 0: none."""
    here = set(models)
    sizes = [
        leg.memory_bytes
        for route in book.routes
        for leg in route.legs
        if leg.pool == pool and leg.model not in here and not book.broken(route)
    ]
    return min(sizes, default=0)
