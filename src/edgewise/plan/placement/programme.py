"""Placement as a mixed-integer programme.

Shares of traffic are continuous; what is loaded where, how each pool is run and how many machines
it has are whole. Machines of a pool are counted, not named, so none can stand for another. Every
share is held by the decisions that it rests on one by one, which keeps the bound close.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edgewise.plan.placement.availability import Fate, falling_short, largest
from edgewise.plan.placement.giving import Firm, Give
from edgewise.plan.placement.highs import Rows
from edgewise.plan.placement.pruning import fits, useful_levels
from edgewise.plan.placement.routes import Book, Leg, Level, Route
from edgewise.records import Limit

MOST_FATES = 8
"""Sets of tiers that may stand in for each other for one workload; the smallest are kept."""


@dataclass(slots=True)
class Programme:
    """The columns of a programme by what they mean. Made by `write`, read when it is solved."""

    book: Book
    routes: Sequence[Route]
    give: Give
    rows: Rows = field(default_factory=Rows)
    shares: dict[int, int] = field(default_factory=dict)
    """Route → share of its workload's traffic."""
    reserved: dict[int, int] = field(default_factory=dict)
    """Route → share of the peak that machines are kept for."""
    loaded: dict[tuple[str, str], int] = field(default_factory=dict)
    """(model, pool) → whether it is there."""
    run: dict[tuple[str, Level | None], int] = field(default_factory=dict)
    """(pool, level) → whether it is run so; `None` is an elastic pool that is used at all."""
    units: dict[tuple[str, Level], int] = field(default_factory=dict)
    levels: dict[str, tuple[Level, ...]] = field(default_factory=dict)
    """Pool → the levels that it may be run at."""
    spending: dict[int, float] = field(default_factory=dict)
    """Column → USD a month."""


def write(
    book: Book,
    routes: Sequence[Route],
    *,
    give: Give | None = None,
    every_level: bool = False,
    rows: Rows | None = None,
) -> Programme:
    """Write the programme of a problem over these ways.

    Parameters
    ----------
    give
        Where limits may give way; default: nowhere.
    every_level
        Keep levels that no way may use as things stand, for limits that give way.
    rows
        Go on with these.
    """
    made = Programme(book=book, routes=routes, give=give or Firm(), rows=rows or Rows())
    by_workload: dict[str, list[int]] = defaultdict(list)
    for at, route in enumerate(routes):
        by_workload[route.workload].append(at)
    for name in book.workloads:
        _traffic(made, name, by_workload[name])
    legs: dict[str, list[tuple[int, Leg]]] = defaultdict(list)
    for at, route in enumerate(routes):
        for leg in route.legs:
            legs[leg.pool].append((at, leg))
    for pool, here in legs.items():
        if book.is_managed(pool):
            _pool(made, pool, here, every_level=every_level)
    _tiers(made)
    _level_links(made)
    _totals(made)
    for column, usd in made.spending.items():
        made.rows.costs[column] = usd
    return made


def _traffic(made: Programme, name: str, mine: Sequence[int]) -> None:
    rows, work = made.rows, made.book.workloads[name]
    for at in mine:
        made.shares[at] = made.reserved[at] = rows.column(integer=not work.splittable)
        usd = work.requests_per_month * made.routes[at].usd_per_request
        made.spending[made.shares[at]] = usd
    rows.row({made.shares[at]: 1.0 for at in mine}, low=1.0, high=1.0)
    if work.budget_usd_per_month is not None:
        costs = {made.shares[at]: made.spending[made.shares[at]] for at in mine}
        more = made.give.more(Limit.WORKLOAD_BUDGET, name)
        rows.row(_less(costs, more), high=work.budget_usd_per_month)
    if work.availability is not None:
        _standing_in(made, name, mine)


def fates_of(routes: Sequence[Route]) -> list[Fate]:
    """Give the sets of tiers that ways rest on, the smallest first, and no more than are weighed.

    Sets come in an order of their own, so that equal problems give equal programmes.
    """
    found = {route.tiers for route in routes}
    return sorted(found, key=lambda fate: (len(fate), sorted(fate)))[:MOST_FATES]


def _standing_in(made: Programme, name: str, mine: Sequence[int]) -> None:
    """Ask for ways that together are up often enough, each with room for its part of the peak."""
    rows, work = made.rows, made.book.workloads[name]
    assert work.availability is not None
    up_share = {tier.name: tier.availability for tier in made.book.problem.tiers}
    fates = fates_of([made.routes[at] for at in mine])
    member = {fate: rows.column(integer=True) for fate in fates}
    for at in mine:
        made.reserved[at] = rows.column()
        rows.row({made.reserved[at]: 1.0, made.shares[at]: -1.0}, low=0.0)
    for fate in {made.routes[at].tiers for at in mine}:
        same = [at for at in mine if made.routes[at].tiers == fate]
        chosen = {member[fate]: -1.0} if fate in member else {}
        rows.row({made.shares[at]: 1.0 for at in same} | chosen, high=0.0)
        part = {column: weight / work.needs for column, weight in chosen.items()}
        rows.row({made.reserved[at]: 1.0 for at in same} | part, low=0.0)
    short = list(falling_short(fates, work.needs, up_share, work.availability))
    found = dict(short)
    relaxable = any(made.give.steps(Limit.AVAILABILITY, name, found[one]) for one in found)
    for chosen_fates in found if relaxable else largest(short):
        outside = {member[fate]: 1.0 for fate in fates if fate not in chosen_fates}
        steps = made.give.steps(Limit.AVAILABILITY, name, found[chosen_fates])
        rows.row(outside | dict(steps), low=1.0)


def _pool(
    made: Programme, pool: str, here: Sequence[tuple[int, Leg]], *, every_level: bool
) -> None:
    rows, book = made.rows, made.book
    one = book.pools[pool]
    if one.max_units is None:
        made.run[pool, None] = rows.column(integer=True)
        made.spending[made.run[pool, None]] = one.usd_per_month
        return
    if every_level:
        levels = book.levels(pool, made.routes)
    else:
        levels = useful_levels(book, pool, made.routes)
    made.levels[pool] = levels
    servers = book.machine(pool).servers
    most = _most_busy(made, here)
    load = {made.reserved[at]: leg.busy for at, leg in here}
    units = {}
    for level in levels:
        needed = int(most / (level.utilization * servers)) + 1
        high = max(one.min_units, needed)
        ran = made.run[pool, level] = rows.column(integer=True)
        count = rows.column(high=high, integer=True)
        made.units[pool, level] = count
        made.spending[ran] = one.usd_per_month
        rows.row({count: 1.0, ran: -float(high)}, high=0.0)
        rows.row({count: 1.0, ran: -float(one.min_units)}, low=0.0)
        load[count] = -level.utilization * servers
        units[count] = 1.0
    rows.row({made.run[pool, level]: 1.0 for level in levels}, high=1.0)
    rows.row(load, high=0.0)
    rows.row(_less(units, made.give.more(Limit.UNITS, pool)), high=float(one.max_units))
    _machines(made, pool, units)
    _memory(made, pool, here)


def _most_busy(made: Programme, here: Sequence[tuple[int, Leg]]) -> float:
    """Give the most servers that can be busy: shares of a workload that is split sum to one."""
    by_workload: dict[str, list[float]] = defaultdict(list)
    for at, leg in here:
        by_workload[made.routes[at].workload].append(leg.busy)
    return sum(
        max(busy) if made.book.workloads[name].availability is None else sum(busy)
        for name, busy in by_workload.items()
    )


def _machines(made: Programme, pool: str, units: Mapping[int, float]) -> None:
    """Pay for the power of all machines, and for those beyond the ones that are owned."""
    one, machine = made.book.pools[pool], made.book.machine(pool)
    power, usd = machine.power_usd(made.book.problem.usd_per_kwh), machine.bought_usd
    made.spending.update(dict.fromkeys(units, power if one.owned_units else power + usd))
    if one.owned_units and usd:
        bought = made.rows.column(high=float("inf"))
        made.spending[bought] = usd
        made.rows.row(_less(units, {bought: 1.0}), high=float(one.owned_units))


def _memory(made: Programme, pool: str, here: Sequence[tuple[int, Leg]]) -> None:
    """Load models, which take memory and storage of each machine once, whoever uses them."""
    machine = made.book.machine(pool)
    if machine.memory_bytes is None and machine.storage_bytes is None:
        return
    legs = {leg.model: leg for _, leg in here}
    for model in legs:
        made.loaded[model, pool] = made.rows.column(integer=True)
    for limit, most, sizes in (
        (Limit.MEMORY, machine.memory_bytes, {m: leg.memory_bytes for m, leg in legs.items()}),
        (Limit.STORAGE, machine.storage_bytes, {m: leg.size_bytes for m, leg in legs.items()}),
    ):
        if most is not None:
            taken = {made.loaded[m, pool]: size / most for m, size in sizes.items()}
            made.rows.row(_less(taken, made.give.more(limit, machine.name)), high=1.0)
    for columns, model in _together(made, here):
        rest = {made.loaded[model, pool]: -1.0}
        made.rows.row(dict.fromkeys(columns, 1.0) | rest, high=0.0)


def _together(made: Programme, here: Sequence[tuple[int, Leg]]) -> Iterator[tuple[list[int], str]]:
    """Give columns that share one decision: a workload's shares sum to one, so they count once."""
    groups: dict[tuple[object, str], list[int]] = defaultdict(list)
    for at, leg in here:
        route = made.routes[at]
        standing_in = made.book.workloads[route.workload].availability is not None
        groups[at if standing_in else route.workload, leg.model].append(made.reserved[at])
    for (_, model), columns in groups.items():
        yield sorted(set(columns)), model


def _tiers(made: Programme) -> None:
    used: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for (pool, _), column in made.run.items():
        used[made.book.pools[pool].tier][pool][column] = 1.0
    for tier, pools in used.items():
        usd = made.book.tiers[tier].usd_per_month
        if usd > 0.0:
            opened = made.rows.column(integer=True)
            made.spending[opened] = usd
            for columns in pools.values():
                made.rows.row(columns | {opened: -1.0}, high=0.0)


def _level_links(made: Programme) -> None:
    """Let traffic go a way only while all of its pools are run so that it is in time."""
    open_at: dict[tuple[object, str], dict[int, frozenset[int]]] = defaultdict(dict)
    for at, route in enumerate(made.routes):
        column = made.reserved[at]
        standing_in = made.book.workloads[route.workload].availability is not None
        for pool, runs in _open_runs(made, at, route).items():
            open_at[at if standing_in else route.workload, pool][column] = runs
    for columns in open_at.values():
        for runs in set(columns.values()):
            # Shares of a workload sum to one, so all that need one of these runs count once.
            held = {column: 1.0 for column, needed in columns.items() if needed <= runs}
            made.rows.row(held | dict.fromkeys(runs, -1.0), high=0.0)


def _open_runs(made: Programme, at: int, route: Route) -> dict[str, frozenset[int]]:
    """Give, for each managed pool of a way, the ways to run it that let the traffic in."""
    share, found = made.reserved[at], {}
    queues = {}
    for leg in route.legs:
        if (leg.pool, None) in made.run:
            found[leg.pool] = frozenset({made.run[leg.pool, None]})
        elif leg.pool in made.levels:
            ready = [one for one in made.levels[leg.pool] if leg.residual_ms <= one.residual_ms]
            queues[leg.pool] = [(made.run[leg.pool, one], one.wait_ms) for one in ready]
    if len(queues) == 2:
        _pairs(made, share, route, list(queues.values()))
        return found | {pool: frozenset(one for one, _ in runs) for pool, runs in queues.items()}
    for pool, runs in queues.items():
        late = {column: wait for column, wait in runs if not fits(made.book, route, wait)}
        relaxed = {column for column, wait in late.items() if _steps(made, route, wait)}
        for column in sorted(relaxed):
            _late(made, {share: 1.0, column: 1.0}, route, late[column])
        found[pool] = frozenset(one for one, _ in runs if one not in late) | relaxed
    return found


def _pairs(
    made: Programme, share: int, route: Route, queues: Sequence[Sequence[tuple[int, float]]]
) -> None:
    """Shut a way that hands over where both of its queues together make it late."""
    for near, near_wait in queues[0]:
        for far, far_wait in queues[1]:
            if not fits(made.book, route, near_wait + far_wait):
                terms = {share: 1.0, near: 1.0, far: 1.0}
                _late(made, terms, route, near_wait + far_wait)


def _steps(made: Programme, route: Route, wait_ms: float) -> Mapping[int, float]:
    return made.give.steps(Limit.LATENCY, route.workload, route.base_ms + wait_ms)


def _late(made: Programme, terms: Mapping[int, float], route: Route, wait_ms: float) -> None:
    """Not all of these at once, unless the workload's latency gives way far enough."""
    made.rows.row(_less(terms, _steps(made, route, wait_ms)), high=len(terms) - 1.0)


def _totals(made: Programme) -> None:
    problem = made.book.problem
    if problem.budget_usd_per_month is not None:
        more = made.give.more(Limit.BUDGET, "")
        made.rows.row(_less(made.spending, more), high=problem.budget_usd_per_month)
    if problem.joules_per_month is not None:
        most = problem.joules_per_month
        used = {
            made.shares[at]: joules / (most or 1.0)
            for at, route in enumerate(made.routes)
            if (joules := monthly_joules(made.book, route))
        }
        more = made.give.more(Limit.ENERGY, "")
        made.rows.row(_less(used, more), high=1.0 if most else 0.0)


def monthly_joules(book: Book, route: Route) -> float:
    """Give the energy of a month in which all of a workload's requests go this way."""
    return book.workloads[route.workload].requests_per_month * route.joules_per_request


def _less(terms: Mapping[int, float], more: Mapping[int, float]) -> dict[int, float]:
    """Take what a limit gains from the sum that it holds."""
    return dict(terms) | {column: -gain for column, gain in more.items()}
