"""Numbers and labels of a remote answer become predictions, checked.

What is raised says what is wrong and never repeats a value: that may be the request's payload.
"""

import json
from collections.abc import Sequence
from typing import Any

from edgewise.records import Prediction

_ROUNDING = 1e-6


def read_json(content: bytes | str) -> Any:
    """Read JSON, in any of Unicode's encodings.

    Raises
    ------
    ValueError
        When it is no JSON; `NaN` and its like are none.
    """
    # Not `json.loads`: with a rule for constants it makes a decoder for each call.
    if isinstance(content, bytes):
        content = content.decode(json.detect_encoding(content), "surrogatepass")
    return _decode(content)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


def from_probabilities(
    rows: Sequence[Sequence[object]], labels: tuple[str, ...]
) -> list[Prediction]:
    """Give predictions from rows of probabilities in the order of the labels.

    Raises
    ------
    ValueError
        When a row has another length or holds no probabilities.
    """
    found = []
    for row in rows:
        if len(row) != len(labels):
            raise ValueError(f"{len(row)} probabilities for {len(labels)} labels")
        values = tuple(expect_share(value) for value in row)
        top = max(values)
        found.append(Prediction(labels[values.index(top)], top, values))
    return found


def expect_share(value: object) -> float:
    """Check a probability; what rounding put outside 0..1 is put back.

    Raises
    ------
    ValueError
        When it is no number, or not between 0 and 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a probability that is no number")
    if not -_ROUNDING <= value <= 1.0 + _ROUNDING:
        raise ValueError("a probability outside 0..1")
    return min(max(float(value), 0.0), 1.0)


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
