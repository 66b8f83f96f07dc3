"""The gamma distribution's functions, as far as a fit needs them.

Series and continued fraction of the incomplete gamma function, and the asymptotic series of the
logarithmic derivatives: M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 6.3, 6.5.
For large shapes, whose series are long, the cube root of a gamma variable is taken for normal:
E. Wilson and M. Hilferty, The distribution of chi-square, 1931.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_TERMS = 400
_LARGE = 8.0
_NEARLY_NORMAL = 2000.0
"""Shape from which on the cube root is normal to a hundred-thousandth, and 400 terms are few."""


def digamma(x: float) -> float:
    """Give the derivative of the logarithm of the gamma function, for x > 0."""
    shift = 0.0
    while x < _LARGE:
        shift -= 1.0 / x
        x += 1.0
    square = 1.0 / (x * x)
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))
    return shift + math.log(x) - 0.5 / x - series


def trigamma(x: float) -> float:
    """Give the second derivative of the logarithm of the gamma function, for x > 0."""
    shift = 0.0
    while x < _LARGE:
        shift += 1.0 / (x * x)
        x += 1.0
    square = 1.0 / (x * x)
    series = square * (1 / 6 - square * (1 / 30 - square * (1 / 42 - square / 30)))
    return shift + 1.0 / x + 0.5 * square + series / x


def gamma_cdf(shape: float, x: Floats) -> Floats:
    """Give the share of a gamma distribution of scale 1 that lies below each x."""
    if shape >= _NEARLY_NORMAL:
        erf = np.vectorize(math.erf, otypes=[np.float64])
        ninth = 1.0 / (9.0 * shape)
        away = (np.cbrt(x / shape) - (1.0 - ninth)) / math.sqrt(2.0 * ninth)
        below: Floats = 0.5 * (1.0 + erf(away))
        return below
    found = np.zeros(len(x))
    front = np.exp(shape * np.log(np.maximum(x, 1e-300)) - x - math.lgamma(shape))
    near = x < shape + 1.0
    term = np.ones(int(near.sum())) / shape
    total = term.copy()
    for k in range(1, _TERMS):
        term = term * x[near] / (shape + k)
        total += term
    found[near] = total * front[near]
    far = x[~near]
    fraction = np.zeros(len(far))
    for k in range(_TERMS, 0, -1):
        fraction = k * (k - shape) / (far + 2.0 * k + 1.0 - shape - fraction)
    found[~near] = 1.0 - front[~near] / (far + 1.0 - shape - fraction)
    return np.clip(found, 0.0, 1.0)
