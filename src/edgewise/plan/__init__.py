"""Where a workload should run and what it costs.

A spec, a `Profile`, a `Certificate` and a `Quality` go in, a `Plan` comes out. Pure; numpy alone.
Read `numbers.py`, `cost.py` and `planning.py` first.
"""

from edgewise.plan.breakeven import BreakEven, Fleet, break_even, fleets_at
from edgewise.plan.planning import plan

__all__ = ["BreakEven", "Fleet", "break_even", "fleets_at", "plan"]
