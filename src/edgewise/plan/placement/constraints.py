"""The constraints of a problem by name: listed, put in words, and dropped one by one."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from edgewise.records import (
    DAY_S,
    Constraint,
    DeviceClass,
    Limit,
    PlacementProblem,
    PlacementWorkload,
    Pool,
)
from edgewise.units import format_bytes, format_ms, format_usd

_UNBOUNDED = 10**6
"""Machines of a pool whose number is not limited."""
_FOREVER_S = 1e12


def constraints_of(problem: PlacementProblem) -> tuple[Constraint, ...]:
    """Give every constraint that a problem states, in words with its number."""
    found = [one for work in problem.workloads for one in _of_workload(work)]
    found += [one for machine in problem.device_classes for one in _of_machine(machine)]
    found += [_of_pool(pool) for pool in problem.pools if pool.max_units is not None]
    if problem.budget_usd_per_month is not None:
        usd = format_usd(problem.budget_usd_per_month)
        found.append(Constraint(limit=Limit.BUDGET, text=f"at most {usd} a month in all"))
    if problem.joules_per_month is not None:
        text = f"at most {problem.joules_per_month / 3.6e6:.3g} kWh of inference a month"
        found.append(Constraint(limit=Limit.ENERGY, text=text))
    return tuple(found)


def _of_workload(work: PlacementWorkload) -> Iterable[Constraint]:
    name = work.name
    if work.quality_floor is not None:
        text = f"{name}: quality of at least {work.quality_floor:.3g} at its lower end"
        yield Constraint(limit=Limit.QUALITY, subject=name, text=text)
    if work.latency_p95_ms is not None or work.deadline_s is not None:
        limits = []
        if work.latency_p95_ms is not None:
            limits.append(f"p95 of at most {format_ms(work.latency_p95_ms)}")
        if work.deadline_s is not None:
            limits.append(f"an answer within {work.deadline_s:.4g} s")
        text = f"{name}: {' and '.join(limits)}"
        yield Constraint(limit=Limit.LATENCY, subject=name, text=text)
    if work.kinds:
        text = f"{name}: only on {' or '.join(kind.value for kind in work.kinds)}"
        yield Constraint(limit=Limit.KINDS, subject=name, text=text)
    if work.regions:
        text = f"{name}: only in {' or '.join(work.regions)}"
        yield Constraint(limit=Limit.REGIONS, subject=name, text=text)
    if work.availability is not None:
        text = f"{name}: available {work.availability:.6g} of the time"
        yield Constraint(limit=Limit.AVAILABILITY, subject=name, text=text)
    if work.budget_usd_per_month is not None:
        text = f"{name}: at most {format_usd(work.budget_usd_per_month)} a month for its requests"
        yield Constraint(limit=Limit.WORKLOAD_BUDGET, subject=name, text=text)


def _of_machine(machine: DeviceClass) -> Iterable[Constraint]:
    name = machine.name
    if machine.memory_bytes is not None:
        text = f"{name}: {format_bytes(machine.memory_bytes)} of memory"
        yield Constraint(limit=Limit.MEMORY, subject=name, text=text)
    if machine.storage_bytes is not None:
        text = f"{name}: {format_bytes(machine.storage_bytes)} of storage"
        yield Constraint(limit=Limit.STORAGE, subject=name, text=text)


def _of_pool(pool: Pool) -> Constraint:
    most = pool.max_units or 0
    text = f"{pool.name}: at most {most} machine{'s' * (most > 1)}"
    return Constraint(limit=Limit.UNITS, subject=pool.name, text=text)


def without(problem: PlacementProblem, constraints: Iterable[Constraint]) -> PlacementProblem:
    """Give the problem without some of its constraints."""
    for one in constraints:
        problem = _without(problem, one)
    return problem


def _without(problem: PlacementProblem, one: Constraint) -> PlacementProblem:
    free: dict[Limit, dict[str, Any]] = {
        Limit.QUALITY: {"quality_floor": None},
        Limit.KINDS: {"kinds": ()},
        Limit.REGIONS: {"regions": ()},
        Limit.AVAILABILITY: {"availability": None},
        Limit.WORKLOAD_BUDGET: {"budget_usd_per_month": None},
    }
    if one.limit is Limit.LATENCY:
        late = _no_deadline(problem, one.subject)
        return with_workload(problem, one.subject, latency_p95_ms=None, deadline_s=late)
    if one.limit in free:
        return with_workload(problem, one.subject, **free[one.limit])
    if one.limit is Limit.BUDGET:
        return replace(problem, budget_usd_per_month=None)
    if one.limit is Limit.ENERGY:
        return replace(problem, joules_per_month=None)
    if one.limit is Limit.UNITS:
        return with_pool(problem, one.subject, max_units=_UNBOUNDED)
    name = "memory_bytes" if one.limit is Limit.MEMORY else "storage_bytes"
    return with_machine(problem, one.subject, **{name: None})


def _no_deadline(problem: PlacementProblem, name: str) -> float | None:
    """Keep what a late deadline says of the rate to plan for, and take what it says of lateness."""
    work = next(work for work in problem.workloads if work.name == name)
    return None if work.deadline_s is None or work.deadline_s < DAY_S else _FOREVER_S


def with_workload(problem: PlacementProblem, name: str, **changes: Any) -> PlacementProblem:
    """Change one workload."""
    changed = (replace(o, **changes) if o.name == name else o for o in problem.workloads)
    return replace(problem, workloads=tuple(changed))


def with_pool(problem: PlacementProblem, name: str, **changes: Any) -> PlacementProblem:
    """Change one pool."""
    changed = (replace(o, **changes) if o.name == name else o for o in problem.pools)
    return replace(problem, pools=tuple(changed))


def with_machine(problem: PlacementProblem, name: str, **changes: Any) -> PlacementProblem:
    """Change one device class."""
    changed = (replace(o, **changes) if o.name == name else o for o in problem.device_classes)
    return replace(problem, device_classes=tuple(changed))
