import math

import numpy as np
import pytest

from edgewise.errors import InvalidModel
from edgewise.tasks.softmax import predictions

LABELS = ("a", "b", "c")


def test_logits_become_probabilities_of_the_labels() -> None:
    logits = np.log(np.array([[1.0, 2.0, 5.0], [6.0, 2.0, 2.0]]))

    first, second = predictions(logits, LABELS)

    assert first.label == "c"
    assert first.confidence == pytest.approx(0.625)
    assert first.probabilities == pytest.approx((0.125, 0.25, 0.625))
    assert second.label == "a"
    assert second.confidence == pytest.approx(0.6)


def test_confidence_is_the_label_s_probability_to_the_last_bit() -> None:
    logits = np.random.default_rng(0).normal(scale=9, size=(200, 3))

    for found in predictions(logits, LABELS):
        assert found.confidence == max(found.probabilities)
        assert found.confidence == found.probabilities[LABELS.index(found.label)]


def test_huge_logits_do_not_overflow() -> None:
    (found,) = predictions(np.array([[1e30, -1e30, 0.0]]), LABELS)

    assert found.probabilities == (1.0, 0.0, 0.0)


def test_half_precision_loses_nothing_more() -> None:
    (found,) = predictions(np.array([[0.0, 0.0, 0.0]], dtype=np.float16), LABELS)

    assert math.fsum(found.probabilities) == pytest.approx(1.0, abs=1e-15)


def test_of_equal_labels_the_first_is_given() -> None:
    (found,) = predictions(np.array([[1.0, 3.0, 3.0]]), LABELS)

    assert found.label == "b"


def test_label_ruled_out_by_minus_infinity_has_probability_zero() -> None:
    (found,) = predictions(np.array([[-np.inf, 0.0, 0.0]]), LABELS)

    assert found.probabilities == (0.0, 0.5, 0.5)


@pytest.mark.parametrize(
    "row", [[np.nan, 0.0, 0.0], [0.0, 0.0, np.nan], [np.inf, 0.0, 0.0], [-np.inf] * 3]
)
def test_logits_that_are_not_finite_are_an_invalid_model(row: list[float]) -> None:
    with pytest.raises(InvalidModel) as caught:
        predictions(np.array([row]), LABELS)

    assert caught.value.what == "logits are not finite"
    assert caught.value.where == "model output"
    assert caught.value.hint == "check the model and its input"


@pytest.mark.parametrize("shape", [(3,), (1, 2), (1, 4), (1, 3, 3), ()])
def test_shape_that_does_not_fit_the_labels_is_an_invalid_model(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidModel) as caught:
        predictions(np.zeros(shape), LABELS)

    assert caught.value.what == f"logits of shape {shape} for 3 labels"
    assert caught.value.where == "model output"
    assert caught.value.hint == "the model must give (n, labels)"
