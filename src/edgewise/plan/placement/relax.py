"""The cheapest way to give way: an elastic programme in which limits cost points to move."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgewise.plan.placement.availability import falling_short
from edgewise.plan.placement.constraints import constraints_of
from edgewise.plan.placement.highs import Outcome, Rows, solve
from edgewise.plan.placement.moving import UNITS, in_words, limit_of
from edgewise.plan.placement.optimum import Effort
from edgewise.plan.placement.programme import Programme, fates_of, write
from edgewise.plan.placement.routes import Book, Route
from edgewise.records import Constraint, Limit, PlacementProblem, Relaxation

_MOST_STEPS = 12
_ROOM = 1e-6
"""Limits that move continuously get this share more, against rounding."""
_ROUNDING = 1e-9
_STEPPED = (Limit.QUALITY, Limit.LATENCY, Limit.KINDS, Limit.REGIONS, Limit.AVAILABILITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A value that a workload's limit may move to."""

    column: int
    value: float


class Elastic:
    """Columns that move limits, made before the programme is written over the same rows."""

    def __init__(self, book: Book, rows: Rows) -> None:
        self.book = book
        self.steps_of: dict[tuple[Limit, str], list[Step]] = defaultdict(list)
        self.more_of: dict[tuple[Limit, str], tuple[int, float]] = {}
        """Limit → (column, what one of it adds to the limit as the programme scales it)."""
        self._rows = rows
        for one in constraints_of(book.problem):
            price = getattr(book.problem.prices, one.limit.value)
            if price is not None and one.limit in _STEPPED:
                self._add_steps(one, price)
            elif price is not None:
                self._add_more(one, price)

    def steps(self, limit: Limit, subject: str, needed: float) -> Mapping[int, float]:
        """Give columns of which one being 1 moves a workload's limit to `needed` or beyond."""
        lower = limit in (Limit.QUALITY, Limit.AVAILABILITY)
        return {
            step.column: 1.0
            for step in self.steps_of.get((limit, subject), ())
            if (step.value <= needed + 1e-12 if lower else step.value >= needed)
        }

    def more(self, limit: Limit, subject: str) -> Mapping[int, float]:
        """Give columns whose weighted sum is what a limit gains."""
        return dict([self.more_of[limit, subject]]) if (limit, subject) in self.more_of else {}

    def _add_steps(self, one: Constraint, price: float) -> None:
        columns = {}
        for value in _values(self.book, one):
            points = price * _distance(self.book, one, value)
            column = self._rows.column(cost=points, integer=True)
            self.steps_of[one.limit, one.subject].append(Step(column=column, value=value))
            columns[column] = 1.0
        self._rows.row(columns, high=1.0)

    def _add_more(self, one: Constraint, price: float) -> None:
        """Add a column that counts the limit's own size, or, for machines, machines."""
        whole = one.limit is Limit.UNITS
        size = limit_of(self.book, one)
        gain = 1.0 if whole else _gain(one.limit, size)
        cost = price / size if whole and size else price
        column = self._rows.column(cost=cost, high=math.inf, integer=whole)
        self.more_of[one.limit, one.subject] = (column, gain)


def _gain(limit: Limit, size: float) -> float:
    """Give what one limit's worth is in the programme, which scales three kinds of row to 1."""
    return 1.0 if limit in (Limit.MEMORY, Limit.STORAGE, Limit.ENERGY) or not size else size


def _values(book: Book, one: Constraint) -> list[float]:
    """Give the values at which moving a workload's limit opens something, the nearest first."""
    mine = [route for route in book.routes if route.workload == one.subject]
    limit = limit_of(book, one)
    if one.limit is Limit.QUALITY:
        lows = {route.quality_low or 0.0 for route in mine}
        return _thinned(sorted((low for low in lows if low < limit), reverse=True))
    if one.limit is Limit.LATENCY:
        possible = {p95 * (1.0 + _ROUNDING) for route in mine for p95 in _possible_ms(book, route)}
        return _thinned(sorted(p95 for p95 in possible if p95 > limit))
    if one.limit is Limit.AVAILABILITY:
        work = book.workloads[one.subject]
        up_share = {tier.name: tier.availability for tier in book.problem.tiers}
        short = falling_short(fates_of(mine), work.needs, up_share, limit)
        return _thinned(sorted({found for _, found in short}, reverse=True))
    return [1.0]


def _possible_ms(book: Book, route: Route) -> Iterable[float]:
    sums = {route.base_ms}
    for leg in route.legs:
        ready = [
            level.wait_ms
            for level in book.levels(leg.pool, book.routes)
            if level.residual_ms >= leg.residual_ms
        ]
        sums = {before + wait for before in sums for wait in ready or [0.0]}
    return sums


def _thinned(values: Sequence[float]) -> list[float]:
    """Keep the first few and some of the rest: a step past what is needed is sound."""
    near = list(values[: _MOST_STEPS // 2])
    rest = list(values[_MOST_STEPS // 2 :])
    stride = max(1, -(-len(rest) // (_MOST_STEPS // 2)))
    return near + rest[::-1][::stride][::-1]


def _distance(book: Book, one: Constraint, value: float) -> float:
    """Give how far a value is from a limit, in limits."""
    limit = limit_of(book, one)
    if one.limit is Limit.LATENCY:
        return value / limit - 1.0
    if one.limit is Limit.QUALITY:
        return 1.0 - value / limit
    if one.limit is Limit.AVAILABILITY:
        return (1.0 - value) / (1.0 - limit) - 1.0
    return 1.0


def relax(problem: PlacementProblem, effort: Effort) -> tuple[Relaxation, ...] | None:
    """Give the relaxations of fewest points that let a placement be; `None` where none do."""
    book = Book(problem)
    rows = Rows()
    give = Elastic(book, rows)
    routes = [route for route in book.routes if _may_open(book, give, route)]
    if {route.workload for route in routes} != set(book.workloads):
        return None
    made = write(book, routes, give=give, every_level=True, rows=rows)
    _hold_broken(made, give)
    for column in made.spending:
        rows.costs[column] = 0.0
    solved = solve(rows, seconds=effort.seconds, gap_share=effort.gap_share)
    if solved.outcome is not Outcome.SOLVED:
        return None
    found = []
    for one in constraints_of(problem):
        key = (one.limit, one.subject)
        for step in give.steps_of.get(key, ()):
            if solved.values[step.column] > 0.5:
                found.append(_relaxation(book, one, step.value))
        if key in give.more_of:
            moved = float(solved.values[give.more_of[key][0]])
            if moved > _ROOM:
                found.append(_relaxation(book, one, _moved(book, one, moved)))
    return tuple(found)


def _moved(book: Book, one: Constraint, moved: float) -> float:
    limit = limit_of(book, one)
    if one.limit is Limit.UNITS:
        return limit + round(moved)
    after = limit + moved * (limit or 1.0) * (1.0 + _ROOM) + limit * _ROOM
    return float(math.ceil(after)) if one.limit in (Limit.MEMORY, Limit.STORAGE) else after


def _may_open(book: Book, give: Elastic, route: Route) -> bool:
    """Say whether all that a way breaks may give way."""
    for limit, subject in book.broken(route):
        if limit in (Limit.MEMORY, Limit.STORAGE):
            if (limit, subject) not in give.more_of:
                return False
        elif not give.steps(limit, subject, _needed(book, route, limit)):
            return False
    return True


def _needed(book: Book, route: Route, limit: Limit) -> float:
    if limit is Limit.QUALITY:
        return route.quality_low or 0.0
    return book.least_ms(route) if limit is Limit.LATENCY else 1.0


def _hold_broken(made: Programme, give: Elastic) -> None:
    """Open each way that breaks a limit only with a step that is far enough."""
    placed: dict[tuple[str, str], int] = {}
    for at, route in enumerate(made.routes):
        share = made.reserved[at]
        for limit, subject in made.book.broken(route):
            if limit not in (Limit.MEMORY, Limit.STORAGE):
                steps = give.steps(limit, subject, _needed(made.book, route, limit))
                made.rows.row({share: 1.0} | dict.fromkeys(steps, -1.0), high=0.0)
        for leg in route.legs:
            if made.book.pools[leg.pool].max_units is None:
                if (leg.model, leg.pool) not in placed:
                    placed[leg.model, leg.pool] = _elastic_room(made, give, leg.model, leg.pool)
                made.rows.row({share: 1.0, placed[leg.model, leg.pool]: -1.0}, high=0.0)


def _elastic_room(made: Programme, give: Elastic, model: str, pool: str) -> int:
    """Load a model on an elastic pool, where its machine must hold it alone."""
    book = made.book
    placed = made.rows.column(integer=True)
    machine = book.machine(pool)
    for limit, most, size in (
        (Limit.MEMORY, machine.memory_bytes, book.profile(model, pool).peak_memory_bytes),
        (Limit.STORAGE, machine.storage_bytes, book.models[model].size_bytes),
    ):
        if most is not None and size > most:
            more = {column: -gain for column, gain in give.more(limit, machine.name).items()}
            made.rows.row({placed: size / most} | more, high=1.0)
    return placed


def _relaxation(book: Book, one: Constraint, after: float) -> Relaxation:
    price = getattr(book.problem.prices, one.limit.value)
    before = limit_of(book, one)
    if one.limit in _STEPPED:
        points = price * _distance(book, one, after)
    else:
        points = price * (after - before) / (before or 1.0)
    unit = UNITS[one.limit]
    return Relaxation(
        constraint=one,
        before=before,
        after=after,
        unit=unit,
        points=points,
        text=in_words(one, before, after, points),
    )
