"""Ways and levels that no optimum needs are left out before the programme is written."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from edgewise.plan.placement.routes import Book, Leg, Level, Route, latency_limit_ms

Users = Mapping[tuple[str, str], set[str]]
"""Workloads that may use a model on a pool."""


def without_dominated(book: Book, routes: Sequence[Route]) -> list[Route]:
    """Leave out each way that another of its workload beats, or equals, in everything."""
    users: dict[tuple[str, str], set[str]] = defaultdict(set)
    for route in routes:
        for leg in route.legs:
            users[leg.model, leg.pool].add(route.workload)
    kept: list[Route] = []
    by_workload: dict[str, list[Route]] = defaultdict(list)
    for route in routes:
        by_workload[route.workload].append(route)
    for rivals in by_workload.values():
        kept.extend(
            one
            for at, one in enumerate(rivals)
            if not any(
                _beats(book, users, other, one) and (o < at or not _beats(book, users, one, other))
                for o, other in enumerate(rivals)
                if o != at
            )
        )
    return kept


def _beats(book: Book, users: Users, better: Route, worse: Route) -> bool:
    """Say whether `better` can stand for `worse` in any placement, at no more cost."""
    if (
        better.usd_per_request > worse.usd_per_request
        or better.joules_per_request > worse.joules_per_request
    ):
        return False
    work = book.workloads[better.workload]
    if work.availability is not None and better.tiers != worse.tiers:
        return False
    managed = [leg for leg in better.legs if book.is_managed(leg.pool)]
    if not managed:
        return True
    if better.base_ms > worse.base_ms and latency_limit_ms(work) is not None:
        return False
    theirs = {leg.pool: leg for leg in worse.legs}
    return all(
        leg.pool in theirs and _lighter(book, users, leg, theirs[leg.pool]) for leg in managed
    )


def _lighter(book: Book, users: Users, better: Leg, worse: Leg) -> bool:
    if better.busy > worse.busy or better.residual_ms > worse.residual_ms:
        return False
    machine = book.machine(better.pool)
    if better.model == worse.model or (
        machine.memory_bytes is None and machine.storage_bytes is None
    ):
        return True
    alone = len(users[worse.model, worse.pool]) == 1
    return (
        alone
        and better.memory_bytes <= worse.memory_bytes
        and better.size_bytes <= worse.size_bytes
    )


def fits(book: Book, route: Route, waits_ms: float) -> bool:
    """Say whether a way keeps to its workload's p95 with these waits in all its queues."""
    limit = latency_limit_ms(book.workloads[route.workload])
    return limit is None or route.base_ms + waits_ms <= limit


def useful_levels(book: Book, pool: str, routes: Sequence[Route]) -> tuple[Level, ...]:
    """Leave out each level that another beats: at least as full, and open to as many ways."""
    here = [(route, leg) for route in routes for leg in route.legs if leg.pool == pool]
    levels = book.levels(pool, (route for route, _ in here))
    others = {leg.pool for route, _ in here for leg in route.legs} - {pool}
    longest = {
        other: max((one.wait_ms for one in book.levels(other, routes)), default=0.0)
        for other in others
    }

    def open_to(level: Level, *, strict: bool) -> frozenset[int]:
        return frozenset(
            at
            for at, (route, leg) in enumerate(here)
            if leg.residual_ms <= level.residual_ms
            and fits(
                book,
                route,
                level.wait_ms
                + sum(longest[one.pool] for one in route.legs if strict and one.pool != pool),
            )
        )

    loose = [open_to(level, strict=False) for level in levels]
    strict = [open_to(level, strict=True) for level in levels]

    def beats(better: int, worse: int) -> bool:
        full = levels[better].utilization >= levels[worse].utilization
        return full and strict[better] >= loose[worse]

    everyone = range(len(levels))
    return tuple(
        level
        for at, level in enumerate(levels)
        if loose[at]
        and not any(
            beats(other, at) and (other < at or not beats(at, other))
            for other in everyone
            if other != at
        )
    )
