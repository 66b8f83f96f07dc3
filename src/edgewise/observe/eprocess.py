"""A bet against a mean, that may be looked at after every request: evidence that never expires.

What is tested: H0, the mean loss of a request is at most α, whatever came before it. The loss of
request i is estimated without bias by X_i: the loss over s where it was audited, which had the
chance s; 0 where it was not audited, or not kept, since a deferred request loses nothing. So
E[X_i | past] is the risk itself, over all requests: no share of kept ones need be known.

A stake λ turns wealth W into W (1 + λ (X - α)). With 0 ≤ λ ≤ 1 / (α - least X) it is never
negative, and under H0 it can't grow on average: it is a supermartingale, and by Ville's inequality
(1939) the chance that it ever reaches 1/δ is at most δ, however often one looks and whenever one
stops. Source: Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting
(2024); Shafer, Testing by betting (2021).

The stakes are fixed beforehand, so they depend on nothing: wealth is split evenly over several,
each the best one for another size of the loss, and the mean of supermartingales is one. A run of
k requests without loss costs a factor (1 - λ α)^k, so an unaudited request costs one addition.

A loss that comes late would meet wealth that a long good time has used up. So the wealth is also
split over starts: the k-th bettor gets 1 / (k (k + 1)) of it, waits with it in hand, and begins
k - 1 epochs later. Their sum is a supermartingale still, and a change after K epochs meets a bettor
whose handicap is log K (K + 1), not K epochs of losses.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidData, InvalidRecord, UsageError

Floats = NDArray[np.float64]

_MULTIPLES = (1.3, 1.7, 2.2, 3.0, 4.5, 7.0, 12.0, 25.0)
"""Of α: losses for which a stake is the best one, where none is below 0."""
_FRACTIONS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6)
"""Of the highest stake allowed, where losses may be below 0."""
_MOST_BETTORS = 40
_EPOCH_AUDITED = 100.0
_CAP = 690.0


@dataclass(slots=True)
class EProcess:
    """Wealth of a bet that the mean loss is above α. Made and fed by the auditor.

    Not for several threads at once. The same numbers in the same order give the same wealth.

    Parameters
    ----------
    alpha
        The mean that is doubted, above 0 and below 1.
    share
        The chance s with which a kept request is audited.
    signed
        Whether a loss may be as low as -1; else none is below 0.
    """

    alpha: float
    share: float
    signed: bool = False
    units: int = 0
    """Requests so far."""
    _epochs: int = 0
    _left: int = 0
    """Requests until the next bettor begins."""
    _logs: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """Of the bettors that have begun, by stake: the log of what 1 became."""
    _handicaps: Floats = field(default_factory=lambda: np.zeros(0))
    _stakes: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if not (0.0 < self.alpha < 1.0 and 0.0 < self.share <= 1.0):
            what = f"alpha is {self.alpha} and share is {self.share}"
            hint = "give alpha between 0 and 1, and a share above 0 and at most 1"
            raise UsageError(what, where="EProcess", hint=hint)
        self._stakes = _stakes(self.alpha, self.share, signed=self.signed)
        self._logs = np.zeros((0, len(self._stakes)))
        self._begin()

    @property
    def e_value(self) -> float:
        """Give the evidence against H0: 1 at first; from 1/δ on H0 is refuted at level δ."""
        waiting = 1.0 / (self._epochs + 1)
        if not len(self._handicaps):
            return waiting
        logs = self._logs + self._handicaps[:, None] - math.log(len(self._stakes))
        most = max(float(logs.max()), 0.0)
        total = float(np.exp(logs - most).sum()) + waiting * math.exp(-most)
        return math.exp(min(most + math.log(total), _CAP))

    def skip(self, count: int) -> None:
        """Count requests that lost nothing or were not audited."""
        while count > 0:
            step = min(count, self._left)
            self._logs += step * np.log1p(-self._stakes * self.alpha)
            self._pass(step)
            count -= step

    def add(self, loss: float) -> None:
        """Count one audited request and what it lost: 0 to 1, or from -1 on where signed.

        Raises
        ------
        InvalidData
            When it is outside of that.
        """
        if not (-1.0 if self.signed else 0.0) <= loss <= 1.0:
            what, hint = f"a loss of {loss}", "give 0 to 1, or from -1 on for `net`"
            raise InvalidData(what, where="loss", hint=hint)
        gain = 1.0 + self._stakes * (loss / self.share - self.alpha)
        self._logs += np.log(np.maximum(gain, 1e-300))
        self._pass(1)

    def saved(self) -> dict[str, object]:
        """Give all of it as what JSON can hold."""
        return {
            "alpha": self.alpha,
            "share": self.share,
            "signed": self.signed,
            "units": self.units,
            "epochs": self._epochs,
            "left": self._left,
            "logs": self._logs.tolist(),
            "handicaps": self._handicaps.tolist(),
        }

    @classmethod
    def restored(cls, saved: object) -> "EProcess":
        """Give the one that was saved.

        Raises
        ------
        InvalidRecord
            When it is not one.
        """
        try:
            body = dict(saved)  # type: ignore[call-overload]
            made = cls(
                alpha=float(body["alpha"]), share=float(body["share"]), signed=bool(body["signed"])
            )
            made.units = int(body["units"])
            made._epochs, made._left = int(body["epochs"]), int(body["left"])
            made._handicaps = np.asarray(body["handicaps"], dtype=float).reshape(-1)
            shape = (len(made._handicaps), len(made._stakes))
            made._logs = np.asarray(body["logs"], dtype=float).reshape(shape)
            if made._left < 1 or np.isnan(made._logs).any():
                raise ValueError("it says nothing")
        except (KeyError, TypeError, ValueError, UsageError) as strange:
            what = f"no state of a test: {type(strange).__name__}"
            raise InvalidRecord(what, where="EProcess", hint="begin another file") from strange
        return made

    def _pass(self, count: int) -> None:
        self.units += count
        self._left -= count
        if self._left == 0:
            self._begin()

    def _begin(self) -> None:
        """Let the next bettor begin; the poorest goes where there are many: that lowers the sum."""
        self._epochs += 1
        self._left = max(1, round(_EPOCH_AUDITED / self.share))
        handicap = -math.log(self._epochs * (self._epochs + 1.0))
        self._handicaps = np.append(self._handicaps, handicap)
        self._logs = np.vstack([self._logs, np.zeros((1, len(self._stakes)))])
        if len(self._handicaps) > _MOST_BETTORS:
            worth = self._logs.max(axis=1) + self._handicaps
            poorest = int(np.argmin(worth[:-1]))
            self._handicaps = np.delete(self._handicaps, poorest)
            self._logs = np.delete(self._logs, poorest, axis=0)


def _stakes(alpha: float, share: float, *, signed: bool) -> Floats:
    if signed:
        return np.asarray(_FRACTIONS) / (1.0 / share + alpha)
    # The best stake where the loss is 1/s with probability q = s ρ α, else 0.
    most = 0.999 / (share * alpha)
    multiples = np.unique(np.minimum(np.asarray(_MULTIPLES), most))
    multiples = multiples[multiples > 1.0]
    if not len(multiples):
        return np.asarray([0.5 / alpha])
    return np.asarray(share * (multiples - 1.0) / (1.0 - share * alpha), dtype=float)
