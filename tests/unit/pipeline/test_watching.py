"""The reference of live inputs, and the directions in which a model's output is watched."""

import math

import numpy as np
import pytest

from edgewise.pipeline.watching import directions_of, drift_rules


def test_the_first_direction_is_the_one_that_varies_most() -> None:
    rng = np.random.default_rng(5)
    logits = np.stack([rng.normal(0, 3, 400), rng.normal(0, 0.1, 400), np.zeros(400)], axis=1)
    odds = np.exp(logits)

    found = directions_of((odds / odds.sum(axis=1, keepdims=True)).tolist())

    # Label 0 moves against the two others: (2, -1, -1) / sqrt(6).
    assert len(found) == 2
    assert found[0] == pytest.approx(
        (2 / math.sqrt(6), -1 / math.sqrt(6), -1 / math.sqrt(6)), abs=0.03
    )


@pytest.mark.parametrize("rows", [[], [(1.0,)], [(0.002,) * 500]])
def test_there_are_no_directions_of_too_few_labels_or_too_many(
    rows: list[tuple[float, ...]],
) -> None:
    assert directions_of(rows) == ()


def test_a_reference_counts_each_row_once() -> None:
    inputs = [{"text": "a good film"}, {"text": "хороший фильм"}]
    probabilities = [(0.9, 0.1), (0.2, 0.8)]

    found = drift_rules(inputs, [3.0, 2.0], np.array([0.9, 0.8]), probabilities, ((0.7, -0.7),))

    names = [one.name for one in found.reference]
    assert names == ["length", "confidence", "language", "embedding_0"]
    assert all(sum(one.counts) == 2 for one in found.reference)


def test_images_have_no_language() -> None:
    found = drift_rules([{"image": "a.png"}], [9.0], np.array([0.9]), [(0.9, 0.1)], ())

    assert [one.name for one in found.reference] == ["length", "confidence"]
