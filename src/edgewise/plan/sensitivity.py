"""Which numbers matter: variance-based indices, and what each does by itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgewise.plan.numbers import FloatArray, Numbers
from edgewise.plan.uncertainty import draw_numbers, percentiles
from edgewise.records import Distribution

Outcome = Callable[[Numbers], FloatArray]
"""From numbers, of which some are arrays of one length, to an array of that length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Indices:
    """Sobol's indices of one number, each in 0..1 but for the noise of the draws."""

    first_order: float
    total: float


def sobol(
    outcome: Outcome,
    numbers: Mapping[str, float],
    uncertain: Mapping[str, Distribution],
    *,
    draws: int,
    seed: int,
) -> dict[str, Indices]:
    """Give the first-order and the total index of each uncertain number.

    Notes
    -----
    Source: Saltelli, Annoni, Azzini, Campolongo, Ratto and Tarantola, Variance based sensitivity
    analysis of model output, 2010: first order by table 2 (b), total by Jansen's estimator (f).
    Costs (k + 2) × draws evaluations for k numbers. Assumes that the numbers are independent.
    """
    first = draw_numbers(numbers, uncertain, draws, seed, stream=1)
    second = draw_numbers(numbers, uncertain, draws, seed, stream=2)
    at_first, at_second = outcome(first), outcome(second)
    centre = np.concatenate((at_first, at_second)).mean()
    variance = float(np.concatenate((at_first, at_second)).var())
    found = {}
    for name in uncertain:
        mixed = outcome({**first, name: second[name]})
        if variance > 0:
            alone = float(((at_second - centre) * (mixed - at_first)).mean()) / variance
            together = float(((at_first - mixed) ** 2).mean()) / 2 / variance
        else:
            alone = together = 0.0
        found[name] = Indices(first_order=alone, total=together)
    return found


def swing(
    outcome: Outcome, numbers: Mapping[str, float], name: str, one: Distribution
) -> tuple[float, float]:
    """Give the outcome with one number at its 5th and its 95th percentile, all else central."""
    ends = np.asarray(percentiles(name, one))
    low, high = outcome({**numbers, name: ends})
    return float(low), float(high)
