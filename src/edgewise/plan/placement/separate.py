"""Workloads that share nothing are decided apart; one alone, whole, by going through its ways."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgewise.plan.placement.pruning import fits
from edgewise.plan.placement.reading import (
    Choice,
    Chosen,
    assignments_of,
    pools_of,
    usd_of,
)
from edgewise.plan.placement.routes import Book, Level, Route
from edgewise.records import PlacementProblem


def parts_of(book: Book, routes: Sequence[Route]) -> list[tuple[str, ...]]:
    """Give groups of workloads; none shares a machine, a model or a fixed cost with another."""
    above = {name: name for name in book.workloads}

    def root(name: str) -> str:
        while above[name] != name:
            above[name] = name = above[above[name]]
        return name

    first: dict[tuple[str, str], str] = {}
    for route in routes:
        for leg in route.legs:
            if not book.is_managed(leg.pool):
                continue
            shared = [("pool", leg.pool)]
            if book.tiers[leg.tier].usd_per_month > 0.0:
                shared.append(("tier", leg.tier))
            for thing in shared:
                other = first.setdefault(thing, route.workload)
                above[root(route.workload)] = root(other)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in book.workloads:
        groups[root(name)].append(name)
    return [tuple(names) for names in groups.values()]


def restricted(problem: PlacementProblem, names: Sequence[str]) -> PlacementProblem:
    """Give the problem with these workloads alone."""
    kept = set(names)
    return replace(
        problem,
        workloads=tuple(one for one in problem.workloads if one.name in kept),
        qualities=tuple(one for one in problem.qualities if one.workload in kept),
        handovers=tuple(one for one in problem.handovers if one.workload in kept),
    )


def can_enumerate(book: Book, names: Sequence[str], routes: Sequence[Route]) -> bool:
    """Say whether a group is one workload that goes one way: whole, or with no machine to fill."""
    if len(names) != 1:
        return False
    work = book.workloads[names[0]]
    whole = not work.splittable or not any(
        book.is_managed(leg.pool) for route in routes for leg in route.legs
    )
    return work.availability is None and whole


def enumerate_ways(book: Book, routes: Sequence[Route]) -> Choice | None:
    """Give the cheapest way of one workload that goes one way; `None` where there is none."""
    best, least = None, float("inf")
    for route in sorted(routes, key=lambda one: one.usd_per_request):
        requests = book.workloads[route.workload].requests_per_month
        if requests * route.usd_per_request >= least:
            break  # requests alone cost what the best way does, and machines come on top
        for levels in _ways_to_run(book, route):
            choice = Choice(chosen=(Chosen(route=route, share=1.0, reserved=1.0),), levels=levels)
            usd = _usd_if_feasible(book, choice)
            if usd is not None and usd < least:
                best, least = choice, usd
    return best


def _ways_to_run(book: Book, route: Route) -> Iterator[dict[str, Level]]:
    pools = [leg.pool for leg in route.legs if book.pools[leg.pool].max_units is not None]
    for levels in itertools.product(*(book.levels(pool, [route]) for pool in pools)):
        if fits(book, route, sum(level.wait_ms for level in levels)):
            yield dict(zip(pools, levels, strict=True))


def _usd_if_feasible(book: Book, choice: Choice) -> float | None:
    assignments, pools = assignments_of(book, choice), pools_of(book, choice)
    for one in pools:
        most = book.pools[one.pool].max_units
        if one.units is not None and most is not None and one.units > most:
            return None
    budget = book.workloads[assignments[0].workload].budget_usd_per_month
    if budget is not None and assignments[0].usd_per_month > budget:
        return None
    return usd_of(book, assignments, pools)
