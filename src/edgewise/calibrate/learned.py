"""A score fitted to who was right: the top probability means another thing for each label."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewise.errors import InvalidData
from edgewise.records import LearnedScore
from edgewise.records.score import log_odds

Floats = NDArray[np.float64]
_KNOTS = 4
_STEPS, _SMALL = 30, 1e-8
_LABEL_PENALTY, _SHARED_PENALTY = 1.0, 0.1
_MOST_LABELS = 5_000
"""Of the lines that are fitted together: their matrix takes the square of them."""
_Row = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRows:
    """What a learned score reads, a row an answer."""

    top: Floats
    """The model's confidence in its answer, 0 to 1; it need not be calibrated."""
    label: NDArray[np.int64]
    """The number of the label that it gave."""
    more: Floats
    """Margin, 1 - relative entropy, log(1 + input length); zeros where they are not known."""


def score_rows(top: ArrayLike, label: ArrayLike, more: ArrayLike | None = None) -> ScoreRows:
    """Check and gather the rows for `fit_score`.

    Raises
    ------
    InvalidData
        When lengths differ, there is no row, or a value is out of range.
    """
    t, which = np.asarray(top, dtype=float), np.asarray(label)
    rest = np.zeros((len(t), 3)) if more is None else np.asarray(more, dtype=float)
    fits = t.ndim == 1 and len(t) > 0 and which.shape == t.shape and rest.shape == (len(t), 3)
    whole = np.issubdtype(which.dtype, np.integer) and fits and int(which.min()) >= 0
    if not whole or not ((t >= 0.0) & (t <= 1.0)).all() or not np.isfinite(rest).all():
        what = f"rows of shapes {t.shape}, {which.shape} and {rest.shape}, or values out of range"
        hint = "give confidences from 0 to 1 and label numbers, both (n,), and (n, 3) of the rest"
        raise InvalidData(what, where="score_rows", hint=hint)
    return ScoreRows(top=t, label=which.astype(np.int64), more=rest)


def fit_score(
    rows: ScoreRows,
    edge_correct: ArrayLike,
    cloud_correct: ArrayLike | None = None,
    *,
    labels: int | None = None,
) -> LearnedScore:
    """Fit the chance that the edge is right and, with the cloud's answers, the cloud's.

    Parameters
    ----------
    rows
        Of examples that trained nothing, and that nothing is certified on.
    edge_correct, cloud_correct : shape (n,), 0 to 1
        With the second, the score tells what keeping gains on sending, the net loss's concern.
    labels
        How many there are, by default those up to the highest seen.

    Raises
    ------
    InvalidData
        When not every row has a number from 0 to 1, or there are more than 5,000 labels.

    Notes
    -----
    Logistic regression by Newton's method. Each label's line is drawn to the one that all share
    (a ridge on the difference), so that rare labels follow the others.
    """
    labels = max(labels or 0, int(rows.label.max()) + 1)
    if labels > _MOST_LABELS:
        what, hint = f"{labels} labels", f"number them from 0 on; there may be {_MOST_LABELS}"
        raise InvalidData(what, where="fit_score", hint=hint)
    odds = np.array([log_odds(value) for value in rows.top.tolist()])
    knots = np.unique(np.quantile(odds, np.linspace(0.0, 1.0, _KNOTS + 2)[1:-1]))
    bends = np.maximum(odds[:, None] - knots, 0.0)
    lines = np.column_stack([np.ones(len(odds)), odds, bends])
    edge, edge_more = _head(lines, rows, labels, edge_correct)
    cloud: tuple[_Row, ...] = ()
    cloud_more = (0.0, 0.0, 0.0)
    if cloud_correct is not None:
        cloud, cloud_more = _head(lines, rows, labels, cloud_correct)
    return LearnedScore(
        knots=tuple(knots.tolist()),
        edge=edge,
        cloud=cloud,
        edge_more=edge_more,
        cloud_more=cloud_more,
    )


def learned_scores(score: LearnedScore, rows: ScoreRows) -> Floats:
    """Apply a learned score to rows: what calling it row by row gives."""
    columns = zip(rows.top.tolist(), rows.label.tolist(), rows.more.tolist(), strict=True)
    return np.array([score.value(top, label, (a, b, c)) for top, label, (a, b, c) in columns])


def logistic(design: Floats, target: Floats, penalty: Floats) -> Floats:
    """Fit a logistic regression with a ridge of its own for each weight."""
    weights: Floats = np.zeros(design.shape[1])
    step: Floats = np.ones(1)
    steps = 0
    while np.abs(step).max() > _SMALL and steps < _STEPS:
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30.0, 30.0)))
        curve = np.maximum(chance * (1.0 - chance), 1e-6)
        slope = design.T @ (target - chance) - penalty * weights
        curvature = (design * curve[:, None]).T @ design + np.diag(penalty)
        step = np.asarray(np.linalg.solve(curvature, slope), dtype=np.float64)
        weights = weights + step
        steps += 1
    return weights


def _head(
    lines: Floats, rows: ScoreRows, labels: int, correct: ArrayLike
) -> tuple[tuple[_Row, ...], tuple[float, float, float]]:
    target = np.asarray(correct, dtype=float)
    if target.shape != rows.top.shape or not ((target >= 0.0) & (target <= 1.0)).all():
        what = f"not one number from 0 to 1 for each of {len(rows.top)} rows"
        raise InvalidData(what, where="fit_score", hint="give 1 where the answer was right, else 0")
    width = lines.shape[1]
    own = np.zeros((len(lines), labels * width))
    for label in range(labels):
        here = rows.label == label
        own[here, label * width : (label + 1) * width] = lines[here]
    design = np.column_stack([lines, rows.more, own])
    penalty = np.full(design.shape[1], _LABEL_PENALTY)
    penalty[: width + 3] = _SHARED_PENALTY
    weights = logistic(design, target, penalty)
    shared, more = weights[:width], weights[width : width + 3]
    each = weights[width + 3 :].reshape(labels, width) + shared
    a, b, c = more.tolist()
    return tuple(tuple(row) for row in each.tolist()), (a, b, c)
