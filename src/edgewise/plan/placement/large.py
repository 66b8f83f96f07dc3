"""Large programmes in two steps: a coarse one for the bound and the pools, a fine one on those.

The coarse programme drops memory, storage and the levels at which pools are run; each way counts
at the fullest level that it alone allows. All of that only takes constraints away, so its bound
holds for the whole. The fine programme is the whole one over the ways that keep to the pools that
the coarse one uses; what it finds is feasible, and the gap between the two is what is shown.
"""

from collections.abc import Sequence, Set
from dataclasses import replace

from edgewise.plan.placement.highs import Outcome, Solved, solve
from edgewise.plan.placement.programme import Programme, write
from edgewise.plan.placement.pruning import fits, without_dominated
from edgewise.plan.placement.queueing import wait_p95_ms
from edgewise.plan.placement.routes import Book, Leg, Route

MANY_ROUTES = 800
"""From as many ways on a programme is solved in two steps."""
_COARSE_SHARE = 0.6
_FINE_SHARE = 0.3
_MORE_POOLS = 6


def solve_large(
    book: Book, routes: Sequence[Route], *, seconds: float, gap_share: float
) -> tuple[Programme, Solved] | None:
    """Give a programme, its solution and a bound for the whole; `None` where the steps fail.

    A solution that did not come in time is not sought again.
    """
    coarse_book, coarse_routes = coarsened(book, routes)
    coarse = write(coarse_book, without_dominated(coarse_book, coarse_routes))
    rough = solve(coarse.rows, seconds=_COARSE_SHARE * seconds, gap_share=gap_share)
    if rough.outcome is not Outcome.SOLVED:
        return None
    used = {pool for (pool, _), column in coarse.run.items() if rough.values[column] > 0.5}
    for extra in (0, _MORE_POOLS):
        fine = write(book, without_dominated(book, _keeping_to(book, routes, used, extra)))
        found = solve(fine.rows, seconds=_FINE_SHARE * seconds, gap_share=gap_share)
        if found.outcome is not Outcome.INFEASIBLE:
            return fine, replace(found, bound=min(rough.bound, found.objective))
    return None


def _keeping_to(book: Book, routes: Sequence[Route], used: Set[str], extra: int) -> list[Route]:
    """Give the ways over the pools that are used, and over the cheapest few beside them."""
    tiers = {book.pools[pool].tier for pool in used}
    others = sorted(
        (pool for pool in book.pools if pool not in used),
        key=lambda pool: (book.pools[pool].tier not in tiers, book.pools[pool].usd_per_month, pool),
    )
    kept = used | set(others[:extra])
    return [
        route
        for route in routes
        if all(leg.pool in kept or not book.is_managed(leg.pool) for leg in route.legs)
    ]


def coarsened(book: Book, routes: Sequence[Route]) -> tuple[Book, list[Route]]:
    """Give the problem and its ways without memory, storage and levels."""
    problem = book.problem
    fullest = max(problem.utilizations)
    loose = replace(
        problem,
        utilizations=(fullest,),
        workloads=tuple(
            replace(work, latency_p95_ms=None, deadline_s=None, peak_per_s=work.planned_per_s)
            if work.planned_per_s > 0.0
            else replace(work, latency_p95_ms=None, deadline_s=None)
            for work in problem.workloads
        ),
        device_classes=tuple(
            replace(machine, memory_bytes=None, storage_bytes=None)
            for machine in problem.device_classes
        ),
    )
    return Book(loose), [
        replace(route, legs=tuple(_coarse(book, route, leg, fullest) for leg in route.legs))
        for route in routes
    ]


def _coarse(book: Book, route: Route, leg: Leg, fullest: float) -> Leg:
    """Let a leg count as if its pool were run as full as its way alone lets it be."""
    if book.pools[leg.pool].max_units is None:
        return leg
    servers = book.machine(leg.pool).servers
    most = max(
        full
        for full in book.problem.utilizations
        if fits(book, route, wait_p95_ms(full, servers, leg.residual_ms))
    )
    return replace(leg, busy=leg.busy * fullest / most, residual_ms=0.0)
