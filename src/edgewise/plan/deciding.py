"""How sure the choice is: draws, tornado, indices and the worth of measuring first."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgewise.plan.cost import CostModel
from edgewise.plan.evidence import Evidence
from edgewise.plan.information import worth_of_all, worth_of_one
from edgewise.plan.numbers import DEFERRAL, FloatArray, Numbers
from edgewise.plan.sensitivity import sobol, swing
from edgewise.plan.uncertainty import (
    check_draws,
    costs_of,
    draw_numbers,
    percentiles,
    sample,
    spreads,
)
from edgewise.plan.volume import crossing_spread
from edgewise.records import Certainty, Distribution, Shape, Spread, Swing
from edgewise.units import format_usd

_INDEX_DRAWS = 2048
_Z95 = 1.6448536269514722


def uncertain_numbers(
    given: Mapping[str, Distribution], evidence: Evidence, *, has_cloud: bool
) -> dict[str, Distribution]:
    """Give the spec's distributions, and that of a share deferred measured on so many rows."""
    found = {
        name: one
        for name, one in given.items()
        if (has_cloud or "cloud" not in name) and (name != DEFERRAL or not evidence.deferral_rows)
    }
    share, rows = evidence.deferral_share, evidence.deferral_rows
    if has_cloud and rows and 0 < share < 1:
        half = _Z95 * math.sqrt(share * (1 - share) / rows)
        found[DEFERRAL] = Distribution(shape=Shape.NORMAL, low=share - half, high=share + half)
    return found if has_cloud else {k: v for k, v in found.items() if k != DEFERRAL}


def certainty(
    model: CostModel,
    numbers: Mapping[str, float],
    uncertain: Mapping[str, Distribution],
    options: Sequence[str],
    *,
    own_option: str,
    draws: int,
    seed: int,
) -> Certainty:
    """Draw every uncertain number and hold the options against each other.

    Parameters
    ----------
    options
        Those that are weighed; the first is the choice.
    own_option
        That the break-even is of.

    Raises
    ------
    UsageError
        When the draws are too few or too many.
    """
    check_draws(draws)
    if not uncertain:
        note = "every number is taken as exact: none is a distribution"
        return Certainty(draws=0, seed=seed, notes=(note,))
    drawn = draw_numbers(numbers, uncertain, draws, seed)
    costs = costs_of(model, options, drawn, draws)
    swings = _swings(model, numbers, uncertain, options, seed=seed)
    order = sorted(swings, key=lambda one: (-abs(one.high_usd - one.low_usd), one.name))
    known = [
        (one, worth_of_one(costs, sample(one.name, uncertain[one.name], draws, seed)))
        for one in order
    ]
    found = spreads(options, costs)
    return Certainty(
        draws=draws,
        seed=seed,
        spreads=found,
        swings=tuple(_worth(one, usd) for one, usd in known),
        worth_usd_per_month=max(worth_of_all(costs), 0.0),
        break_even=crossing_spread(model, drawn, own_option, draws)
        if "cloud" in model.options
        else None,
        notes=_on_average(found),
    )


def _on_average(found: Sequence[Spread]) -> tuple[str, ...]:
    first, least = found[0], min(found, key=lambda one: one.mean_usd)
    if least.mean_usd >= first.mean_usd:
        return ()
    return (
        f"on average over the draws {least.option} is cheaper than {first.option}, by "
        f"{format_usd(first.mean_usd - least.mean_usd)} a month",
    )


def _swings(
    model: CostModel,
    numbers: Mapping[str, float],
    uncertain: Mapping[str, Distribution],
    options: Sequence[str],
    *,
    seed: int,
) -> list[Swing]:
    def ahead(n: Numbers) -> FloatArray:
        costs = [np.asarray(model.monthly(option, n), dtype=float) for option in options]
        best = np.minimum.reduce(np.broadcast_arrays(*costs[1:])) if costs[1:] else 0.0
        return np.atleast_1d(costs[0] - best)

    def outcome(n: Numbers) -> FloatArray:
        size = max(np.size(value) for value in n.values())
        return np.broadcast_to(ahead(n), size)

    indices = sobol(outcome, numbers, uncertain, draws=_INDEX_DRAWS, seed=seed)
    rows = []
    for name, one in uncertain.items():
        low, high = percentiles(name, one)
        low_usd, high_usd = swing(outcome, numbers, name, one)
        rows.append(
            Swing(
                name=name,
                low=low,
                high=high,
                low_usd=low_usd,
                high_usd=high_usd,
                flips=len(options) > 1 and max(low_usd, high_usd) > 0,
                first_order=indices[name].first_order,
                total=indices[name].total,
                worth_usd_per_month=0.0,
            )
        )
    return rows


def _worth(one: Swing, usd: float) -> Swing:
    return replace(one, worth_usd_per_month=usd)
