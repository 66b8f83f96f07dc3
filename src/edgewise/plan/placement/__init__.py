"""Where many workloads and models run, over tiers and classes of device.

A `PlacementProblem` goes in, a `Placement` comes out: the cheapest with its gap and what binds, or
the constraints that conflict and the cheapest relaxation. Pure, but for HiGHS behind `highs.py`.
Read `routes.py` for what a way is, `programme.py` for the model, `check.py` for what is promised.
"""

from edgewise.plan.placement.check import check_placement
from edgewise.plan.placement.cutting import paying_cuts
from edgewise.plan.placement.front import front
from edgewise.plan.placement.moving import relaxed
from edgewise.plan.placement.optimum import Effort
from edgewise.plan.placement.placing import place

__all__ = [
    "Effort",
    "check_placement",
    "front",
    "paying_cuts",
    "place",
    "relaxed",
]
