"""Draws of every uncertain number, and what they say of each option."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from edgewise.errors import UsageError
from edgewise.plan.cost import CostModel
from edgewise.plan.numbers import FloatArray, Numbers
from edgewise.records import NUMBERS, Distribution, Shape, Spread

_Z95 = 1.6448536269514722
_FEWEST, _MOST = 100, 1_000_000


def check_draws(draws: int) -> None:
    """Refuse a number of draws that says nothing or fits no memory.

    Raises
    ------
    UsageError
        When it is not within 100..1,000,000.
    """
    if not _FEWEST <= draws <= _MOST:
        hint = f"give {_FEWEST} to {_MOST:,}"
        raise UsageError(f"not a number of draws: {draws}", where="draws", hint=hint)


def sample(name: str, one: Distribution, draws: int, seed: int, stream: int = 0) -> FloatArray:
    """Draw a number's values; each name has draws of its own, whatever else is drawn.

    A triangular one is drawn between its ends; two numbers are taken for the 5th and the 95th
    percentile of a lognormal, or of a normal where one of them is not above 0. What would lie where
    the number cannot be, such as a price below 0, is moved to the nearest place where it can.
    """
    rng = np.random.default_rng([seed, stream, zlib.crc32(name.encode())])
    if one.mode is not None:
        flat = one.low == one.high
        values = (
            np.full(draws, one.low) if flat else rng.triangular(one.low, one.mode, one.high, draws)
        )
    elif one.shape is Shape.LOGNORMAL:
        width = (np.log(one.high) - np.log(one.low)) / 2 / _Z95
        values = np.exp(np.log(one.centre) + width * rng.standard_normal(draws))
    else:
        values = one.centre + (one.high - one.low) / 2 / _Z95 * rng.standard_normal(draws)
    limits = NUMBERS[name]
    return np.clip(values, limits.least, limits.most)


def percentiles(name: str, one: Distribution) -> tuple[float, float]:
    """Give a number's 5th and 95th percentile."""
    low, high = one.low, one.high
    if one.mode is not None and low < high:
        peak = (one.mode - low) / (high - low)
        rise, fall = (one.mode - low) * (high - low), (high - one.mode) * (high - low)
        low, high = (
            low + (0.05 * rise) ** 0.5 if peak >= 0.05 else high - (0.95 * fall) ** 0.5,
            high - (0.05 * fall) ** 0.5 if peak <= 0.95 else low + (0.95 * rise) ** 0.5,
        )
    limits = NUMBERS[name]
    return min(max(low, limits.least), limits.most), min(max(high, limits.least), limits.most)


def draw_numbers(
    numbers: Mapping[str, float],
    uncertain: Mapping[str, Distribution],
    draws: int,
    seed: int,
    stream: int = 0,
) -> Numbers:
    """Give the numbers with an array of draws for each uncertain one."""
    drawn = {name: sample(name, one, draws, seed, stream) for name, one in uncertain.items()}
    return {**numbers, **drawn}


def costs_of(model: CostModel, options: Sequence[str], numbers: Numbers, draws: int) -> FloatArray:
    """Give the monthly cost of each option, shape (options, draws)."""
    rows = [np.broadcast_to(model.monthly(option, numbers), draws) for option in options]
    return np.stack(rows).astype(float)


def spreads(options: Sequence[str], costs: FloatArray) -> tuple[Spread, ...]:
    """Give, for each option, how often it is cheapest, its interval, and what choosing it regrets.

    Draws in which two are equally cheap count for the first of them.

    Parameters
    ----------
    costs : shape (options, draws)
    """
    least = costs.min(axis=0)
    wins = np.bincount(costs.argmin(axis=0), minlength=len(options)) / costs.shape[1]
    regret = costs - least
    p5, p50, p95 = np.quantile(costs, [0.05, 0.5, 0.95], axis=1)
    late = np.quantile(regret, 0.95, axis=1)
    return tuple(
        Spread(
            option=option,
            cheapest_share=float(wins[i]),
            mean_usd=float(costs[i].mean()),
            p5_usd=float(p5[i]),
            p50_usd=float(p50[i]),
            p95_usd=float(p95[i]),
            mean_regret_usd=float(regret[i].mean()),
            p95_regret_usd=float(late[i]),
        )
        for i, option in enumerate(options)
    )
