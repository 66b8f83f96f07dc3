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
    the number is a regression, here on Legendre polynomials of the number's rank, of the degree in
    0..6 that the Bayesian information criterion takes, so that noise alone is worth nothing.
    """
    draws = len(values)
    order = np.argsort(values, kind="stable")
    rank = np.empty(draws)
    rank[order] = np.linspace(-1, 1, draws)
    if values[order[0]] == values[order[-1]]:
        return 0.0
    basis, _ = np.linalg.qr(np.polynomial.legendre.legvander(rank, _DEGREE))
    gains = np.stack([_fitted(basis, row - costs[0]) for row in costs])
    known = float(gains.mean(axis=1).min() - gains.min(axis=0).mean())
    return min(max(known, 0.0), worth_of_all(costs))


def _fitted(basis: FloatArray, values: FloatArray) -> FloatArray:
    """Give the regression of the degree that the Bayesian information criterion takes."""
    draws = len(values)
    weights = basis.T @ values
    left = np.maximum(values @ values - np.cumsum(weights**2), 1e-12 * (values @ values) + 1e-300)
    criterion = draws * np.log(left) + np.log(draws) * np.arange(1, len(weights) + 1)
    kept = int(np.argmin(criterion)) + 1
    fitted: FloatArray = basis[:, :kept] @ weights[:kept]
    return fitted
