"""Where each workload runs: the cheapest placement with what binds, or what conflicts."""

from collections.abc import Iterator
from dataclasses import replace

from edgewise.plan.placement.binding import bindings_of
from edgewise.plan.placement.conflict import find_conflict
from edgewise.plan.placement.cutting import figures_of_cuts, with_cuts
from edgewise.plan.placement.highs import Outcome
from edgewise.plan.placement.optimum import Effort, Found, find
from edgewise.plan.placement.plausible import warnings_of
from edgewise.plan.placement.relax import relax
from edgewise.plan.placement.routes import Book
from edgewise.records import (
    PEAK_OVER_MEAN,
    Figure,
    Origin,
    Placement,
    PlacementMethod,
    PlacementProblem,
)


def place(
    problem: PlacementProblem, *, effort: Effort | None = None, explain: bool = True
) -> Placement:
    """Give the cheapest placement that keeps to every constraint.

    Parameters
    ----------
    effort
        Time and gap; default: 10 s and a ten-thousandth.
    explain
        Say which constraints bind, or, where nothing is feasible, which conflict and what would
        have to give; takes further solves.

    Returns
    -------
    Placement
        `feasible` is false where no placement keeps to every constraint, or none was found in
        time, and `reasons` says which.

    Raises
    ------
    MissingExtra
        SciPy is not installed, and something is shared.
    """
    effort = effort or Effort()
    cut = tuple(figures_of_cuts(problem))
    problem = with_cuts(problem)
    found = find(problem, effort)
    figures = (*_figures(problem), *cut)
    warnings = tuple(warnings_of(problem))
    if found.outcome is Outcome.SOLVED:
        return Placement(
            name=problem.name,
            feasible=True,
            usd_per_month=found.usd,
            bound_usd_per_month=found.bound,
            gap_share=max(0.0, (found.usd - found.bound) / found.usd) if found.usd else 0.0,
            method=found.method,
            joules_per_month=sum(one.joules_per_month for one in found.assignments),
            assignments=found.assignments,
            pools=found.pools,
            bindings=bindings_of(problem, found, effort) if explain else (),
            warnings=warnings,
            figures=figures,
        )
    nothing = Placement(
        name=problem.name,
        feasible=False,
        usd_per_month=None,
        bound_usd_per_month=None,
        gap_share=None,
        method=PlacementMethod.PROGRAMME,
        warnings=warnings,
        figures=figures,
    )
    if found.outcome is Outcome.UNDECIDED:
        reason = (
            f"no placement was found within {effort.seconds:g} s; that there is none is not shown"
        )
        return replace(nothing, reasons=(reason,))
    return _explained(problem, found, nothing, effort) if explain else nothing


def _explained(
    problem: PlacementProblem, found: Found, nothing: Placement, effort: Effort
) -> Placement:
    unserved = _without_any_way(problem)
    if unserved:
        said = tuple(f"{name}: no model has a quality and a profile for it" for name in unserved)
        return replace(nothing, reasons=said)
    conflict = find_conflict(problem, found, effort)
    reasons = [
        "no placement keeps to all of: " + "; ".join(one.text for one in conflict.constraints)
    ]
    if not conflict.constraints:
        reasons = ["no placement carries the traffic, whatever is relaxed"]
    if not conflict.is_irreducible:
        reasons.append("time ran out: some of these may be spared")
    elif not conflict.is_smallest:
        reasons.append("not all were tried: fewer constraints may conflict too")
    given = relax(problem, effort)
    if given is None:
        reasons.append("no relaxation was found among the limits that may give way")
    return replace(
        nothing,
        conflict=conflict.constraints,
        relaxation=given or (),
        relaxation_points=None if given is None else sum(one.points for one in given),
        reasons=tuple(reasons),
    )


def _without_any_way(problem: PlacementProblem) -> list[str]:
    reachable = {route.workload for route in Book(problem).routes}
    return [work.name for work in problem.workloads if work.name not in reachable]


def _figures(problem: PlacementProblem) -> Iterator[Figure]:
    """Say what the placement rests on that was not given."""
    for work in problem.workloads:
        origin, source = Origin.GIVEN, "peak_per_s"
        if work.is_planned_at_mean:
            source = "the month's mean, for answers may be a day late"
        elif work.peak_per_s is None:
            origin, source = Origin.ASSUMED, f"{PEAK_OVER_MEAN:g} times the month's mean"
        yield Figure(
            name=f"{work.name}: planned rate",
            value=work.planned_per_s,
            unit="requests per second",
            origin=origin,
            source=source,
        )
        yield Figure(
            name=f"{work.name}: variation of gaps between requests",
            value=work.arrival_cv2,
            unit="CV²",
            origin=Origin.GIVEN if work.arrival_cv2 != 1.0 else Origin.ASSUMED,
            source="arrival_cv2" if work.arrival_cv2 != 1.0 else "Poisson arrivals",
        )
    for one in problem.profiles:
        yield Figure(
            name=f"{one.model} on {one.device_class}: peak memory",
            value=float(one.peak_memory_bytes),
            unit="bytes",
            origin=one.memory_origin,
            source="profile",
        )
    yield Figure(
        name="queues",
        value=None,
        unit="Erlang C with Allen–Cunneen",
        origin=Origin.ASSUMED,
        source="p95 of service, waits and network are added; tiers fail independently",
    )
