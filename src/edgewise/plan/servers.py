"""How many servers a load needs, so that few requests wait long (Erlang C)."""

import math

import numpy as np
from numpy.typing import ArrayLike

from edgewise.plan.numbers import FloatArray

_TABLE = 128
LATE_SHARE = 0.05
"""Of the requests, that may wait longer than one service takes."""


class Staffing:
    """Gives the least servers at which at most 5 % wait longer than one service takes.

    Parameters
    ----------
    arrival_cv2
        Squared coefficient of variation of the gaps between requests; 1 is Poisson, where the
        formula is exact for exponential services. Waits are taken to grow by (cv2 + 1) / 2.

    Notes
    -----
    Source: Allen, Probability, Statistics and Queueing Theory, 1990 (the Allen–Cunneen
    approximation). Above 128 servers every request is taken to wait, which is nearly so there and
    never too few servers: the reserve is then the same for any load.
    """

    def __init__(self, arrival_cv2: float = 1.0) -> None:
        self._pace = 2.0 / (arrival_cv2 + 1.0)
        self._most = self._largest_loads()

    def servers(self, load: ArrayLike) -> FloatArray:
        """Give the servers for each load, in requests a second times seconds of one service."""
        loads = np.asarray(load, dtype=float)
        few = np.searchsorted(self._most, loads, side="left") + 1.0
        many = np.ceil(loads + math.log(1 / LATE_SHARE) / self._pace)
        return np.where(loads <= self._most[-1], np.where(loads > 0, few, 0.0), many)

    def _largest_loads(self) -> FloatArray:
        """Give the largest load that 1, 2, … servers take, by halving."""
        count = np.arange(1.0, _TABLE + 1)
        low, high = np.zeros(_TABLE), count.copy()
        for _ in range(40):
            load = (low + high) / 2
            fits = self._late(count, load) <= LATE_SHARE
            low, high = np.where(fits, load, low), np.where(fits, high, load)
        return low

    def _late(self, count: FloatArray, load: FloatArray) -> FloatArray:
        blocked, at_count = np.ones_like(load), np.ones_like(load)
        for k in range(1, _TABLE + 1):
            blocked = load * blocked / (k + load * blocked)
            at_count[k - 1] = blocked[k - 1]
        waiting = at_count / (1 - load / count * (1 - at_count))
        return waiting * np.exp(-(count - load) * self._pace)
