"""Tests of a loss at thresholds: which one is used, what passes it, and the limit it gives.

Which test is fixed by the kind of data before any of it is seen:

| data | test |
| --- | --- |
| answers right or wrong, `net` | exact paired |
| answers right or wrong, another loss | exact binomial |
| graded answers (0 to 1), or clusters | betting |

Exact tests are the tightest there are where they hold. Of graded losses a betting test follows the
variance, which Hoeffding–Bentkus does not; it is as tight at small n, where both come down to
"no loss was seen". Hoeffding–Bentkus is there to be asked for, and needs no order of examples.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import numpy as np

from edgewise.calibrate.bentkus import HoeffdingBentkus
from edgewise.calibrate.betting import Stakes, passes, stakes_of, upper_limit
from edgewise.calibrate.binomial import Binomial
from edgewise.calibrate.measured import Measured, Sequence
from edgewise.calibrate.paired import PairedTest
from edgewise.errors import UsageError
from edgewise.records import Loss

_LEVELS = 200
_FIRST_STRETCH = 64


class Method(Enum):
    """How a loss is tested."""

    AUTO = "auto"
    EXACT = "exact"
    BETTING = "betting"
    HOEFFDING_BENTKUS = "hoeffding_bentkus"


PValue = Callable[[float, int, int, float], float]
"""From the sum of losses, the count of losses that are not zero, the count kept, and α."""


class LossTest(Protocol):
    """Tests the loss at the thresholds of one sequence at one level. Made by `test_for`."""

    @property
    def words(self) -> str:
        """How it tests, for the certificate."""
        ...

    def first_failing(self, first: int, alpha: float) -> int:
        """Give the place of the first threshold that fails, from `first` on; the end if none."""
        ...

    def upper_limit(self, at: int, most: float = 1.0) -> float:
        """Give the upper confidence limit of the loss at a threshold, no higher than `most`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsTest:
    """P-values from sums. They rise with the first two counts and fall with the third.

    So where even the worst counts of a stretch pass, each of its thresholds does, and the tests
    between need not be run.
    """

    sequence: Sequence
    p_value: PValue
    delta: float
    words: str

    def first_failing(self, first: int, alpha: float) -> int:
        """Halve a stretch that does not pass as one."""
        sequence, size = self.sequence, len(self.sequence.thresholds)
        start, length = first, size - first
        while start < size:
            stop = min(start + length, size)
            total = float(sequence.total[start:stop].max())
            # Both counts never fall along the sequence.
            worst = (total, int(sequence.nonzero[stop - 1]), int(sequence.kept[start]))
            if self.p_value(*worst, alpha) <= self.delta:
                start, length = stop, 2 * length
            elif stop - start == 1:
                break
            else:
                length = (stop - start) // 2
        return start

    def upper_limit(self, at: int, most: float = 1.0) -> float:
        """Give the smallest level that is still rejected, to 1e-6."""
        sequence = self.sequence
        sums = (float(sequence.total[at]), int(sequence.nonzero[at]), int(sequence.kept[at]))
        low, high = 0.0, most
        while high - low > 1e-6:
            middle = (low + high) / 2
            rejected = self.p_value(*sums, middle) <= self.delta
            low, high = (low, middle) if rejected else (middle, high)
        return high


@dataclass(frozen=True, slots=True, kw_only=True)
class BettingTest:
    """Wealth at each threshold, worked out for a stretch of them at once."""

    stakes: Stakes
    size: int
    delta: float
    words: str = "betting test"

    def first_failing(self, first: int, alpha: float) -> int:
        """Test longer and longer stretches, every threshold of them."""
        start, length = first, _FIRST_STRETCH
        while start < self.size:
            stop = min(start + length, self.size)
            rejected = passes(self.stakes, range(start, stop), alpha, self.delta)
            if not rejected.all():
                return start + int(np.argmin(rejected))
            start, length = stop, 4 * length
        return start

    def upper_limit(self, at: int, most: float = 1.0) -> float:
        """Go down through levels that lie evenly between `most` and nothing."""
        levels = most * np.arange(_LEVELS, 0, -1) / _LEVELS
        return min(most, upper_limit(self.stakes, at, np.minimum(levels, 0.999), self.delta))


def choose(method: Method, loss: Loss, data: Measured) -> Method:
    """Give the test for a kind of data, or see that the one asked for is valid for it.

    Raises
    ------
    UsageError
        When it is not.
    """
    plain = not data.graded and data.clusters is None
    if method is Method.AUTO:
        return Method.EXACT if plain else Method.BETTING
    why = ""
    if method is Method.EXACT and not plain:
        why = "is for answers that are right or wrong, and independent"
    if method is Method.HOEFFDING_BENTKUS and loss is Loss.NET:
        why = "is for losses from 0 to 1, and `net` goes below 0"
    if method is Method.HOEFFDING_BENTKUS and loss is Loss.KEPT_ERROR and data.clusters is not None:
        why = "knows no mean among the kept of clusters"
    if why:
        hint = "leave it to `auto`, or take `betting`, which always holds"
        raise UsageError(f"`{method.value}` {why}", where="method", hint=hint)
    return method


def test_for(
    method: Method, data: Measured, sequence: Sequence, loss: Loss, delta: float
) -> LossTest:
    """Make the test of a loss at level `delta`; `method` is one that `choose` gave."""
    among_kept = loss is Loss.KEPT_ERROR
    if method is Method.BETTING:
        stakes = stakes_of(sequence.step, data.losses(loss), data.clusters, kept=among_kept)
        words = f"betting test{_of(data)}"
        size = len(sequence.thresholds)
        return BettingTest(stakes=stakes, size=size, delta=delta, words=words)
    if method is Method.HOEFFDING_BENTKUS:
        words = f"Hoeffding-Bentkus test{_of(data)}"
        return CountsTest(
            sequence=_by_cluster(sequence, data, loss),
            p_value=_hoeffding_bentkus(data.units, among_kept=among_kept),
            delta=delta,
            words=words,
        )
    if loss is Loss.NET:
        paired = PairedTest(data.units, delta)
        words = "exact paired test with a Berger-Boos nuisance bound"
        return CountsTest(
            sequence=sequence,
            p_value=lambda total, nonzero, _, alpha: paired.p_value(round(total), nonzero, alpha),
            delta=delta,
            words=words,
        )
    words = "exact binomial test given the number kept" if among_kept else "exact binomial test"
    p_value = _binomial(data.units, among_kept=among_kept)
    return CountsTest(sequence=sequence, p_value=p_value, delta=delta, words=words)


def _of(data: Measured) -> str:
    return "" if data.clusters is None else f" of {data.units} clusters' means"


def _binomial(n: int, *, among_kept: bool) -> PValue:
    if among_kept:
        return lambda total, _, kept, alpha: Binomial(kept).cdf(round(total), alpha)
    whole = Binomial(n)
    return lambda total, _, __, alpha: whole.cdf(round(total), alpha)


def _hoeffding_bentkus(n: int, *, among_kept: bool) -> PValue:
    if among_kept:
        return lambda total, _, kept, alpha: HoeffdingBentkus(kept).p_value(total, alpha)
    whole = HoeffdingBentkus(n)
    return lambda total, _, __, alpha: whole.p_value(total, alpha)


def _by_cluster(sequence: Sequence, data: Measured, loss: Loss) -> Sequence:
    """Give the sums of clusters' means in the place of the sums of examples."""
    if data.clusters is None:
        return sequence
    parts = data.losses(loss) / np.bincount(data.clusters)[data.clusters]
    total = np.cumsum(np.bincount(sequence.step, parts, len(sequence.thresholds)))
    return replace(sequence, total=total.astype(float))


def bets_win(units: int, alpha: float, delta: float) -> bool:
    """Say whether a betting test of so many units passes, none of them a loss."""
    stakes = stakes_of(np.zeros(units, dtype=np.int64), np.zeros(units), None, kept=False)
    return bool(passes(stakes, range(1), alpha, delta)[0])


def bets_begin(
    data: Measured, sequence: Sequence, alpha: float, delta: float, *, errors: int
) -> int:
    """Give the first threshold whose kept ones win a bet; the end where none does.

    What wins is asked of answers that are made up, all right but so many of the surest, with the
    confidences and the clusters as they are: of a large cluster a few that are kept win little.
    """
    lost = np.zeros(len(data.confidence))
    lost[np.argsort(-data.confidence, kind="stable")[:errors]] = 1.0
    stakes = stakes_of(sequence.step, lost, data.clusters, kept=True)
    low, high = 0, len(sequence.thresholds)
    while low < high:
        middle = (low + high) // 2
        if passes(stakes, range(middle, middle + 1), alpha, delta)[0]:
            high = middle
        else:
            low = middle + 1
    return low
