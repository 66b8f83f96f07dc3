"""What a bundle costs on this target: latency, memory, size, cold start.

A bundle directory and natural inputs go in, a `Profile` comes out, measured in fresh processes.
Read `measure.py` first.
"""

from edgewise.profile.machine import (
    MachineReport,
    Part,
    describe_target,
    doctor,
    find_runtimes,
)
from edgewise.profile.measure import measure

__all__ = ["MachineReport", "Part", "describe_target", "doctor", "find_runtimes", "measure"]
