"""The fidelity gate on logits whose agreement and accuracy are counted by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edgewise.errors import InvalidModel
from edgewise.optimize.gate import Gate, examine, examine_embeddings, hopeless

Array = NDArray[np.float64]

TRUTH = np.array([0, 0, 1, 1])
RIGHT = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
ONE_WRONG = np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])


def test_an_equal_candidate_passes_with_its_numbers() -> None:
    gate = Gate(reference="float32", max_loss=0.0, min_agreement=1.0)

    found, reasons = examine(gate, 3 * RIGHT + 1, RIGHT, TRUTH)

    assert reasons == ()
    assert (found.n, found.metric, found.reference_metric, found.agreement) == (4, 1.0, 1.0, 1.0)
    assert found.cosine == pytest.approx(1.0)
    # Wilson's interval of 4 of 4: n / (n + z^2) to 1.
    assert found.metric_low == pytest.approx(4 / (4 + 1.959964**2), rel=1e-6)
    assert found.metric_high == pytest.approx(1.0)


def test_a_candidate_that_loses_and_disagrees_is_out_for_both() -> None:
    gate = Gate(reference="float32", max_loss=0.2, min_agreement=0.8)

    found, reasons = examine(gate, ONE_WRONG, RIGHT, TRUTH)

    assert (found.metric, found.agreement) == (0.75, 0.75)
    assert reasons == (
        "loses 25.0% against the float32, and 20.0% is allowed",
        "agrees with its float32 on 75.0%, and 80.0% is asked",
    )


def test_another_model_is_held_to_its_loss_and_not_to_agreement() -> None:
    gate = Gate(reference="source", max_loss=0.3)

    found, reasons = examine(gate, ONE_WRONG, RIGHT, TRUTH)

    assert reasons == ()
    assert found.agreement is None
    assert found.cosine is None


def test_a_candidate_better_than_its_reference_loses_nothing() -> None:
    found, reasons = examine(Gate(reference="source", max_loss=0.0), RIGHT, ONE_WRONG, TRUTH)

    assert reasons == ()
    assert (found.metric, found.reference_metric) == (1.0, 0.75)


def test_a_candidate_that_loses_just_what_is_allowed_passes() -> None:
    truth = np.zeros(50, dtype=int)
    before, after = (
        np.where(np.arange(50)[:, None] < right, [2.0, 0.0], [0.0, 2.0]) for right in (45, 44)
    )

    found, reasons = examine(Gate(reference="source", max_loss=0.02), after, before, truth)

    assert (found.metric, found.reference_metric) == (0.88, 0.9)
    assert reasons == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_a_logit_that_is_not_finite_is_refused(value: float, which: int) -> None:
    pair = [RIGHT.copy(), RIGHT.copy()]
    pair[which][1, 0] = value

    with pytest.raises(InvalidModel) as caught:
        examine(Gate(reference="float32", max_loss=0.1), pair[0], pair[1], TRUTH)

    assert "not finite" in caught.value.what
    assert caught.value.where == "fidelity gate"
    assert caught.value.hint


def test_embeddings_are_held_by_their_mean_cosine() -> None:
    # Rows at 0 and at 60 degrees: cosines 1 and 0.5, their mean 0.75.
    ours = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    source = np.array([[3.0, 0.0], [2.0, 0.0]])

    found, reasons = examine_embeddings(Gate(reference="source", max_loss=0.0), ours, source)
    _, none = examine_embeddings(
        Gate(reference="source", max_loss=0.0, min_cosine=0.7), ours, source
    )

    assert (found.n, found.metric, found.agreement) == (2, None, None)
    assert found.cosine == pytest.approx(0.75)
    assert reasons == ("cosine with the source is 0.7500, and 0.99 is asked",)
    assert none == ()


@pytest.mark.parametrize(
    ("ours", "what"),
    [
        (np.array([[np.nan, 0.0]]), "an embedding is not finite on held-out data"),
        (np.array([[1.0]]), "embeddings of shape (1, 1) against (1, 2)"),
    ],
)
def test_embeddings_that_can_not_be_compared_are_refused(ours: Array, what: str) -> None:
    with pytest.raises(InvalidModel) as caught:
        examine_embeddings(Gate(reference="source", max_loss=0.0), ours, np.ones((1, 2)))

    assert (caught.value.what, caught.value.where) == (what, "fidelity gate")
    assert caught.value.hint


def test_a_slice_condemns_only_what_loses_beyond_its_standard_error() -> None:
    # 16 rows, the reference right on all. 8 wrong: mean loss 0.5, two standard errors 2 * 0.5 / 4.
    truth = np.zeros(16, dtype=int)
    right = np.tile([1.0, 0.0], (16, 1))
    half = right.copy()
    half[:8] = [0.0, 1.0]

    lost = hopeless(Gate(reference="source", max_loss=0.24), half, right, truth)
    perhaps = hopeless(Gate(reference="source", max_loss=0.26), half, right, truth)

    assert lost == ("loses 50.0% against the source on the first 16, and 24.0% is allowed",)
    assert perhaps == ()


def test_embeddings_on_a_slice_may_be_twice_as_far_before_they_are_condemned() -> None:
    ours, source = np.array([[0.8, 0.6]]), np.array([[1.0, 0.0]])  # a cosine of 0.8

    lost = hopeless(Gate(reference="source", max_loss=0.0, min_cosine=0.91), ours, source, None)
    perhaps = hopeless(Gate(reference="source", max_loss=0.0, min_cosine=0.89), ours, source, None)

    assert lost == ("cosine with the source is 0.8000 on the first 1, and 0.91 is asked",)
    assert perhaps == ()
