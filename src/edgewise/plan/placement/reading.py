"""A solved programme, or routes chosen one by one, becomes the record of a placement."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgewise.plan.placement.highs import Solved
from edgewise.plan.placement.programme import Programme
from edgewise.plan.placement.routes import Book, Level, Route
from edgewise.records import Assignment, Origin, PoolUse

_NOTHING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A route that is used, or that stands in."""

    route: Route
    share: float
    reserved: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was decided: the routes, and the level of each pool that has machines."""

    chosen: tuple[Chosen, ...]
    levels: Mapping[str, Level]


def choice_of(made: Programme, solved: Solved) -> Choice:
    """Read the decisions from a solution; shares that are rounding errors go."""
    values = solved.values
    found: dict[str, list[Chosen]] = defaultdict(list)
    for at, route in enumerate(made.routes):
        share = float(values[made.shares[at]])
        reserved = max(share, float(values[made.reserved[at]]))
        if reserved > _NOTHING:
            share = share if share > _NOTHING else 0.0
            found[route.workload].append(Chosen(route=route, share=share, reserved=reserved))
    chosen = []
    for mine in found.values():
        total = sum(one.share for one in mine)
        chosen += [
            Chosen(
                route=one.route,
                share=one.share / total,
                reserved=max(one.reserved, one.share / total) if one.share else one.reserved,
            )
            for one in mine
        ]
    used = {leg.pool for one in chosen for leg in one.route.legs}
    levels = {
        pool: level
        for (pool, level), column in made.run.items()
        if level is not None and values[column] > 0.5 and pool in used
    }
    return Choice(chosen=tuple(chosen), levels=levels)


def assignments_of(book: Book, choice: Choice) -> tuple[Assignment, ...]:
    """Give the ways that are used, in the order of the workloads."""
    order = {name: at for at, name in enumerate(book.workloads)}
    found = []
    for one in sorted(choice.chosen, key=lambda c: (order[c.route.workload], -c.share)):
        route, work = one.route, book.workloads[one.route.workload]
        requests = work.requests_per_month * one.share
        waits = sum(
            choice.levels[leg.pool].wait_ms for leg in route.legs if leg.pool in choice.levels
        )
        found.append(
            Assignment(
                workload=route.workload,
                models=tuple(leg.model for leg in route.legs),
                pools=tuple(leg.pool for leg in route.legs),
                far_share=route.far_share,
                share=one.share,
                reserved_share=one.reserved,
                requests_per_month=requests,
                usd_per_month=requests * route.usd_per_request,
                joules_per_month=requests * route.joules_per_request,
                latency_p95_ms=route.base_ms + waits,
                quality_low=route.quality_low,
            )
        )
    return tuple(found)


def pools_of(book: Book, choice: Choice) -> tuple[PoolUse, ...]:
    """Give the pools that are used, in their order, with as few machines as their load needs."""
    by_pool: dict[str, list[Chosen]] = defaultdict(list)
    for one in choice.chosen:
        for leg in one.route.legs:
            by_pool[leg.pool].append(one)
    return tuple(
        _pool_use(book, name, by_pool[name], choice.levels.get(name))
        for name in book.pools
        if name in by_pool
    )


def _pool_use(book: Book, name: str, chosen: Sequence[Chosen], level: Level | None) -> PoolUse:
    pool, machine = book.pools[name], book.machine(name)
    legs = [(one, leg) for one in chosen for leg in one.route.legs if leg.pool == name]
    models = tuple(sorted({leg.model for _, leg in legs}))
    memory = {leg.model: leg.memory_bytes for _, leg in legs}
    origins = {book.profile(model, name).memory_origin for model in models}
    weakest = (Origin.ASSUMED, Origin.GIVEN, Origin.MEASURED)
    busy = sum(one.reserved * leg.busy for one, leg in legs)
    units, usd = None, pool.usd_per_month
    if level is not None:
        units = units_for(busy, level, machine.servers, pool.min_units)
        usd += units * machine.power_usd(book.problem.usd_per_kwh)
        usd += max(0, units - pool.owned_units) * machine.bought_usd
    return PoolUse(
        pool=name,
        units=units,
        models=models,
        utilization=None if units is None else busy / (units * machine.servers),
        planned_utilization=None if level is None else level.utilization,
        residual_ms=None if level is None else level.residual_ms,
        memory_bytes=max(memory.values()) if level is None else sum(memory.values()),
        memory_origin=next(one for one in weakest if one in origins),
        usd_per_month=usd,
    )


def units_for(busy: float, level: Level, servers: int, min_units: int) -> int:
    """Give the fewest machines that keep a load at a level."""
    needed = math.ceil(busy / (level.utilization * servers) - _NOTHING)
    return max(min_units, needed)


def usd_of(book: Book, assignments: Sequence[Assignment], pools: Sequence[PoolUse]) -> float:
    """Give what a placement costs a month: requests, machines, pools and tiers."""
    tiers = {book.pools[one.pool].tier for one in pools}
    return (
        sum(one.usd_per_month for one in assignments)
        + sum(one.usd_per_month for one in pools)
        + sum(book.tiers[name].usd_per_month for name in sorted(tiers))
    )
