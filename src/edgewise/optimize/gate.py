"""The fidelity gate: what a candidate may lose against its reference on held-out data. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidModel
from edgewise.records import Fidelity

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Bounds that a candidate must keep to."""

    reference: str
    max_loss: float
    min_agreement: float | None = None
    """`None` where the candidate is another model than its reference, as a cut one is."""


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


def _reasons(gate: Gate, found: Fidelity) -> tuple[str, ...]:
    reasons = []
    lost = found.reference_metric - found.metric
    if lost > gate.max_loss:
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
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(axis=1) / np.maximum(norms, 1e-12)))


def _wilson(share: float, n: int) -> tuple[float, float]:
    z2 = _Z95 * _Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)
