"""What a bundle costs on this target: latency, memory, size, energy, cold start.

A bundle directory and natural inputs go in, a `Profile` comes out, measured in fresh processes.
Several bundles go in, a `Comparison` comes out, measured in turn. Read `measure.py` first.
"""

from edgewise.profile.compare import compare
from edgewise.profile.limit import hold
from edgewise.profile.machine import (
    MachineReport,
    Part,
    describe_target,
    doctor,
    find_runtimes,
)
from edgewise.profile.measure import measure
from edgewise.profile.size import compressed_size

__all__ = [
    "MachineReport",
    "Part",
    "compare",
    "compressed_size",
    "describe_target",
    "doctor",
    "find_runtimes",
    "hold",
    "measure",
]
