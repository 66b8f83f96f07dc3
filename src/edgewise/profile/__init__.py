"""What a bundle costs on this target: latency, memory, size, energy, cold start.

A bundle directory and natural inputs go in, a `Profile` comes out, measured in fresh processes.
Several bundles go in, a `Comparison` comes out, measured in turn. Read `measure.py` first.
"""

from edgewise.profile.compare import Entry, compare
from edgewise.profile.limit import hold
from edgewise.profile.machine import (
    MachineReport,
    Part,
    describe_target,
    doctor,
    find_runtimes,
)
from edgewise.profile.measure import measure
from edgewise.profile.whole import measure_whole, reasons_against

__all__ = [
    "Entry",
    "MachineReport",
    "Part",
    "compare",
    "describe_target",
    "doctor",
    "find_runtimes",
    "hold",
    "measure",
    "measure_whole",
    "reasons_against",
]
