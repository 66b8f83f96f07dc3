"""Raw probabilities become calibrated confidence: temperature or isotonic."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewise.calibrate.scores import brier, ece
from edgewise.errors import InvalidData
from edgewise.records import CalibrationChoice, CalibrationKind, ConfidenceMap, Reliability

Floats = NDArray[np.float64]
_FOLDS = 5
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


def fit_confidence(
    probabilities: ArrayLike,
    correct: ArrayLike,
    *,
    choice: CalibrationChoice = CalibrationChoice.AUTO,
) -> ConfidenceMap:
    """Fit the map from class probabilities to the chance of being right.

    Parameters
    ----------
    probabilities : shape (n, labels)
        Softmax outputs on examples that trained nothing.
    correct : shape (n,), 0 or 1
        Whether the top label was right.
    choice
        `auto` takes isotonic only where its out-of-fold Brier score is better by a standard error:
        it makes ties, and ties make thresholds coarse.

    Notes
    -----
    Temperature: Guo et al., On calibration of modern neural networks (2017), fitted here to the
    correctness of the top label. Isotonic: Zadrozny and Elkan (2002), by pooled adjacent violators.
    """
    p, y = np.asarray(probabilities, dtype=float), np.asarray(correct, dtype=float)
    if p.ndim != 2 or len(p) != len(y) or len(y) < _FOLDS:
        what = f"probabilities of shape {p.shape} for {len(y)} answers"
        raise InvalidData(what, where="fit_confidence", hint="give (n, labels) and (n,), n ≥ 5")
    fits: dict[CalibrationChoice, Callable[[Floats, Floats], ConfidenceMap]] = {
        CalibrationChoice.TEMPERATURE: _fit_temperature,
        CalibrationChoice.ISOTONIC: _fit_isotonic,
    }
    away = {kind: _out_of_fold(fit, p, y) for kind, fit in fits.items()}
    if choice is CalibrationChoice.AUTO:
        gain = (away[CalibrationChoice.TEMPERATURE] - y) ** 2 - (
            away[CalibrationChoice.ISOTONIC] - y
        ) ** 2
        better = gain.mean() > gain.std() / np.sqrt(len(y))
        choice = CalibrationChoice.ISOTONIC if better else CalibrationChoice.TEMPERATURE
    fitted, after, before = fits[choice](p, y), away[choice], p.max(axis=1)
    reliability = Reliability(
        n=len(y),
        ece_before=ece(before, y),
        ece_after=ece(after, y),
        brier_before=brier(before, y),
        brier_after=brier(after, y),
    )
    return ConfidenceMap(
        kind=fitted.kind,
        temperature=fitted.temperature,
        inputs=fitted.inputs,
        outputs=fitted.outputs,
        reliability=reliability,
    )


def confidences(fitted: ConfidenceMap, probabilities: ArrayLike) -> Floats:
    """Apply a map to rows of probabilities: the same numbers as calling it row by row."""
    p = np.asarray(probabilities, dtype=float)
    return np.asarray([fitted(tuple(row)) for row in p.tolist()], dtype=float)


def _out_of_fold(fit: Callable[[Floats, Floats], ConfidenceMap], p: Floats, y: Floats) -> Floats:
    fold = np.arange(len(y)) % _FOLDS
    found = np.empty(len(y))
    for k in range(_FOLDS):
        found[fold == k] = confidences(fit(p[fold != k], y[fold != k]), p[fold == k])
    return found


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


def _fit_isotonic(p: Floats, y: Floats) -> ConfidenceMap:
    top = p.max(axis=1)
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
    return ConfidenceMap(
        kind=CalibrationKind.ISOTONIC, inputs=tuple(inputs), outputs=tuple(outputs)
    )
