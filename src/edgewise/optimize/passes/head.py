"""A linear head on frozen features: multinomial logistic regression.

Features are standardized for the fit, and the scale is folded into the head, so the model gets
one matrix and one bias. Source: scikit-learn, `LogisticRegression` (L-BFGS).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgewise.optimize.sources import Head

NAME = "head:logistic"
STRENGTHS = (0.003, 0.01, 0.03, 0.1)
"""Inverse penalties, the strongest penalty first."""


def train_head(
    features: NDArray[np.float32], labels: Sequence[int], classes: int, strength: float
) -> Head:
    """Fit a head.

    Parameters
    ----------
    features : shape (n, width)
    labels : shape (n,), in 0..classes-1; every class occurs
    strength
        Inverse of the penalty.

    Returns
    -------
    Head
        Weight (classes, width) and bias (classes,) for raw features.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - heavy

    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    model = LogisticRegression(C=strength, max_iter=500)
    model.fit((features - mean) / scale, np.asarray(labels))
    weight, bias = model.coef_, model.intercept_
    if classes == 2:
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    folded = weight / scale
    return folded.astype(np.float32), (bias - folded @ mean).astype(np.float32)


def choose_strength(features: NDArray[np.float32], labels: Sequence[int], classes: int) -> float:
    """Give the penalty that does best on a fifth of the examples held out from the fit.

    Of equals the strongest.
    """
    order = np.random.default_rng(0).permutation(len(labels))
    truth = np.asarray(labels)
    cut = len(order) // 5
    away, near = order[:cut], order[cut:]
    if len(np.unique(truth[near])) < classes or cut == 0:
        return STRENGTHS[1]
    right = []
    for strength in STRENGTHS:
        weight, bias = train_head(features[near], truth[near].tolist(), classes, strength)
        right.append(
            float(np.mean((features[away] @ weight.T + bias).argmax(axis=1) == truth[away]))
        )
    return STRENGTHS[int(np.argmax(right))]
