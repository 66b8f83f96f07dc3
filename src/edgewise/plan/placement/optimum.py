"""The cheapest placement of a problem, or that there is none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgewise.plan.placement.highs import Outcome, Solved, solve
from edgewise.plan.placement.large import MANY_ROUTES, solve_large
from edgewise.plan.placement.programme import Programme, write
from edgewise.plan.placement.pruning import without_dominated
from edgewise.plan.placement.reading import Choice, assignments_of, choice_of, pools_of, usd_of
from edgewise.plan.placement.routes import Book, Route
from edgewise.plan.placement.separate import can_enumerate, enumerate_ways, parts_of, restricted
from edgewise.records import Assignment, PlacementMethod, PlacementProblem, PoolUse

_ROUNDING = 1e-6
_LEAST_S = 0.1
"""For a part that is decided apart, however few ways it has: most take a fraction of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long and how closely to look."""

    seconds: float = 10.0
    gap_share: float = 1e-4
    separately: bool = True
    """Decide what shares nothing apart."""
    many_routes: int = MANY_ROUTES
    """From as many ways on a programme is solved in two steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The outcome for a problem. `assignments` and the rest are there where it is solved."""

    outcome: Outcome
    assignments: tuple[Assignment, ...] = ()
    pools: tuple[PoolUse, ...] = ()
    usd: float = 0.0
    bound: float = 0.0
    method: PlacementMethod = PlacementMethod.ENUMERATION
    culprits: tuple[str, ...] = ()
    """Where it is not solved: workloads that can't be placed together, by what is known."""


def find(problem: PlacementProblem, effort: Effort) -> Found:
    """Give the cheapest placement, within the effort's gap and time."""
    book = Book(problem)
    admitted = [route for route in book.routes if not book.broken(route)]
    placeable = {route.workload for route in admitted}
    for name in book.workloads:
        if name not in placeable:
            return Found(outcome=Outcome.INFEASIBLE, culprits=(name,))
    if not effort.separately:
        return _programme(book, admitted, effort)
    loose = replace(problem, budget_usd_per_month=None, joules_per_month=None)
    apart = _apart(Book(loose), admitted, effort)
    if apart.outcome is not Outcome.SOLVED or _keeps_totals(problem, apart):
        return apart
    return _programme(book, admitted, effort)


def _keeps_totals(problem: PlacementProblem, found: Found) -> bool:
    budget, most = problem.budget_usd_per_month, problem.joules_per_month
    joules = sum(one.joules_per_month for one in found.assignments)
    return (budget is None or found.usd <= budget) and (most is None or joules <= most)


def _apart(book: Book, routes: Sequence[Route], effort: Effort) -> Found:
    """Decide each group of workloads that shares nothing with the others by itself."""
    chosen: list[Choice] = []
    bound, method = 0.0, PlacementMethod.ENUMERATION
    by_workload: dict[str, list[Route]] = {name: [] for name in book.workloads}
    for route in routes:
        by_workload[route.workload].append(route)
    for names in parts_of(book, routes):
        mine = [route for name in names for route in by_workload[name]]
        if can_enumerate(book, names, mine):
            best = enumerate_ways(book, mine)
            if best is None:
                return Found(outcome=Outcome.INFEASIBLE, culprits=names)
            chosen.append(best)
            bound += usd_of(book, assignments_of(book, best), pools_of(book, best))
            continue
        method = PlacementMethod.PROGRAMME
        part = Book(restricted(book.problem, names))
        share_s = effort.seconds * len(mine) / len(routes)
        seconds = max(share_s, min(effort.seconds, _LEAST_S))
        made, solved = _solved(part, mine, replace(effort, seconds=seconds))
        if solved.outcome is not Outcome.SOLVED:
            return Found(outcome=solved.outcome, culprits=names)
        chosen.append(choice_of(made, solved))
        bound += solved.bound
    return _found(book, _joined(chosen), bound, method)


def _joined(chosen: Sequence[Choice]) -> Choice:
    return Choice(
        chosen=tuple(one for choice in chosen for one in choice.chosen),
        levels={pool: level for choice in chosen for pool, level in choice.levels.items()},
    )


def _programme(book: Book, routes: Sequence[Route], effort: Effort) -> Found:
    made, solved = _solved(book, routes, effort)
    if solved.outcome is not Outcome.SOLVED:
        return Found(outcome=solved.outcome, culprits=tuple(book.workloads))
    return _found(book, choice_of(made, solved), solved.bound, PlacementMethod.PROGRAMME)


def _solved(book: Book, routes: Sequence[Route], effort: Effort) -> tuple[Programme, Solved]:
    """Solve a programme at once or, where it is large, in two steps while they give something."""
    if len(routes) >= effort.many_routes:
        found = solve_large(book, routes, seconds=effort.seconds, gap_share=effort.gap_share)
        if found is not None:
            return found
    made = write(book, without_dominated(book, routes))
    return made, solve(made.rows, seconds=effort.seconds, gap_share=effort.gap_share)


def _found(book: Book, choice: Choice, bound: float, method: PlacementMethod) -> Found:
    assignments, pools = assignments_of(book, choice), pools_of(book, choice)
    usd = usd_of(book, assignments, pools)
    close = usd - bound <= _ROUNDING * max(1.0, abs(usd))
    return Found(
        outcome=Outcome.SOLVED,
        assignments=assignments,
        pools=pools,
        usd=usd,
        bound=usd if close else bound,
        method=method,
    )
