"""Raw probabilities become calibrated confidence, by the map that does it best."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewise.calibrate.clustering import clustering_warnings, folds_of
from edgewise.calibrate.learned import fit_score, logistic, score_rows
from edgewise.calibrate.measured import names_of
from edgewise.calibrate.scores import brier, ece
from edgewise.calibrate.venn_abers import fit_steps
from edgewise.errors import InvalidData, UsageError
from edgewise.records import (
    CalibrationChoice,
    CalibrationKind,
    ConfidenceMap,
    LearnedScore,
    Reliability,
    Score,
)
from edgewise.records.score import certainty, margin

Floats = NDArray[np.float64]
_FOLDS = 5
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_KINDS = {
    CalibrationChoice.TEMPERATURE: CalibrationKind.TEMPERATURE,
    CalibrationChoice.LOGISTIC: CalibrationKind.LOGISTIC,
    CalibrationChoice.ISOTONIC: CalibrationKind.ISOTONIC,
    CalibrationChoice.VENN_ABERS: CalibrationKind.VENN_ABERS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """Answers to fit to, a row each."""

    p: Floats
    right: Floats
    energy: Floats
    length: NDArray[np.int64]
    score: Score

    def part(self, chosen: NDArray[np.bool_]) -> "_Answers":
        return _Answers(
            p=self.p[chosen],
            right=self.right[chosen],
            energy=self.energy[chosen],
            length=self.length[chosen],
            score=self.score,
        )


def fit_confidence(
    probabilities: ArrayLike,
    correct: ArrayLike,
    *,
    choice: CalibrationChoice = CalibrationChoice.AUTO,
    score: Score = Score.TOP,
    energy: ArrayLike | None = None,
    length: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> ConfidenceMap:
    """Fit the map from class probabilities to the chance of being right.

    Parameters
    ----------
    probabilities : shape (n, labels)
        Softmax outputs on examples that trained nothing.
    correct : shape (n,), 0 or 1
        Whether the top label was right.
    choice
        `auto` takes isotonic or Venn-Abers only where its out-of-fold Brier score is better by a
        standard error: they make ties, and ties make thresholds coarse.
    score
        The number that is mapped. `top` is mapped by temperature, the others by a logistic curve,
        unless one of the two above is better.
    energy : shape (n,), optional
        Log-sum-exp of the logits, for the score `energy`.
    length : shape (n,), optional
        Input lengths, for the score `learned`.
    clusters : shape (n,), optional
        The speaker, user or session each; kept whole in every fold.

    Raises
    ------
    InvalidData
        When lengths differ, there are fewer than 5 examples or clusters, a number is outside 0
        to 1, or energies are needed.
    UsageError
        When `choice` does not go with `score`.

    Notes
    -----
    Temperature: Guo et al., On calibration of modern neural networks (2017), fitted here to the
    correctness of the top label. Logistic: Platt (1999). Isotonic: Zadrozny and Elkan (2002), by
    pooled adjacent violators. Venn-Abers: `venn_abers.py`.
    """
    answers = _gathered(probabilities, correct, score, energy, length)
    numbers, units = None, len(answers.right)
    if clusters is not None:
        names, numbers = np.unique(names_of(clusters, units, "clusters"), return_inverse=True)
        units = len(names)
    if units < _FOLDS:
        what = f"{units} clusters, and they are kept whole in {_FOLDS} folds"
        raise InvalidData(what, where="fit_confidence", hint="give more, or leave `clusters` out")
    fold = folds_of(len(answers.right), _FOLDS, numbers)
    smooth = CalibrationKind.TEMPERATURE if score is Score.TOP else CalibrationKind.LOGISTIC
    kinds = [smooth, CalibrationKind.ISOTONIC, CalibrationKind.VENN_ABERS]
    if choice is not CalibrationChoice.AUTO:
        if _KINDS[choice] not in kinds:
            what = f"`{choice.value}` does not go with the score `{score.value}`"
            hint = f"one of: auto, {', '.join(kind.value for kind in kinds)}"
            raise UsageError(what, where="fit_confidence", hint=hint)
        kinds = [_KINDS[choice]]
    away = {kind: _out_of_fold(kind, answers, fold) for kind in kinds}
    kind = best_kind(away, answers.right)
    before = answers.p.max(axis=1)
    reliability = Reliability(
        n=len(answers.right),
        ece_before=ece(before, answers.right),
        ece_after=ece(away[kind], answers.right),
        brier_before=brier(before, answers.right),
        brier_after=brier(away[kind], answers.right),
        warnings=clustering_warnings(before, answers.right, numbers),
    )
    return replace(_fit(kind, answers), reliability=reliability)


def confidences(
    fitted: ConfidenceMap,
    probabilities: ArrayLike,
    *,
    energy: ArrayLike | None = None,
    length: ArrayLike | None = None,
) -> Floats:
    """Apply a map to rows of probabilities: the same numbers as calling it row by row."""
    rows = np.asarray(probabilities, dtype=float).tolist()
    energies = [None] * len(rows) if energy is None else np.asarray(energy, dtype=float).tolist()
    lengths = [0] * len(rows) if length is None else np.asarray(length).tolist()
    columns = zip(rows, energies, lengths, strict=True)
    return np.asarray([fitted(tuple(row), energy=e, length=k) for row, e, k in columns])


def _gathered(
    probabilities: ArrayLike,
    correct: ArrayLike,
    score: Score,
    energy: ArrayLike | None,
    length: ArrayLike | None,
) -> _Answers:
    p, right = np.asarray(probabilities, dtype=float), np.asarray(correct, dtype=float)
    n = len(right)
    if p.ndim != 2 or right.shape != (len(p),) or n < _FOLDS:
        what = f"probabilities of shape {p.shape} for {n} answers"
        raise InvalidData(what, where="fit_confidence", hint="give (n, labels) and (n,), n ≥ 5")
    if score is Score.ENERGY and energy is None:
        hint = "give the log-sum-exp of the logits, or choose another score"
        raise InvalidData("the score `energy` needs energies", where="fit_confidence", hint=hint)
    energies = np.zeros(n) if energy is None else np.asarray(energy, dtype=float)
    lengths = np.zeros(n, dtype=np.int64) if length is None else np.asarray(length)
    finite = np.isfinite(p).all() and np.isfinite(right).all() and np.isfinite(energies).all()
    if energies.shape != (n,) or lengths.shape != (n,) or not finite:
        what = f"energies of shape {energies.shape}, lengths of shape {lengths.shape}"
        hint = f"give {n} finite numbers of each"
        raise InvalidData(what, where="fit_confidence", hint=hint)
    for where, found in (("probabilities", p), ("correct", right)):
        if not ((found >= 0.0) & (found <= 1.0)).all():
            what = f"a number outside 0 to 1: {found.min():g} to {found.max():g}"
            hint = "give softmax outputs, and 1 where the top label was right, else 0"
            raise InvalidData(what, where=where, hint=hint)
    return _Answers(p=p, right=right, energy=energies, length=lengths, score=score)


def best_kind(away: dict[CalibrationKind, Floats], right: Floats) -> CalibrationKind:
    """Give the first kind, unless another's Brier score is better by a standard error."""
    first = next(iter(away))
    losses = {kind: (found - right) ** 2 for kind, found in away.items()}
    least = min(away, key=lambda kind: float(losses[kind].mean()))
    gain = losses[first] - losses[least]
    return least if gain.mean() > gain.std() / np.sqrt(len(right)) else first


def _out_of_fold(kind: CalibrationKind, answers: _Answers, fold: NDArray[np.int64]) -> Floats:
    found = np.empty(len(fold))
    for k in range(_FOLDS):
        here = fold == k
        fitted, part = _fit(kind, answers.part(~here)), answers.part(here)
        found[here] = confidences(fitted, part.p, energy=part.energy, length=part.length)
    return found


def _fit(kind: CalibrationKind, answers: _Answers) -> ConfidenceMap:
    if kind is CalibrationKind.TEMPERATURE:
        return _fit_temperature(answers.p, answers.right)
    learned = _learned(answers) if answers.score is Score.LEARNED else None
    plain = ConfidenceMap(score=answers.score, learned=learned)
    raw = confidences(plain, answers.p, energy=answers.energy, length=answers.length)
    if kind is CalibrationKind.LOGISTIC:
        slope, intercept = fit_logistic(raw, answers.right)
        return replace(plain, kind=kind, slope=slope, intercept=intercept)
    fit = fit_isotonic if kind is CalibrationKind.ISOTONIC else fit_steps
    inputs, outputs = fit(raw, answers.right)
    return replace(plain, kind=kind, inputs=inputs, outputs=outputs)


def _learned(answers: _Answers) -> LearnedScore:
    rows = answers.p.tolist()
    more = [[margin(row), certainty(row)] for row in rows]
    return fit_score(
        score_rows(
            answers.p.max(axis=1),
            answers.p.argmax(axis=1),
            np.column_stack([more, np.log1p(answers.length)]),
        ),
        answers.right,
        labels=answers.p.shape[1],
    )


def fit_logistic(raw: Floats, right: Floats) -> tuple[float, float]:
    """Fit Platt's curve to scores of any scale; it never falls."""
    middle, width = float(raw.mean()), float(raw.std()) or 1.0
    design = np.column_stack([(raw - middle) / width, np.ones(len(raw))])
    slope, intercept = logistic(design, right, np.full(2, 1e-3)).tolist()
    slope = max(slope, 0.0) / width
    return slope, intercept - slope * middle


def _fit_temperature(p: Floats, y: Floats) -> ConfidenceMap:
    logs = np.log(np.maximum(p, 1e-300))
    logs -= logs.max(axis=1, keepdims=True)

    def loss(log_temperature: float) -> float:
        top = 1.0 / np.exp(logs / np.exp(log_temperature)).sum(axis=1)
        top = np.clip(top, 1e-12, 1 - 1e-12)
        return float(-np.mean(y * np.log(top) + (1 - y) * np.log(1 - top)))

    low, high = np.log(0.05), np.log(20.0)
    for _ in range(60):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return ConfidenceMap(
        kind=CalibrationKind.TEMPERATURE, temperature=float(np.exp((low + high) / 2))
    )


def fit_isotonic(top: Floats, y: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Fit a curve that never falls, by pooled adjacent violators: its inputs and outputs."""
    blocks: list[list[float]] = []
    for x in np.unique(top):
        here = y[top == x]
        blocks.append([float(here.sum()), float(len(here)), float(x), float(x)])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            right = blocks.pop()
            left = blocks[-1]
            blocks[-1] = [left[0] + right[0], left[1] + right[1], left[2], right[3]]
    inputs: list[float] = []
    outputs: list[float] = []
    for total, count, low, high in blocks:
        for x in (low, high) if high > low else (low,):
            inputs.append(x)
            outputs.append(total / count)
    return tuple(inputs), tuple(outputs)
