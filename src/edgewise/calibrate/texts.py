"""Texts: the log-probabilities of an answer's tokens become confidence, and a policy by it.

The quality of a text is a number from 0 to 1 that somebody gave it: an exact match, a share of
words, a judge's mark. The certificate promises that number, and is as good as it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewise.calibrate.certify import certify
from edgewise.calibrate.clustering import clustering_warnings, folds_of
from edgewise.calibrate.confidence import best_kind, fit_isotonic, fit_logistic
from edgewise.calibrate.measured import names_of
from edgewise.calibrate.scores import brier, ece
from edgewise.errors import InvalidData
from edgewise.records import (
    CalibrationKind,
    ConfidenceMap,
    Generation,
    Loss,
    Policy,
    Reliability,
    TextConfidence,
    TextScore,
    seal,
)

Floats = NDArray[np.float64]
_FOLDS = 5
_FEWEST = 10
_KINDS = (CalibrationKind.LOGISTIC, CalibrationKind.ISOTONIC)


def fit_text_confidence(
    answers: Sequence[Generation],
    quality: ArrayLike,
    *,
    score: TextScore = TextScore.MEAN_LOGPROB,
    first_tokens: int | None = None,
    clusters: ArrayLike | None = None,
) -> TextConfidence:
    """Fit the map from an answer's token log-probabilities to its expected quality.

    Parameters
    ----------
    answers
        Of one model; those without log-probabilities can't be fitted to.
    quality : shape (n,), from 0 to 1
        How good each was.
    score
        The number that is mapped, by a logistic curve, or by an isotonic one where its out-of-fold
        Brier score is better by a standard error.
    first_tokens
        Read no more than the first so many tokens.
    clusters : shape (n,), optional
        The speaker, user or session each; kept whole in every fold.

    Raises
    ------
    InvalidData
        When lengths differ, there are fewer than 10 answers or 2 clusters, a quality is out of
        range, or an answer has no such score.
    """
    plain = TextConfidence(score=score, first_tokens=first_tokens, map=ConfidenceMap())
    right = np.asarray(quality, dtype=float)
    _check(right, len(answers))
    raw = _raw(plain, answers)
    numbers = None
    if clusters is not None:
        names = names_of(clusters, len(answers), "clusters")
        numbers = np.unique(names, return_inverse=True)[1]
        if not numbers.any():
            what = "the answers that fit the map are all of one cluster, which is kept whole"
            hint = "give answers of more clusters, or leave `clusters` out"
            raise InvalidData(what, where="clusters", hint=hint)
    fold = folds_of(len(answers), _FOLDS, numbers)
    away = {kind: np.empty(len(answers)) for kind in _KINDS}
    for k in range(_FOLDS):
        here = fold == k
        for kind in _KINDS:
            fitted = _fit(kind, raw[~here], right[~here])
            away[kind][here] = [fitted.at(value) for value in raw[here].tolist()]
    kind = best_kind(away, right)
    before = np.exp(np.minimum(_raw(replace(plain, score=TextScore.MEAN_LOGPROB), answers), 0.0))
    reliability = Reliability(
        n=len(answers),
        ece_before=ece(before, right),
        ece_after=ece(away[kind], right),
        brier_before=brier(before, right),
        brier_after=brier(away[kind], right),
        warnings=clustering_warnings(before, right, numbers),
    )
    return replace(plain, map=replace(_fit(kind, raw, right), reliability=reliability))


def text_confidences(fitted: TextConfidence, answers: Sequence[Generation]) -> Floats:
    """Apply a map to answers: the same numbers as the engine's."""
    return np.asarray([fitted(one.logprobs, one.first_margin) for one in answers], dtype=np.float64)


def certify_texts(  # noqa: PLR0913 - three arrays, and what may be said of them by name
    policy: Policy,
    answers: Sequence[Generation],
    edge_quality: ArrayLike,
    cloud_quality: ArrayLike,
    *,
    score: TextScore = TextScore.MEAN_LOGPROB,
    loss: str | Loss = Loss.NET,
    alpha: float = 0.02,
    delta: float = 0.05,
    clusters: ArrayLike | None = None,
    model_sha256: str = "",
) -> Policy:
    """Give the policy with a certified threshold for its nearest tier's texts.

    A fifth of the rows fits the map, the others certify. The score reads no more tokens than
    `policy.stream` waits for, so the promise holds for streams and for whole answers alike.

    Parameters
    ----------
    answers
        The nearest tier's, of requests like those to come, with the options that requests have.
    edge_quality, cloud_quality : shape (n,), from 0 to 1
        How good the answers of the nearest and the farthest tier were.
    loss, alpha, delta, clusters
        As `certify`.
    model_sha256
        Of the model's file: the certificate belongs to it.

    Returns
    -------
    Policy
        Where nothing can be certified, its certificate says why, and its threshold is `None`:
        every answer is deferred.

    Raises
    ------
    InvalidData, UsageError
        As `fit_text_confidence` and `certify`.
    """
    n = len(answers)
    edge, cloud = np.asarray(edge_quality, dtype=float), np.asarray(cloud_quality, dtype=float)
    for given in (edge, cloud):
        _check(given, n, fewest=_FEWEST * _FOLDS)
    names = None if clusters is None else names_of(clusters, n, "clusters")
    numbers = None if names is None else np.unique(names, return_inverse=True)[1]
    fits = folds_of(n, _FOLDS, numbers) == 0
    fitted = fit_text_confidence(
        [one for one, used in zip(answers, fits, strict=True) if used],
        edge[fits],
        score=score,
        first_tokens=policy.stream.commit_after_tokens,
        clusters=None if names is None else names[fits],
    )
    rest = [one for one, used in zip(answers, fits, strict=True) if not used]
    certificate = certify(
        text_confidences(fitted, rest),
        edge[~fits],
        cloud[~fits],
        loss=loss,
        alpha=alpha,
        delta=delta,
        clusters=None if names is None else names[~fits],
    )
    near = replace(policy.tiers[0], threshold=certificate.threshold, text_confidence=fitted)
    return replace(
        policy,
        tiers=(near, *policy.tiers[1:]),
        bundle_sha256=model_sha256,
        certificate=seal(replace(certificate, bundle_sha256=model_sha256)),
    )


def _check(quality: Floats, n: int, fewest: int = _FEWEST) -> None:
    if quality.shape != (n,) or n < fewest:
        what = f"qualities of shape {quality.shape} for {n} answers"
        hint = f"give one for each of {fewest} answers or more"
        raise InvalidData(what, where="quality", hint=hint)
    if not ((quality >= 0.0) & (quality <= 1.0)).all():
        hint = "give 1 for a perfect answer, 0 for a useless one"
        raise InvalidData("a quality outside 0 to 1", where="quality", hint=hint)


def _raw(confidence: TextConfidence, answers: Sequence[Generation]) -> Floats:
    found = [confidence.raw(one.logprobs, one.first_margin) for one in answers]
    known = [value for value in found if value is not None]
    if len(known) < len(found):
        what = f"{len(found) - len(known)} answers have no `{confidence.score.value}`"
        hint = "ask the tier for `logprobs`, or leave these answers out"
        raise InvalidData(what, where="answers", hint=hint)
    return np.asarray(known, dtype=np.float64)


def _fit(kind: CalibrationKind, raw: Floats, right: Floats) -> ConfidenceMap:
    if kind is CalibrationKind.LOGISTIC:
        slope, intercept = fit_logistic(raw, right)
        return ConfidenceMap(kind=kind, slope=slope, intercept=intercept)
    inputs, outputs = fit_isotonic(raw, right)
    return ConfidenceMap(kind=kind, inputs=inputs, outputs=outputs)
