"""A learned score on a population whose truth is known."""

import numpy as np
import pytest

from edgewise.calibrate import ScoreRows, fit_score, learned_scores, score_rows
from edgewise.errors import InvalidData


def labelled(n: int) -> tuple[ScoreRows, np.ndarray, np.ndarray]:
    """Give answers whose confidence means much for label 0 and nothing for label 1."""
    rng = np.random.default_rng(0)
    top, label = rng.random(n), rng.integers(0, 2, n)
    edge = rng.random(n) < np.where(label == 0, top, 0.6)
    cloud = rng.random(n) < np.where(label == 0, 0.9, 0.5)
    return score_rows(top, label), edge, cloud


def test_the_chance_of_each_label_is_found() -> None:
    rows, edge, _ = labelled(20_000)

    found = fit_score(rows, edge)

    nothing = (0.0, 0.0, 0.0)
    assert found.cloud == ()
    assert found.value(0.9, 0, nothing) == pytest.approx(0.9, abs=0.02)
    assert found.value(0.3, 0, nothing) == pytest.approx(0.3, abs=0.02)
    assert found.value(0.3, 1, nothing) == pytest.approx(0.6, abs=0.03)


def test_with_the_clouds_answers_it_is_the_difference() -> None:
    rows, edge, cloud = labelled(20_000)

    found = fit_score(rows, edge, cloud)

    nothing = (0.0, 0.0, 0.0)
    assert found.value(0.4, 0, nothing) == pytest.approx((1 + 0.4 - 0.9) / 2, abs=0.02)
    assert found.value(0.4, 1, nothing) == pytest.approx((1 + 0.6 - 0.5) / 2, abs=0.02)


def test_a_label_that_was_not_seen_follows_the_others() -> None:
    rows, edge, _ = labelled(5000)

    found = fit_score(rows, edge, labels=3)

    assert len(found.edge) == 3
    assert found.value(0.9, 2, (0.0, 0.0, 0.0)) > found.value(0.2, 2, (0.0, 0.0, 0.0))


def test_the_input_length_is_read() -> None:
    rng = np.random.default_rng(0)
    length = rng.integers(1, 100, 5000)
    rows = score_rows(
        np.full(5000, 0.8),
        np.zeros(5000, int),
        np.column_stack([np.zeros((5000, 2)), np.log1p(length)]),
    )

    found = fit_score(rows, rng.random(5000) < 1 / (1 + length / 30))

    values = learned_scores(found, rows)
    assert values[length < 10].mean() > values[length > 80].mean() + 0.3


@pytest.mark.parametrize(
    ("top", "label", "more"),
    [
        ([], [], None),
        ([0.5], [0, 1], None),
        ([0.5], [0.5], None),
        ([0.5], [-1], None),
        ([1.5], [0], None),
        ([np.nan], [0], None),
        ([0.5], [0], [[1.0, 2.0]]),
        ([0.5], [0], [[1.0, np.inf, 0.0]]),
    ],
)
def test_rows_that_do_not_do_are_refused(
    top: list[float], label: list[float], more: list[list[float]] | None
) -> None:
    with pytest.raises(InvalidData) as caught:
        score_rows(top, label, more)

    assert "rows of shapes" in caught.value.what
    assert caught.value.where == "score_rows"
    assert "label numbers" in caught.value.hint


@pytest.mark.parametrize("right", [[1.0], [2.0, 0.0], [np.nan, 1.0]])
def test_answers_that_are_no_qualities_are_refused(right: list[float]) -> None:
    with pytest.raises(InvalidData) as caught:
        fit_score(score_rows([0.5, 0.6], [0, 1]), right)

    assert caught.value.what == "not one number from 0 to 1 for each of 2 rows"
    assert caught.value.where == "fit_score"
    assert "give 1 where" in caught.value.hint


def test_labels_that_are_no_numbers_from_0_on_are_refused() -> None:
    rows = score_rows([0.5, 0.6], [0, 1_000_000_000])

    with pytest.raises(InvalidData) as caught:
        fit_score(rows, [1, 0])

    assert caught.value.what == "1000000001 labels"
    assert caught.value.where == "fit_score"
    assert caught.value.hint == "number them from 0 on; there may be 5000"
