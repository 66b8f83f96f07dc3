"""What it is worth to know a number before deciding."""

import numpy as np

from edgewise.plan.numbers import FloatArray

_DEGREE = 6


def worth_of_all(costs: FloatArray) -> float:
    """Give the expected value of perfect information, in the unit of the costs.

    What would be saved on average if every number were known before the choice, against taking the
    option of the lowest mean cost.

    Parameters
    ----------
    costs : shape (options, draws)
    """
    return float(costs.mean(axis=1).min() - costs.min(axis=0).mean())


def worth_of_one(costs: FloatArray, values: FloatArray) -> float:
    """Give the expected value of knowing one number alone (EVPPI).

    Parameters
    ----------
    costs : shape (options, draws)
    values : shape (draws,)
        Of the number, in the same draws.

    Notes
    -----
    Source: Strong, Oakley and Brennan, Estimating multiparameter partial expected value of perfect
    information from a probabilistic sensitivity analysis sample, 2014: an option's mean cost given
    the number is a regression, here on Legendre polynomials up to degree 6 of the number's rank.
    """
    draws = len(values)
    order = np.argsort(values, kind="stable")
    rank = np.empty(draws)
    rank[order] = np.linspace(-1, 1, draws)
    if values[order[0]] == values[order[-1]]:
        return 0.0
    basis = np.polynomial.legendre.legvander(rank, _DEGREE)
    fitted = basis @ np.linalg.lstsq(basis, costs.T, rcond=None)[0]
    known = float(costs.mean(axis=1).min() - fitted.min(axis=1).mean())
    return min(max(known, 0.0), worth_of_all(costs))
