"""Where a workload should run and what it costs.

A spec, a `Profile`, a `Certificate` and a `Quality` go in, a `Plan` comes out. Pure; numpy alone.
Read `breakeven.py` and `planning.py` first.
"""

from edgewise.plan.breakeven import BreakEven, break_even
from edgewise.plan.placement import check_placement, place
from edgewise.plan.planning import plan

__all__ = ["BreakEven", "break_even", "check_placement", "place", "plan"]
