"""What the calibration set looks like: the reference that live inputs are watched against."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgewise.observe import histogram_of, histogram_of_languages, output_of, projections
from edgewise.records import DriftRules, Input

Directions = tuple[tuple[float, ...], ...]
_MOST_DIRECTIONS = 3
_MOST_LABELS = 200
"""With more, a request's projection would take longer than its decision."""


def directions_of(probabilities: Sequence[Sequence[float]]) -> Directions:
    """Give the directions in which a model's output varies most, the first of them first.

    The rows must be others than those of the reference: then its bounds hold along them.
    """
    labels = len(probabilities[0]) if probabilities else 0
    if labels < 2 or labels > _MOST_LABELS:
        return ()
    found = np.array([output_of(one) for one in probabilities])
    # Outputs are centred, so that one label's follows from the others'.
    most = min(_MOST_DIRECTIONS, labels - 1)
    vectors = np.linalg.eigh(np.cov(found, rowvar=False)).eigenvectors[:, ::-1][:, :most].T
    signs = np.sign(vectors[np.arange(most), np.abs(vectors).argmax(axis=1)])
    return tuple(tuple(round(float(one), 6) for one in row) for row in vectors * signs[:, None])


def drift_rules(
    inputs: Sequence[Input],
    lengths: Sequence[float],
    confidence: NDArray[np.float64],
    probabilities: Sequence[Sequence[float]],
    directions: Directions,
) -> DriftRules:
    """Give the rules for a policy: length, confidence, language of texts, and the model's output.

    All are of the rows that may leave, and of the bundle that is certified.
    """
    texts = [one["text"] for one in inputs if isinstance(one.get("text"), str)]
    along: dict[str, list[float]] = {}
    for one in probabilities if directions else ():
        for name, value in projections(output_of(one), directions).items():
            along.setdefault(name, []).append(value)
    found = [
        histogram_of("length", lengths),
        histogram_of("confidence", [float(one) for one in confidence]),
        *([histogram_of_languages(texts)] if texts else []),
        *(histogram_of(name, values) for name, values in along.items()),
    ]
    return DriftRules(reference=tuple(found), directions=directions)
