"""Numbers gathered in any count, whose quantiles are exact: in memory first, then in a file.

Memory stays flat: past a bound the numbers lie in a nameless file, 8 bytes each, and an order
statistic is found by counting the bits of the numbers, 16 at a time, in four passes.
"""

import math
import tempfile
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import StorageError

Floats = NDArray[np.float64]

_IN_MEMORY = 1_000_000
_AT_ONCE = 262_144
_DIGITS = 65_536


class Sample:
    """Non-negative numbers, added in blocks. Made and closed by a simulation; a context manager.

    Parameters
    ----------
    in_memory
        Most numbers that are kept in memory.

    Raises
    ------
    StorageError
        When the file can't be written.
    """

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        self.n = 0
        self.total = 0.0
        self._in_memory = in_memory
        self._blocks: list[Floats] = []
        self._held = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> "Sample":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the numbers and the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._blocks.clear()

    @property
    def mean(self) -> float:
        """Give the mean; 0 of none."""
        return self.total / self.n if self.n else 0.0

    def add(self, values: Floats) -> None:
        """Add numbers."""
        if not len(values):
            return
        self.n += len(values)
        self.total += float(values.sum())
        self._blocks.append(values + 0.0)  # a copy, and no negative zero
        self._held += len(values)
        if self._held > self._in_memory:
            self._spill()

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Give quantiles by linear interpolation between order statistics.

        There has to be a number.
        """
        places = [(self.n - 1) * share for share in shares]
        ranks = sorted({rank for at in places for rank in (math.floor(at), math.ceil(at))})
        if self._file is None:
            found = _order_statistics(np.concatenate(self._blocks), ranks)
        else:
            self._spill()
            found = self._select(ranks)
        return [_between(found[math.floor(at)], found[math.ceil(at)], at % 1.0) for at in places]

    def _spill(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
            self._file.seek(0, 2)
            for block in self._blocks:
                self._file.write(block.tobytes())
            self._file.flush()
        except OSError as failure:
            what = f"no space for the simulation's numbers: {failure.strerror or failure}"
            where, hint = tempfile.gettempdir(), "free some space there, or set TMPDIR"
            raise StorageError(what, where=where, hint=hint) from failure
        self._blocks.clear()
        self._held = 0

    def _keys(self) -> Iterator[NDArray[np.uint64]]:
        """Give the numbers as integers in the same order, block by block."""
        assert self._file is not None
        self._file.seek(0)
        while block := self._file.read(8 * _AT_ONCE):
            yield np.frombuffer(block, dtype=np.uint64)

    def _select(self, ranks: Sequence[int]) -> dict[int, float]:
        """Find order statistics: in each pass 16 more bits of each are known."""
        known = {rank: (0, rank) for rank in ranks}
        for shift in (48, 32, 16, 0):
            counts = {prefix: np.zeros(_DIGITS, dtype=np.int64) for prefix, _ in known.values()}
            for keys in self._keys():
                digits = keys >> np.uint64(shift)
                for prefix, count in counts.items():
                    chosen = digits
                    if shift < 48:
                        chosen = digits[(digits >> np.uint64(16)) == np.uint64(prefix)]
                    low = (chosen & np.uint64(_DIGITS - 1)).astype(np.int64)
                    np.add(count, np.bincount(low, minlength=_DIGITS), out=count)
            for rank, (prefix, left) in known.items():
                up_to = np.cumsum(counts[prefix])
                digit = int(np.searchsorted(up_to, left, side="right"))
                before = int(up_to[digit - 1]) if digit else 0
                known[rank] = ((prefix << 16) | digit, left - before)
        keys = np.array([prefix for prefix, _ in known.values()], dtype=np.uint64)
        return dict(zip(known, keys.view(np.float64).tolist(), strict=True))


def _order_statistics(values: Floats, ranks: Sequence[int]) -> dict[int, float]:
    """Give order statistics by their ranks: only what shares its first bits with one is sorted.

    `partition` takes some times as long where many are equal, as waits of nothing are.
    """
    digits = (values.view(np.uint64) >> np.uint64(48)).view(np.int64)
    ends = np.cumsum(np.bincount(digits))
    found, alike, begins = {}, values[:0], 0
    for rank in ranks:
        if not begins <= rank < begins + len(alike):
            digit = int(np.searchsorted(ends, rank, side="right"))
            alike = np.sort(values[digits == digit])
            begins = int(ends[digit]) - len(alike)
        found[rank] = float(alike[rank - begins])
    return found


def _between(low: float, high: float, share: float) -> float:
    return low if share == 0.0 or low == high else low + (high - low) * share
