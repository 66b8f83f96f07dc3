"""The state of this machine, read now and then in the background, never for a request.

Linux tells by files; what another system does not tell is not known, and no rule over it holds.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from edgewise.records import DeviceState

_MINUTE_S = 60.0
_SLOW = 0.9  # of the speed that a processor should have


class RequestRate:
    """Counts requests of the last minute. Any thread may use it."""

    def __init__(self) -> None:
        self._at_s: deque[float] = deque(maxlen=100_000)

    def note(self, now_s: float) -> None:
        """Note a request."""
        self._at_s.append(now_s)

    def per_min(self, now_s: float) -> float:
        """Give how many there were in the last minute."""
        at_s = self._at_s
        while at_s and now_s - at_s[0] > _MINUTE_S:
            try:
                at_s.popleft()
            except IndexError:  # another thread was faster
                break
        return float(len(at_s))


def read_device(root: Path = Path("/")) -> DeviceState:
    """Read the machine's state; what can't be read is `None`.

    Parameters
    ----------
    root
        Where `/sys` and `/proc` lie.
    """
    on_battery, battery_share = _battery(root / "sys/class/power_supply")
    return DeviceState(
        on_battery=on_battery,
        battery_share=battery_share,
        throttled=_throttled(root / "sys/devices/system/cpu"),
        load_share=_load(root / "proc/loadavg"),
        memory_free_bytes=_memory(root / "proc/meminfo"),
    )


class DeviceMonitor:
    """Reads the device's state every so often in a thread. Made and closed by the engine."""

    def __init__(
        self, read: Callable[[], DeviceState] = read_device, *, every_s: float = 5.0
    ) -> None:
        self.state = read()
        self._read = read
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="edgewise-device", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.state = self._read()
            except Exception:  # noqa: BLE001 - the application's code: what it does not tell is not known
                self.state = DeviceState()


def _battery(folder: Path) -> tuple[bool | None, float | None]:
    discharging: bool | None = None
    shares: list[float] = []
    for supply in _entries(folder):
        if _text(supply / "type") != "Battery" or _text(supply / "scope") == "Device":
            continue  # a mains adapter, or the battery of a mouse
        capacity, status = _number(supply / "capacity"), _text(supply / "status")
        if capacity is not None:
            shares.append(capacity / 100)
        if status:
            discharging = bool(discharging) or status == "Discharging"
    return discharging, min(shares) if shares else None


def _throttled(folder: Path) -> bool | None:
    """Say whether a policy caps a core below its own speed: that is what heat does."""
    known = None
    for cpu in _entries(folder):
        limit = _number(cpu / "cpufreq/scaling_max_freq")
        full = _number(cpu / "cpufreq/cpuinfo_max_freq")
        if limit is not None and full:
            known = bool(known) or limit < _SLOW * full
    return known


def _load(path: Path) -> float | None:
    words = _text(path).split()
    try:
        return float(words[0]) / (os.cpu_count() or 1)
    except (IndexError, ValueError):
        return None


def _memory(path: Path) -> int | None:
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "MemAvailable:" and words[1].isdigit():
            return int(words[1]) * 1024
    return None


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> float | None:
    try:
        return float(_text(path))
    except ValueError:
        return None
