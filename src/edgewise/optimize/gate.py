"""The fidelity gate: what a candidate may lose against its reference on held-out data. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidModel
from edgewise.records import Fidelity

_Z95 = 1.959963984540054
_ROUNDING = 1e-9
"""A difference of two shares is off by so little that no row is hidden in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Bounds that a candidate must keep to."""

    reference: str
    max_loss: float
    min_agreement: float | None = None
    """`None` where the candidate is another model than its reference, as a cut one is."""
    min_cosine: float = 0.99
    """Of embeddings, where there are no labels to lose."""


def examine(
    gate: Gate,
    logits: NDArray[np.floating],
    reference: NDArray[np.floating],
    truth: NDArray[np.integer],
) -> tuple[Fidelity, tuple[str, ...]]:
    """Measure a candidate against its reference and give the reasons why it is out, if any.

    Parameters
    ----------
    logits, reference : shape (n, labels)
    truth : shape (n,)
        Indices of the right labels.

    Raises
    ------
    InvalidModel
        When a logit is not finite.
    """
    if not (np.isfinite(logits).all() and np.isfinite(reference).all()):
        what = "a logit is not finite on held-out data"
        raise InvalidModel(what, where="fidelity gate", hint="check the source model on this data")
    answers, before = logits.argmax(axis=1), reference.argmax(axis=1)
    n = len(truth)
    metric = float(np.mean(answers == truth))
    reference_metric = float(np.mean(before == truth))
    low, high = _wilson(metric, n)
    agreement = float(np.mean(answers == before)) if gate.min_agreement is not None else None
    fidelity = Fidelity(
        reference=gate.reference,
        n=n,
        metric=metric,
        metric_low=low,
        metric_high=high,
        reference_metric=reference_metric,
        agreement=agreement,
        cosine=_cosine(logits, reference) if gate.min_agreement is not None else None,
    )
    return fidelity, _reasons(gate, fidelity)


def examine_embeddings(
    gate: Gate, embeddings: NDArray[np.floating], reference: NDArray[np.floating]
) -> tuple[Fidelity, tuple[str, ...]]:
    """Measure an encoder against its reference by the mean cosine of their embeddings.

    Parameters
    ----------
    embeddings, reference : shape (n, width)

    Raises
    ------
    InvalidModel
        When a number is not finite, or the widths differ.
    """
    if embeddings.shape != reference.shape:
        what = f"embeddings of shape {embeddings.shape} against {reference.shape}"
        raise InvalidModel(what, where="fidelity gate", hint="keep the width of the source")
    if not (np.isfinite(embeddings).all() and np.isfinite(reference).all()):
        what = "an embedding is not finite on held-out data"
        raise InvalidModel(what, where="fidelity gate", hint="check the source model on this data")
    cosine = mean_row_cosine(embeddings, reference)
    found = Fidelity(reference=gate.reference, n=len(reference), cosine=cosine)
    if cosine >= gate.min_cosine:
        return found, ()
    why = f"cosine with the {gate.reference} is {cosine:.4f}, and {gate.min_cosine:.4g} is asked"
    return found, (why,)


def hopeless(
    gate: Gate,
    answers: NDArray[np.floating],
    reference: NDArray[np.floating],
    truth: NDArray[np.integer] | None,
) -> tuple[str, ...]:
    """Say why a candidate can't pass, from a first slice; nothing while it can.

    Parameters
    ----------
    answers, reference : shape (n, labels), or (n, width) of embeddings
        On the slice.
    truth : shape (n,)
        `None` where there are no labels.

    Returns
    -------
    tuple of str
        A reason when the loss exceeds the bound by more than two standard errors of the paired
        differences, or when the embeddings are twice as far from the reference as is allowed.
    """
    n = len(reference)
    if truth is None:
        cosine = mean_row_cosine(answers, reference)
        if 1.0 - cosine <= 2.0 * (1.0 - gate.min_cosine):
            return ()
        return (
            f"cosine with the {gate.reference} is {cosine:.4f} on the first {n}, "
            f"and {gate.min_cosine:.4g} is asked",
        )
    right, before = answers.argmax(axis=1) == truth, reference.argmax(axis=1) == truth
    lost = before.astype(float) - right.astype(float)
    if lost.mean() - 2.0 * lost.std() / np.sqrt(n) <= gate.max_loss:
        return ()
    return (
        f"loses {lost.mean():.1%} against the {gate.reference} on the first {n}, "
        f"and {gate.max_loss:.1%} is allowed",
    )


def _reasons(gate: Gate, found: Fidelity) -> tuple[str, ...]:
    reasons = []
    assert found.metric is not None
    assert found.reference_metric is not None
    lost = found.reference_metric - found.metric
    if lost > gate.max_loss + _ROUNDING:
        reasons.append(
            f"loses {lost:.1%} against the {gate.reference}, and {gate.max_loss:.1%} is allowed"
        )
    if gate.min_agreement is not None and (found.agreement or 0.0) < gate.min_agreement:
        reasons.append(
            f"agrees with its {gate.reference} on {found.agreement:.1%}, "
            f"and {gate.min_agreement:.1%} is asked"
        )
    return tuple(reasons)


def _cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Centre each row first: logits stand for the same answer with any constant added."""
    return mean_row_cosine(a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True))


def mean_row_cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Give the mean over rows of the cosine between two arrays of shape (n, width)."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(axis=1) / np.maximum(norms, 1e-12)))


def _wilson(share: float, n: int) -> tuple[float, float]:
    z2 = _Z95 * _Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)
