"""Logits become predictions."""

import math

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidModel
from edgewise.records import Prediction


def predictions(logits: NDArray[np.floating], labels: tuple[str, ...]) -> list[Prediction]:
    """Give a prediction a row by a stable softmax; of equal labels the first.

    Raises
    ------
    InvalidModel
        When the shape does not fit the labels, or a row's probabilities are not finite.
    """
    shape = np.shape(logits)
    if len(shape) != 2 or shape[1] != len(labels):
        what = f"logits of shape {shape} for {len(labels)} labels"
        raise InvalidModel(what, where="model output", hint="the model must give (n, labels)")
    return [_prediction(row, labels) for row in logits.tolist()]


def _prediction(row: list[float], labels: tuple[str, ...]) -> Prediction:
    # Plain Python takes a third of numpy's time for the few labels of one answer.
    top = max(row)
    shares = [math.exp(logit - top) for logit in row]
    total = sum(shares)
    if not math.isfinite(total):
        raise InvalidModel(
            "logits are not finite", where="model output", hint="check the model and its input"
        )
    probabilities = tuple(share / total for share in shares)
    energy = top + math.log(total)
    return Prediction(labels[row.index(top)], 1.0 / total, probabilities, energy)
