"""Where a workload should run and what it costs.

`basis_of` takes what a plan reads of a spec, `measured` or `assumed` gives the evidence, and
`plan_from` makes the `Plan` of both. Pure; numpy alone.
Read `numbers.py`, `cost.py` and `planning.py` first.
"""

from edgewise.plan.breakeven import BreakEven, Fleet, break_even, fleets_at
from edgewise.plan.evidence import Evidence, assumed, measured
from edgewise.plan.placement import check_placement, place
from edgewise.plan.planning import basis_of, plan_from

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
    "plan_from",
]
