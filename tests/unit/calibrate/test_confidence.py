"""Confidence that means probability, on populations whose truth is known."""

import numpy as np
import pytest

from edgewise.calibrate import confidences, ece, fit_confidence
from edgewise.errors import InvalidData
from edgewise.records import CalibrationChoice, CalibrationKind


def overconfident(n: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Give two-class probabilities whose logits are `temperature` times too large."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, n)
    right = rng.random(n) < 1 / (1 + np.exp(-np.abs(logits)))
    top = 1 / (1 + np.exp(-np.abs(logits) * temperature))
    return np.column_stack([top, 1 - top]), right


def stepped(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Give probabilities that no temperature can mend, a step at 0.8."""
    rng = np.random.default_rng(0)
    top = rng.uniform(0.5, 1.0, n)
    right = rng.random(n) < np.where(top > 0.8, 0.95, 0.55)
    return np.column_stack([top, 1 - top]), right


def test_the_temperature_of_a_population_is_found() -> None:
    found = fit_confidence(*overconfident(20_000, 3.0), choice=CalibrationChoice.TEMPERATURE)

    assert found.kind is CalibrationKind.TEMPERATURE
    assert found.temperature == pytest.approx(3.0, rel=0.05)


def test_a_temperature_is_taken_where_isotonic_gains_nothing() -> None:
    found = fit_confidence(*overconfident(2000, 3.0))

    assert found.kind is CalibrationKind.TEMPERATURE
    assert found.reliability is not None
    assert found.reliability.n == 2000
    assert found.reliability.ece_after < 0.03 < found.reliability.ece_before
    assert found.reliability.brier_after < found.reliability.brier_before


def test_isotonic_is_taken_where_a_temperature_can_not_follow() -> None:
    found = fit_confidence(*stepped(4000))

    assert found.kind is CalibrationKind.ISOTONIC
    assert found((0.6, 0.4)) == pytest.approx(0.55, abs=0.05)
    assert found((0.9, 0.1)) == pytest.approx(0.95, abs=0.05)


def test_isotonic_that_was_asked_for_is_taken_and_never_falls() -> None:
    probabilities, right = overconfident(500, 3.0)

    found = fit_confidence(probabilities, right, choice=CalibrationChoice.ISOTONIC)

    assert found.kind is CalibrationKind.ISOTONIC
    assert list(found.outputs) == sorted(found.outputs)
    assert ece(confidences(found, probabilities), right) < ece(probabilities.max(axis=1), right)


def test_a_map_gives_many_rows_what_it_gives_each() -> None:
    probabilities, right = overconfident(200, 2.0)
    found = fit_confidence(probabilities, right)

    whole = confidences(found, probabilities)

    assert whole.tolist() == [found((a, b)) for a, b in probabilities.tolist()]


@pytest.mark.parametrize(
    ("probabilities", "right"),
    [
        ([0.9] * 6, [1] * 6),
        ([[0.9, 0.1]] * 6, [1] * 5),
        ([[0.9, 0.1]] * 4, [1] * 4),
        ([], []),
    ],
)
def test_what_can_not_be_fitted_is_refused(probabilities: list[float], right: list[int]) -> None:
    with pytest.raises(InvalidData) as caught:
        fit_confidence(probabilities, right)

    assert f"for {len(right)} answers" in caught.value.what
    assert caught.value.where == "fit_confidence"
    assert "(n, labels)" in caught.value.hint
