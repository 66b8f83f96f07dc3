"""Servers behind one line, first come, first served: when each request's service begins.

Requests come in blocks, in order of time, those of one moment in file order. Times in seconds.
"""

from heapq import heapreplace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Station(Protocol):
    """Gives service. Blocks come in order; one thread."""

    def begin(self, arrivals_s: Floats, service_s: Floats, devices: Integers | None) -> Floats:
        """Give when each request's service begins.

        Parameters
        ----------
        devices
            Which device each is at, where they have servers of their own.
        """
        ...


class Unlimited:
    """As many servers as are needed."""

    def begin(self, arrivals_s: Floats, service_s: Floats, devices: Integers | None) -> Floats:
        """Begin at once."""
        del service_s, devices
        return arrivals_s


class OneServer:
    """One server."""

    def __init__(self) -> None:
        self._free_s = -np.inf

    def begin(self, arrivals_s: Floats, service_s: Floats, devices: Integers | None) -> Floats:
        """Begin when the one before has ended."""
        del devices
        free_s = float(self._free_s)
        begins = []
        for arrival_s, takes_s in zip(arrivals_s.tolist(), service_s.tolist(), strict=True):
            if arrival_s > free_s:  # noqa: PLR1730 - max() takes four times as long
                free_s = arrival_s
            begins.append(free_s)
            free_s += takes_s
        self._free_s = free_s
        return np.array(begins)


class ManyServers:
    """Some servers behind one line."""

    def __init__(self, servers: int) -> None:
        self._free_s = [-np.inf] * servers

    def begin(self, arrivals_s: Floats, service_s: Floats, devices: Integers | None) -> Floats:
        """Begin when the first server is free."""
        del devices
        free_s, replace = self._free_s, heapreplace
        begins = []
        for arrival_s, takes_s in zip(arrivals_s.tolist(), service_s.tolist(), strict=True):
            begin_s = free_s[0]
            if arrival_s > begin_s:  # noqa: PLR1730 - max() takes four times as long
                begin_s = arrival_s
            replace(free_s, begin_s + takes_s)
            begins.append(begin_s)
        return np.array(begins)


class EachDevice:
    """Servers that each device has for itself. Memory follows the number of devices."""

    def __init__(self, servers: int) -> None:
        self._servers = servers
        self._free_s: dict[int, list[float]] = {}
        self._work_s = np.zeros(0)
        self._served = np.zeros(0)

    @property
    def busiest_s(self) -> float:
        """Give a server's work at the busiest device, but for the last request's."""
        return (
            float((self._work_s * (1.0 - 1.0 / np.maximum(self._served, 1.0))).max())
            / self._servers
        )

    @property
    def devices(self) -> int:
        """Give how many devices were seen."""
        return len(self._free_s)

    @property
    def servers(self) -> int:
        """Give how many servers the devices seen have together."""
        return self._servers * len(self._free_s)

    def begin(self, arrivals_s: Floats, service_s: Floats, devices: Integers | None) -> Floats:
        """Begin when the device's first server is free."""
        assert devices is not None
        begins = []
        rows = zip(devices.tolist(), arrivals_s.tolist(), service_s.tolist(), strict=True)
        for device, arrival_s, takes_s in rows:
            free_s = self._free_s.get(device)
            if free_s is None:
                free_s = self._free_s[device] = [-np.inf] * self._servers
            begin_s = max(arrival_s, free_s[0])
            heapreplace(free_s, begin_s + takes_s)
            begins.append(begin_s)
        self._work_s = _summed(self._work_s, devices, service_s)
        self._served = _summed(self._served, devices, np.ones(len(devices)))
        return np.array(begins)


def _summed(sums: Floats, devices: Integers, values: Floats) -> Floats:
    found = np.bincount(devices, values, len(sums)).astype(np.float64)
    found[: len(sums)] += sums
    return found


def station_of(servers: int | None, *, each_device: bool = False) -> Station:
    """Give a station with so many servers; `None` is as many as are needed.

    Parameters
    ----------
    each_device
        Each device has the servers for itself: one, where no number is given.
    """
    if each_device:
        return EachDevice(servers or 1)
    if servers is None:
        return Unlimited()
    return OneServer() if servers == 1 else ManyServers(servers)
