"""Numbers and labels of a remote answer become predictions, checked."""

import math
from collections.abc import Sequence

from edgewise.records import Prediction


def from_probabilities(
    rows: Sequence[Sequence[float]], labels: tuple[str, ...]
) -> list[Prediction]:
    """Give predictions from rows of probabilities in the order of the labels.

    Raises
    ------
    ValueError
        When a row has another length or holds no probabilities.
    """
    found = []
    for row in rows:
        values = [float(value) for value in row]
        if len(values) != len(labels):
            raise ValueError(f"{len(values)} probabilities for {len(labels)} labels")
        if not all(math.isfinite(v) and -1e-6 <= v <= 1.0 + 1e-6 for v in values):
            raise ValueError("a probability outside 0..1")
        top = max(values)
        found.append(Prediction(labels[values.index(top)], top, tuple(values)))
    return found


def expect_label(label: object, labels: tuple[str, ...]) -> str:
    """Check a label against those there are.

    Raises
    ------
    ValueError
        When it is none of them.
    """
    if not isinstance(label, str) or (labels and label not in labels):
        raise ValueError("a label that is not in the list")
    return label
