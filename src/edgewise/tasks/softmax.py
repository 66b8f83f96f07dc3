"""Logits become predictions."""

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidModel
from edgewise.records import Prediction


def predictions(logits: NDArray[np.floating], labels: tuple[str, ...]) -> list[Prediction]:
    """Give a prediction a row by a stable softmax.

    Raises
    ------
    InvalidModel
        When the shape does not fit the labels, or a logit is not finite.
    """
    if logits.ndim != 2 or logits.shape[1] != len(labels):
        what = f"logits of shape {logits.shape} for {len(labels)} labels"
        raise InvalidModel(what, where="model output", hint="the model must give (n, labels)")
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares = shifted / shifted.sum(axis=1, keepdims=True)
    if not np.isfinite(shares).all():
        raise InvalidModel(
            "logits are not finite", where="model output", hint="check the model and its input"
        )
    found = []
    for row in shares.tolist():
        top = max(row)
        found.append(Prediction(labels[row.index(top)], top, tuple(row)))
    return found
