"""Scales: from values to places on an axis, and the values that are worth a tick."""

import math
from collections.abc import Iterator, Sequence

_ROUNDING = 1e-12
"""Of the largest value: what differs by less is one value."""


class Scale:
    """Maps values to places between two ends. Made by a chart.

    Parameters
    ----------
    pad
        Units of the drawing that stay free at both ends.
    """

    def __init__(
        self, values: Sequence[float], ends: tuple[float, float], *, log: bool, pad: float
    ) -> None:
        self.log, self.ends = log, ends
        low, high = self._of(min(values)), self._of(max(values))
        noise = _ROUNDING * max(abs(low), abs(high))
        if high - low <= noise:
            room = max(math.log10(2) if log else 0.5, noise)
            low, high = low - room, high + room
        span = abs(ends[1] - ends[0])
        more = (high - low) * pad / (span - 2 * pad)
        self._low, self._high = low - more, high + more

    def _of(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value

    def at(self, value: float) -> float:
        """Give the place of a value."""
        share = (self._of(value) - self._low) / (self._high - self._low)
        return self.ends[0] + share * (self.ends[1] - self.ends[0])

    def tick_sets(self) -> Iterator[list[float]]:
        """Give sets of round values, the finest first and an empty one last."""
        yield from self._powers() if self.log else self._steps()
        yield []

    def _powers(self) -> Iterator[list[float]]:
        low, high = self._low - 1e-9, self._high + 1e-9
        powers = range(math.ceil(low), math.floor(high) + 1)
        if len(powers) <= 2:
            around = range(math.floor(low), math.ceil(high) + 1)
            for factors in ((1, 2, 5), (1, 3)):
                found = [m * 10.0**power for power in around for m in factors]
                yield [one for one in found if low <= math.log10(one) <= high]
        step = max(1, (len(powers) - 1) // 5)
        for more in (1, 2, 3):
            yield [10.0**power for power in powers[:: step * more]]

    def _steps(self) -> Iterator[list[float]]:
        for count in (5, 4, 3, 2, 1):
            rough = (self._high - self._low) / count
            size = 10 ** math.floor(math.log10(rough))
            step = next((size * m for m in (1, 2, 5) if size * m >= rough), size * 10)
            first, last = math.ceil(self._low / step), math.floor(self._high / step)
            if first <= last:
                yield [round(step * k, 10) for k in range(first, last + 1)]
