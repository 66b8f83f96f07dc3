"""The machine's energy counters (RAPL, which Linux shows under `powercap`), where there are any.

They count whole processor packages: what else runs meanwhile is counted with the model. AMD's
processors show theirs under the same names. Source: Linux, Documentation/power/powercap.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgewise.records import NOT_MEASURED, Energy

_POWERCAP = Path("/sys/class/powercap")
_PACKAGE = re.compile(r"intel-rapl:\d+")
"""Packages only: `intel-rapl:0:1` is a part of `intel-rapl:0`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Counters read at one moment; `why` says why there are none."""

    microjoules: Mapping[str, int]
    range_microjoules: Mapping[str, int]
    """Where each starts again from 0."""
    why: str = ""


def read_counters(root: Path = _POWERCAP) -> Counters:
    """Read the counter of each package."""
    zones = sorted(zone for zone in root.glob("intel-rapl:*") if _PACKAGE.fullmatch(zone.name))
    if not zones:
        return _none("the machine shows no RAPL counters")
    try:
        return Counters(
            microjoules={zone.name: _number(zone / "energy_uj") for zone in zones},
            range_microjoules={zone.name: _number(zone / "max_energy_range_uj") for zone in zones},
        )
    except PermissionError:
        return _none("the RAPL counters can be read by root only")
    except (OSError, ValueError) as unreadable:
        return _none(f"the RAPL counters can't be read: {unreadable}")


def joules_between(before: Counters, after: Counters) -> tuple[float | None, str]:
    """Give the joules spent between two readings and how they were told, or `None` and why not."""
    why = before.why or after.why
    if why:
        return None, why
    spent = 0
    for name, start in before.microjoules.items():
        moved = after.microjoules[name] - start
        spent += moved if moved >= 0 else moved + before.range_microjoules[name]
    if spent == 0:
        return None, "the RAPL counters did not move"
    count = len(before.microjoules)
    return spent / 1e6, f"RAPL, {count} package(s), with all else that ran meanwhile"


def energy_of(joules: float | None, how: str, requests: int) -> Energy:
    """Share joules among requests."""
    if joules is None:
        return Energy(origin=NOT_MEASURED, how=how)
    return Energy(joules_per_request=joules / requests, origin="measured", how=how)


def _none(why: str) -> Counters:
    return Counters(microjoules={}, range_microjoules={}, why=why)


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii"))
