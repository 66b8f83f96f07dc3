"""Where a workload should run and what it costs.

A spec, a `Profile`, a `Certificate` and a `Quality` go in, a `Plan` comes out. Pure; numpy alone.
Read `numbers.py`, `cost.py` and `planning.py` first.
"""

from edgewise.plan.breakeven import BreakEven, Fleet, break_even, fleets_at
from edgewise.plan.evidence import Evidence, assumed, measured
from edgewise.plan.placement import check_placement, place
from edgewise.plan.planning import basis_of, plan, plan_from, plan_unmeasured

__all__ = [
    "BreakEven",
    "Evidence",
    "Fleet",
    "assumed",
    "basis_of",
    "break_even",
    "check_placement",
    "fleets_at",
    "measured",
    "place",
    "plan",
    "plan_from",
    "plan_unmeasured",
]
