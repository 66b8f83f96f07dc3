"""Confidence that means probability, on populations whose truth is known."""

from typing import Any

import numpy as np
import pytest

from edgewise.calibrate import brier, confidences, ece, fit_confidence
from edgewise.calibrate.clustering import folds_of
from edgewise.calibrate.venn_abers import fit_steps
from edgewise.errors import InvalidData, UsageError
from edgewise.records import CalibrationChoice, CalibrationKind, ConfidenceMap, Score


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


def test_steps_are_taken_where_a_temperature_can_not_follow() -> None:
    found = fit_confidence(*stepped(4000))

    assert found.kind in (CalibrationKind.ISOTONIC, CalibrationKind.VENN_ABERS)
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
        ([[0.9, 0.1]] * 6, [[1]] * 6),
        ([], []),
    ],
)
def test_what_can_not_be_fitted_is_refused(probabilities: list[Any], right: list[Any]) -> None:
    with pytest.raises(InvalidData) as caught:
        fit_confidence(probabilities, right)

    assert f"for {len(right)} answers" in caught.value.what
    assert caught.value.where == "fit_confidence"
    assert "(n, labels)" in caught.value.hint


def test_logits_and_labels_are_no_probabilities_and_no_answers() -> None:
    probabilities, right = overconfident(20, 1.0)

    with pytest.raises(InvalidData) as logits:
        fit_confidence(4.0 * np.asarray(probabilities), right)
    with pytest.raises(InvalidData) as labels:
        fit_confidence(probabilities, np.arange(20) % 3)

    assert (logits.value.where, labels.value.where) == ("probabilities", "correct")
    assert labels.value.what == "a number outside 0 to 1: 0 to 2"
    assert "softmax" in logits.value.hint


def isotonic_value(x: np.ndarray, y: np.ndarray, at: float) -> float:
    """Give the least-squares rising fit at a point: the largest of the smallest means (Brunk)."""
    values = np.unique(x)
    place = int(np.searchsorted(values, at))
    return max(
        min(float(y[(x >= a) & (x <= b)].mean()) for b in values[place:])
        for a in values[: place + 1]
    )


@pytest.mark.parametrize("digits", [1, 2])
def test_venn_abers_asks_isotonic_regression_twice(digits: int) -> None:
    rng = np.random.default_rng(digits)
    x = np.round(rng.random(40), digits)
    y = (rng.random(40) < x).astype(float)

    inputs, outputs = fit_steps(x, y)

    found = ConfidenceMap(kind=CalibrationKind.VENN_ABERS, inputs=inputs, outputs=outputs)
    for score in [*np.unique(x), *rng.random(20), -1.0, 2.0]:
        low, high = (
            isotonic_value(np.append(x, score), np.append(y, label), score) for label in (0.0, 1.0)
        )
        assert found.at(float(score)) == pytest.approx(high / (1 - low + high), abs=1e-12)


def test_venn_abers_that_was_asked_for_never_falls_and_mends() -> None:
    probabilities, right = overconfident(2000, 3.0)

    found = fit_confidence(probabilities, right, choice=CalibrationChoice.VENN_ABERS)

    assert found.kind is CalibrationKind.VENN_ABERS
    assert list(found.outputs) == sorted(found.outputs)
    fresh, truth = overconfident(2000, 3.0)
    assert ece(confidences(found, fresh), truth) < ece(fresh.max(axis=1), truth) / 3


@pytest.mark.parametrize("score", [Score.MARGIN, Score.ENTROPY, Score.ENERGY, Score.LEARNED])
def test_other_scores_are_mapped_to_probability(score: Score) -> None:
    probabilities, right = overconfident(3000, 3.0)
    energy = np.log(probabilities.max(axis=1) / probabilities.min(axis=1))

    found = fit_confidence(probabilities, right, score=score, energy=energy)

    assert found.score is score
    assert found.reliability is not None
    assert found.reliability.ece_after < 0.04
    whole = confidences(found, probabilities, energy=energy)
    assert brier(whole, right) < brier(probabilities.max(axis=1), right)


def test_a_learned_score_tells_labels_apart() -> None:
    rng = np.random.default_rng(1)
    top, label = rng.uniform(0.5, 1.0, 4000), rng.integers(0, 2, 4000)
    right = rng.random(4000) < np.where(label == 0, 0.95, 0.5)
    probabilities = np.where(
        label[:, None] == 0, np.stack([top, 1 - top], 1), np.stack([1 - top, top], 1)
    )

    found = fit_confidence(probabilities, right, score=Score.LEARNED)

    assert found((0.8, 0.2)) == pytest.approx(0.95, abs=0.03)
    assert found((0.2, 0.8)) == pytest.approx(0.5, abs=0.06)


def test_a_useless_score_is_not_turned_upside_down() -> None:
    rng = np.random.default_rng(2)
    top = rng.uniform(0.5, 1.0, 1000)
    right = rng.random(1000) > top

    found = fit_confidence(
        np.stack([top, 1 - top], 1),
        right,
        score=Score.MARGIN,
        choice=CalibrationChoice.LOGISTIC,
    )

    assert found.slope == 0.0
    assert found((0.9, 0.1)) == found((0.6, 0.4))


def test_a_constant_score_is_mapped_to_the_share_that_is_right() -> None:
    flat = np.tile([0.8, 0.2], (100, 1))

    found = fit_confidence(
        flat, np.arange(100) < 60, score=Score.MARGIN, choice=CalibrationChoice.LOGISTIC
    )

    assert found((0.8, 0.2)) == pytest.approx(0.6, abs=0.01)


def test_folds_keep_clusters_whole_and_alike_in_size() -> None:
    clusters = np.repeat(np.arange(20), np.arange(1, 21))

    fold = folds_of(len(clusters), 5, clusters)

    assert all(len(set(fold[clusters == one])) == 1 for one in range(20))
    assert np.ptp(np.bincount(fold)) <= 2


def test_clustered_answers_are_warned_of() -> None:
    rng = np.random.default_rng(0)
    speaker = np.repeat(np.arange(60), 20)
    able = rng.random(60) < 0.5
    right = rng.random(1200) < np.where(able[speaker], 0.98, 0.5)
    top = rng.uniform(0.5, 1.0, 1200)

    found = fit_confidence(np.stack([top, 1 - top], 1), right, clusters=speaker)

    assert found.reliability is not None
    assert "1200 rows of 60 clusters err together" in found.reliability.warnings[0]


@pytest.mark.parametrize("right", [[1] * 80 + [0] * 20, ([1] * 4 + [0]) * 20])
def test_answers_of_one_confidence_are_calibrated_in_any_order(right: list[int]) -> None:
    assert ece([0.8] * 100, right) == pytest.approx(0.0)


def test_a_choice_that_does_not_go_with_the_score_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        fit_confidence(
            *overconfident(50, 1.0), score=Score.MARGIN, choice=CalibrationChoice.TEMPERATURE
        )

    assert caught.value.what == "`temperature` does not go with the score `margin`"
    assert caught.value.where == "fit_confidence"
    assert caught.value.hint == "one of: auto, logistic, isotonic, venn_abers"


def test_energies_and_clusters_that_do_not_do_are_refused() -> None:
    probabilities, right = overconfident(20, 1.0)

    with pytest.raises(InvalidData) as absent:
        fit_confidence(probabilities, right, score=Score.ENERGY)
    with pytest.raises(InvalidData) as nan:
        fit_confidence(probabilities, right, score=Score.ENERGY, energy=np.full(20, np.nan))
    with pytest.raises(InvalidData) as few:
        fit_confidence(probabilities, right, clusters=np.arange(20) % 4)
    with pytest.raises(InvalidData) as short:
        fit_confidence(probabilities, right, clusters=[1, 2])

    assert absent.value.what == "the score `energy` needs energies"
    assert nan.value.hint == "give 20 finite numbers of each"
    assert few.value.what == "4 clusters, and they are kept whole in 5 folds"
    assert short.value.where == "clusters"
    assert {one.value.where for one in (absent, nan, few)} == {"fit_confidence"}
