"""Finite populations whose true losses are sums, and what thresholds drawn from them do.

For the tests of the guarantee and its benchmark.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgewise.calibrate import certify


@dataclass(frozen=True)
class Population:
    """Rows of equal weight: the edge's confidence, and who was right or how good the answer was."""

    confidence: np.ndarray
    edge: np.ndarray
    cloud: np.ndarray
    loss: str

    def row_losses(self) -> np.ndarray:
        """Give each row's loss if the edge's answer is kept, as the glossary defines it."""
        found = {
            "net": self.cloud - self.edge,
            "regret": np.maximum(self.cloud - self.edge, 0.0),
            "kept_error": 1.0 - self.edge,
            "disagreement": 1.0 - self.edge,
        }
        return np.asarray(found[self.loss])

    def loss_at(self, threshold: float | None) -> float:
        """Give the true loss of keeping what reaches a threshold; `None` keeps nothing."""
        kept = np.zeros(len(self.edge), bool) if threshold is None else self.confidence >= threshold
        if not kept.any():
            return 0.0
        total = float(self.row_losses()[kept].sum())
        return total / (kept.sum() if self.loss == "kept_error" else len(kept))

    def deferral_at(self, threshold: float | None) -> float:
        """Give the share that a threshold defers."""
        return 1.0 if threshold is None else float(np.mean(self.confidence < threshold))

    def walk(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the distinct confidences from the highest down, and the sum of losses above each."""
        order = np.argsort(-self.confidence, kind="stable")
        ranked = self.confidence[order]
        ends = np.append(ranked[1:] != ranked[:-1], True)
        return ranked[ends], np.cumsum(self.row_losses()[order])[ends]

    def lowest(self, alpha: float) -> float | None:
        """Give the lowest threshold whose loss in this population is at most `alpha`."""
        ranked, total = self.walk()
        count = np.full(len(ranked), len(self.confidence))
        if self.loss == "kept_error":
            count = np.searchsorted(np.sort(-self.confidence), -ranked, side="right")
        good = np.flatnonzero(total / count <= alpha)
        return float(ranked[good[-1]]) if len(good) else None

    def draw(self, n: int, rng: np.random.Generator) -> "Population":
        """Give `n` rows drawn with replacement."""
        rows = rng.integers(len(self.edge), size=n)
        return Population(self.confidence[rows], self.edge[rows], self.cloud[rows], self.loss)


@dataclass(frozen=True)
class Tally:
    """What thresholds chosen on many draws did in the population."""

    violations: int
    naive_violations: int
    draws: int
    mean_deferral: float
    mean_naive_deferral: float
    best_deferral: float
    binds: bool
    """Whether some threshold loses more than alpha: else nothing can be violated."""

    @property
    def rate(self) -> float:
        """Give the share of draws whose certified threshold loses more than was promised."""
        return self.violations / self.draws

    @property
    def naive_rate(self) -> float:
        """Give that share for the lowest threshold that looks good on the draw."""
        return self.naive_violations / self.draws


Chooser = Callable[[Population, float, float], float | None]
"""Gives a threshold from a draw, α and δ."""


def certified(seen: Population, alpha: float, delta: float) -> float | None:
    """Choose the threshold that `certify` gives."""
    arrays = (seen.confidence, seen.edge, seen.cloud)
    return certify(*arrays, loss=seen.loss, alpha=alpha, delta=delta).threshold


def tally(
    population: Population,
    *,
    n: int,
    draws: int,
    alpha: float,
    delta: float,
    seed: int,
    choose: Chooser = certified,
) -> Tally:
    """Draw calibration sets, choose a threshold on each, and judge it by the population."""
    rng = np.random.default_rng(seed)
    chosen: list[float | None] = []
    naive: list[float | None] = []
    for _ in range(draws):
        seen = population.draw(n, rng)
        chosen.append(choose(seen, alpha, delta))
        naive.append(seen.lowest(alpha))
    thresholds = np.unique(population.confidence)
    losses = [population.loss_at(t) for t in thresholds[:: max(1, len(thresholds) // 500)]]
    return Tally(
        violations=sum(population.loss_at(t) > alpha for t in chosen),
        naive_violations=sum(population.loss_at(t) > alpha for t in naive),
        draws=draws,
        mean_deferral=float(np.mean([population.deferral_at(t) for t in chosen])),
        mean_naive_deferral=float(np.mean([population.deferral_at(t) for t in naive])),
        best_deferral=population.deferral_at(population.lowest(alpha)),
        binds=max(losses) > alpha,
    )
