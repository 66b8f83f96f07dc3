"""Limits as numbers: read, put in words where they move, and moved."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from edgewise.plan.placement.constraints import with_machine, with_pool, with_workload
from edgewise.plan.placement.routes import Book, latency_limit_ms
from edgewise.records import Constraint, Limit, PlacementProblem, Relaxation
from edgewise.units import format_bytes, format_ms, format_usd

UNITS = {
    Limit.QUALITY: "share",
    Limit.LATENCY: "ms",
    Limit.KINDS: "",
    Limit.REGIONS: "",
    Limit.AVAILABILITY: "share of the time",
    Limit.WORKLOAD_BUDGET: "USD a month",
    Limit.MEMORY: "bytes",
    Limit.STORAGE: "bytes",
    Limit.UNITS: "machines",
    Limit.BUDGET: "USD a month",
    Limit.ENERGY: "joules a month",
}


def limit_of(book: Book, one: Constraint) -> float:
    """Give the number of a constraint; 0 where it is a list of places."""
    problem, name = book.problem, one.subject
    if one.limit in (Limit.BUDGET, Limit.ENERGY):
        whole = problem.budget_usd_per_month, problem.joules_per_month
        return whole[one.limit is Limit.ENERGY] or 0.0
    if one.limit is Limit.UNITS:
        return float(book.pools[name].max_units or 0)
    if one.limit in (Limit.MEMORY, Limit.STORAGE):
        machine = book.classes[name]
        return float((machine.memory_bytes, machine.storage_bytes)[one.limit is Limit.STORAGE] or 0)
    work = book.workloads[name]
    value = {
        Limit.LATENCY: latency_limit_ms(work),
        Limit.QUALITY: work.quality_floor,
        Limit.AVAILABILITY: work.availability,
        Limit.WORKLOAD_BUDGET: work.budget_usd_per_month,
    }.get(one.limit)
    return value or 0.0


def in_words(one: Constraint, before: float, after: float, points: float) -> str:
    """Say how far a limit moves and what that costs, in its unit."""
    subject = f"{one.subject}: " if one.subject else ""
    if one.limit in (Limit.KINDS, Limit.REGIONS):
        where = "kinds of tier" if one.limit is Limit.KINDS else "regions"
        return f"{subject}let all {where} see its requests ({points:.3g} points)"
    show = {
        "ms": format_ms,
        "bytes": format_bytes,
        "USD a month": format_usd,
        "machines": "{:.0f} machines".format,
        "joules a month": _format_kwh,
    }.get(UNITS[one.limit], "{:.6g}".format)
    name = one.limit.value.replace("workload_", "").replace("units", "number")
    change = f"from {show(before)} to {show(after)}"
    return f"{subject}{name} {change} ({points:.3g} points)"


def _format_kwh(joules: float) -> str:
    return f"{joules / 3.6e6:.4g} kWh"


def relaxed(problem: PlacementProblem, given: Iterable[Relaxation]) -> PlacementProblem:
    """Give the problem with its limits moved."""
    for one in given:
        problem = _moved_to(problem, one.constraint, one.after)
    return problem


def _moved_to(problem: PlacementProblem, one: Constraint, after: float) -> PlacementProblem:
    name = one.subject
    if one.limit is Limit.LATENCY:
        work = Book(problem).workloads[name]
        changes: dict[str, float] = {}
        if work.latency_p95_ms is not None:
            changes["latency_p95_ms"] = max(after, work.latency_p95_ms)
        if work.deadline_s is not None:
            changes["deadline_s"] = max(after / 1000.0, work.deadline_s)
        return with_workload(problem, name, **changes)
    if one.limit is Limit.UNITS:
        return with_pool(problem, name, max_units=round(after))
    if one.limit in (Limit.MEMORY, Limit.STORAGE):
        return with_machine(problem, name, **{f"{one.limit.value}_bytes": round(after)})
    if one.limit in (Limit.BUDGET, Limit.ENERGY):
        whole = "budget_usd" if one.limit is Limit.BUDGET else "joules"
        change: dict[str, Any] = {f"{whole}_per_month": after}
        return replace(problem, **change)
    field, value = {
        Limit.QUALITY: ("quality_floor", after),
        Limit.KINDS: ("kinds", ()),
        Limit.REGIONS: ("regions", ()),
        Limit.AVAILABILITY: ("availability", after),
        Limit.WORKLOAD_BUDGET: ("budget_usd_per_month", after),
    }[one.limit]
    return with_workload(problem, name, **{field: value})
