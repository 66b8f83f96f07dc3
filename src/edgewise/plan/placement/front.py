"""Placements of which none beats another in cost, energy, latency, quality and exposure at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgewise.plan.placement.cutting import with_cuts
from edgewise.plan.placement.highs import Outcome, solve
from edgewise.plan.placement.optimum import Effort
from edgewise.plan.placement.programme import Programme, write
from edgewise.plan.placement.reading import Choice, assignments_of, choice_of, pools_of, usd_of
from edgewise.plan.placement.routes import Book, Route
from edgewise.records import PlacementAim, PlacementPoint, PlacementProblem, TierKind

_SMALL = 1e-6
_TIE = 1e-4
"""Weight of the other aims beside the one that is sought, so that ties are broken well."""

Weights = Mapping[PlacementAim, float]


def front(
    problem: PlacementProblem,
    *,
    aims: Sequence[PlacementAim] = tuple(PlacementAim),
    steps: int = 4,
    effort: Effort | None = None,
) -> tuple[PlacementPoint, ...]:
    """Give a Pareto front, the cheapest point first; empty where nothing is feasible.

    Each aim is sought alone, which gives its range. Weighted sums of the cost and each other aim
    find the outside of the front, and runs with a bound on the other aim, at `steps` even steps of
    its range, find points inside that no weights reach.
    """
    sweep = _Sweep(Book(with_cuts(problem)), effort or Effort(seconds=2.0))
    found = [sweep.best({aim: 1.0}, {}) for aim in aims]
    points = [one for one in found if one is not None]
    if not points:
        return ()
    for aim in aims:
        values = [_value(one, aim) for one in points]
        low, high = min(values), max(values)
        if aim is PlacementAim.USD or high - low <= _SMALL * max(1.0, abs(high)):
            continue
        costs = [_value(one, PlacementAim.USD) for one in points[: len(aims)]]
        ratio = (max(costs) - min(costs)) / (high - low)
        for at in range(1, steps + 1):
            share = at / (steps + 1)
            weighed: Weights = {PlacementAim.USD: 1.0 - share, aim: share * ratio}
            bound: Weights = {aim: low + share * (high - low)}
            tried = sweep.best(weighed, {}), sweep.best({PlacementAim.USD: 1.0}, bound)
            points += [one for one in tried if one is not None]
    kept = _unbeaten(points, aims)
    return tuple(sorted(kept, key=lambda one: one.usd_per_month))


@dataclass(frozen=True, slots=True)
class _Sweep:
    book: Book
    effort: Effort

    def best(self, weights: Weights, bounds: Weights) -> PlacementPoint | None:
        """Give the placement of the least weighted sum within bounds; `None`: there is none."""
        book = self.book
        routes = [route for route in book.routes if not book.broken(route)]
        if {route.workload for route in routes} != set(book.workloads):
            return None
        made = write(book, routes)
        terms = {aim: _terms(made, aim) for aim in PlacementAim}
        scale = {aim: sum(map(abs, terms[aim].values())) or 1.0 for aim in PlacementAim}
        least = min(weight * scale[aim] for aim, weight in weights.items() if weight) or 1.0
        costs = [0.0] * len(made.rows.costs)
        for aim in PlacementAim:
            weight = weights.get(aim, 0.0) + _TIE * _TIE * least / scale[aim]
            for column, value in terms[aim].items():
                costs[column] += weight * value
        made.rows.costs[:] = costs
        for aim, most in bounds.items():
            made.rows.row(
                {column: value / scale[aim] for column, value in terms[aim].items()},
                high=most / scale[aim],
            )
        solved = solve(made.rows, seconds=self.effort.seconds, gap_share=self.effort.gap_share)
        if solved.outcome is not Outcome.SOLVED:
            return None
        return _point(book, choice_of(made, solved))


def _terms(made: Programme, aim: PlacementAim) -> dict[int, float]:
    if aim is PlacementAim.USD:
        return dict(made.spending)
    return {made.shares[at]: _of_route(made.book, one, aim) for at, one in enumerate(made.routes)}


def _of_route(book: Book, route: Route, aim: PlacementAim) -> float:
    """Give what a way adds to an aim when all of its workload goes it."""
    requests = book.workloads[route.workload].requests_per_month
    total = sum(work.requests_per_month for work in book.workloads.values()) or 1.0
    if aim is PlacementAim.JOULES:
        return requests * route.joules_per_request
    if aim is PlacementAim.LATENCY:
        return requests / total * route.base_ms
    if aim is PlacementAim.QUALITY_LOSS:
        return requests / total * (1.0 - (route.quality_low or 0.0))
    return requests / total * _exposed(book, route)


def _exposed(book: Book, route: Route) -> float:
    """Give the share of a way's requests that leave the device; a cut model's leave as well."""
    away = [book.tier_of(leg.pool).kind is not TierKind.DEVICE for leg in route.legs]
    if away[0]:
        return 1.0
    return route.far_share if away[-1] else 0.0


def _point(book: Book, choice: Choice) -> PlacementPoint:
    assignments, pools = assignments_of(book, choice), pools_of(book, choice)

    def total(aim: PlacementAim) -> float:
        return sum(one.share * _of_route(book, one.route, aim) for one in choice.chosen)

    return PlacementPoint(
        usd_per_month=usd_of(book, assignments, pools),
        joules_per_month=total(PlacementAim.JOULES),
        latency_p95_ms=total(PlacementAim.LATENCY),
        quality_loss=total(PlacementAim.QUALITY_LOSS),
        exposed_share=total(PlacementAim.EXPOSURE),
        assignments=assignments,
        pools=pools,
    )


def _value(point: PlacementPoint, aim: PlacementAim) -> float:
    return float(getattr(point, aim.value))


def _unbeaten(
    points: Sequence[PlacementPoint], aims: Sequence[PlacementAim]
) -> Iterator[PlacementPoint]:
    """Leave out points that another equals or beats in every aim, up to rounding."""
    kept: list[PlacementPoint] = []
    for one in sorted(points, key=lambda p: [_value(p, aim) for aim in aims]):
        if not any(
            all(
                _value(other, aim) <= _value(one, aim) + _SMALL * max(1.0, abs(_value(one, aim)))
                for aim in aims
            )
            for other in kept
        ):
            kept.append(one)
    yield from kept
