"""What an answer's confidence is read off: its probabilities by one number, or a learned score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from edgewise.errors import InvalidRecord

_LEAST = 1e-6


class Score(Enum):
    """The number that is mapped to confidence; each is higher where the model is surer."""

    TOP = "top"
    """The top probability."""
    MARGIN = "margin"
    """The top probability minus the second."""
    ENTROPY = "entropy"
    """1 minus the entropy over its most, log of the number of labels."""
    ENERGY = "energy"
    """Log-sum-exp of the logits (Liu et al. 2020); needs a model that gives logits."""
    LEARNED = "learned"
    """A `LearnedScore`."""


def margin(probabilities: Sequence[float]) -> float:
    """Give the top probability minus the second; of one label, the top."""
    first = second = 0.0
    for p in probabilities:
        if p > first:
            first, second = p, first
        elif p > second:
            second = p
    return first - second


def certainty(probabilities: Sequence[float]) -> float:
    """Give 1 minus the entropy over its most; of one label, 1."""
    if len(probabilities) < 2:
        return 1.0
    entropy = -sum(p * math.log(p) for p in probabilities if p > 0.0)
    return 1.0 - entropy / math.log(len(probabilities))


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedScore:
    """Logistic regressions on top probability, label and more. Made by `calibrate.fit_score`.

    One tells the chance that the edge is right; a second one, where the cloud's answers were
    known, the cloud's. The score is then (1 + edge's - cloud's) / 2: what keeping the answer is
    worth against sending it. Without it the score is the edge's chance.
    """

    knots: tuple[float, ...]
    """Log-odds of the top probability at which a label's line may bend."""
    edge: tuple[tuple[float, ...], ...]
    """Of each label: weights of 1, the log-odds, and the part of it above each knot."""
    cloud: tuple[tuple[float, ...], ...] = ()
    edge_more: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Weights of the margin, of 1 - relative entropy, and of log(1 + input length)."""
    cloud_more: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        width = len(self.knots) + 2
        for rows in (self.edge, self.cloud):
            if any(len(row) != width for row in rows) or len(rows) not in (0, len(self.edge)):
                what = f"weights do not fit {len(self.knots)} knots and {len(self.edge)} labels"
                raise InvalidRecord(what, where="LearnedScore", hint="fit it anew")

    def value(self, top: float, label: int, more: tuple[float, float, float]) -> float:
        """Give the score, 0 to 1, of an answer.

        Parameters
        ----------
        top
            The model's confidence in its answer, 0 to 1.
        label
            The number of the label that it gave.
        more
            The margin, 1 - relative entropy, and log(1 + input length).
        """
        odds = log_odds(top)
        right = self._chance(self.edge[label], odds, self.edge_more, more)
        if not self.cloud:
            return right
        return (1.0 + right - self._chance(self.cloud[label], odds, self.cloud_more, more)) / 2.0

    def _chance(
        self,
        weights: tuple[float, ...],
        odds: float,
        more_weights: tuple[float, float, float],
        more: tuple[float, float, float],
    ) -> float:
        total = weights[0] + weights[1] * odds
        for weight, knot in zip(weights[2:], self.knots, strict=True):
            if odds > knot:
                total += weight * (odds - knot)
        for weight, value in zip(more_weights, more, strict=True):
            total += weight * value
        return 1.0 / (1.0 + math.exp(-min(max(total, -30.0), 30.0)))


def log_odds(share: float) -> float:
    """Give log(p / (1 - p)), p held a millionth away from 0 and 1."""
    held = min(max(share, _LEAST), 1.0 - _LEAST)
    return math.log(held / (1.0 - held))
