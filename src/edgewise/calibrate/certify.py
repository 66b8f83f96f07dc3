"""The certificate: learn-then-test with a fixed sequence of thresholds.

The edge keeps an answer where its confidence is at least t. Going down from the highest
confidence seen, each threshold's loss is tested against α at level δ; the first that fails ends
the sequence, and the one before it is certified. Every distinct confidence is tested. Between two
of them the p-value does not change, so this is the fixed sequence over all real thresholds, and
that the observed ones depend on the data does no harm: to certify a threshold with a loss above α
the test must have rejected at t* = sup{t: loss(t) ≥ α}, a fixed point, and it does so with
probability at most δ. Source: Angelopoulos, Bates, Candès, Jordan and Lei, Learn then test (2021),
with fixed-sequence testing. Assumes exchangeable examples; repeated ones break it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewise.calibrate.binomial import Binomial
from edgewise.calibrate.paired import PairedTest
from edgewise.errors import InvalidData, UsageError
from edgewise.records import Certificate, CertificateState, Loss

PValue = Callable[[int, int, int, float], float]
"""From the sum of losses, the count of losses that are not zero, the count kept, and α."""


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Counts at each distinct confidence, from the highest down."""

    thresholds: NDArray[np.float64]
    kept: NDArray[np.int64]
    total: NDArray[np.int64]
    nonzero: NDArray[np.int64]


def certify(
    edge_confidence: ArrayLike,
    edge_correct: ArrayLike,
    cloud_correct: ArrayLike,
    *,
    loss: str | Loss = Loss.NET,
    alpha: float = 0.02,
    delta: float = 0.05,
    groups: ArrayLike | None = None,
) -> Certificate:
    """Find the lowest threshold whose loss is at most `alpha` with confidence `1 - delta`.

    Parameters
    ----------
    edge_confidence : shape (n,)
        Higher means surer; any monotone score will do.
    edge_correct, cloud_correct : shape (n,), 0 or 1
        Whether each tier was right. For `disagreement`, give "edge equals cloud" as
        `edge_correct` and ones as `cloud_correct`; no labels are needed.
    loss
        `net` (default), `regret`, `kept_error` or `disagreement`.
    alpha, delta : in (0, 1)
        The loss promised, and the chance that the promise is wrong.
    groups : shape (n,), optional
        Also hold the promise in every group, each at delta over the number of groups; the
        highest of their thresholds is taken.

    Returns
    -------
    Certificate
        `uncertified`, with reasons, when no threshold passes; then nothing is kept.

    Raises
    ------
    InvalidData
        When lengths differ, there is no example, or a value is not finite or not 0 or 1.
    UsageError
        When the loss is unknown or `alpha` or `delta` is outside (0, 1).

    Notes
    -----
    0/1 losses are tested by the exact binomial tail, `net` by an exact paired test
    (`paired.py`), `kept_error` by the binomial tail given the number kept, which assumes that
    the error does not fall again below a threshold where it is too high.
    """
    kind = _loss(loss)
    _check_levels(alpha, delta)
    confidence, edge, cloud = _arrays(edge_confidence, edge_correct, cloud_correct)
    whole = _certify(confidence, edge, cloud, kind, alpha, delta)
    if groups is None:
        return whole
    names = np.asarray(groups)
    if names.shape != confidence.shape:
        what = f"groups of shape {names.shape} for {len(confidence)} examples"
        raise InvalidData(what, where="groups", hint="give one for each example")
    return _for_groups(whole, names, (confidence, edge, cloud))


def labels_needed(alpha: float, delta: float, loss: str | Loss = Loss.REGRET) -> int:
    """Give the fewest examples with which a certificate is possible, none of them a loss."""
    kind = _loss(loss)
    _check_levels(alpha, delta)
    if kind is not Loss.NET:
        return math.ceil(math.log(delta) / math.log1p(-alpha))
    low, high = 1, 1
    while PairedTest(high, delta).p_value(0, 0, alpha) > delta:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        passes = PairedTest(middle, delta).p_value(0, 0, alpha) <= delta
        low, high = (low, middle) if passes else (middle + 1, high)
    return low


def _certify(
    confidence: NDArray[np.float64],
    edge: NDArray[np.int64],
    cloud: NDArray[np.int64],
    loss: Loss,
    alpha: float,
    delta: float,
) -> Certificate:
    n = len(confidence)
    sequence = _sequence(confidence, _losses(loss, edge, cloud))
    p_value = _test(loss, n, delta)
    last = _last_passing(sequence, loss, p_value, alpha, delta)
    if last is None:
        return _uncertified(loss, alpha, delta, n)
    kept, total = int(sequence.kept[last]), int(sequence.total[last])
    nonzero = int(sequence.nonzero[last])
    return Certificate(
        state=CertificateState.CERTIFIED,
        loss=loss,
        alpha=alpha,
        delta=delta,
        n=n,
        threshold=float(sequence.thresholds[last]),
        deferral_rate=1.0 - kept / n,
        bound=_bound(p_value, (total, nonzero, kept), alpha, delta),
        empirical_loss=total / (kept if loss is Loss.KEPT_ERROR else n),
        method=_METHODS[loss],
    )


_METHODS = {
    Loss.NET: "fixed sequence, exact paired test with a Berger-Boos nuisance bound",
    Loss.REGRET: "fixed sequence, exact binomial test",
    Loss.DISAGREEMENT: "fixed sequence, exact binomial test",
    Loss.KEPT_ERROR: "fixed sequence, exact binomial test given the number kept",
}


def _losses(loss: Loss, edge: NDArray[np.int64], cloud: NDArray[np.int64]) -> NDArray[np.int64]:
    if loss is Loss.NET:
        return cloud - edge
    if loss is Loss.REGRET:
        return cloud * (1 - edge)
    return 1 - edge


def _sequence(confidence: NDArray[np.float64], losses: NDArray[np.int64]) -> _Sequence:
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return _Sequence(
        thresholds=ranked[last],
        kept=last + 1,
        total=np.cumsum(losses[order])[last],
        nonzero=np.cumsum(losses[order] != 0)[last],
    )


def _test(loss: Loss, n: int, delta: float) -> PValue:
    if loss is Loss.NET:
        paired = PairedTest(n, delta)
        return lambda total, nonzero, _, alpha: paired.p_value(total, nonzero, alpha)
    if loss is Loss.KEPT_ERROR:
        return lambda total, _, kept, alpha: Binomial(kept).cdf(total, alpha)
    binomial = Binomial(n)
    return lambda total, _, __, alpha: binomial.cdf(total, alpha)


def _last_passing(
    sequence: _Sequence, loss: Loss, p_value: PValue, alpha: float, delta: float
) -> int | None:
    """Find the threshold before the first that fails, in order from the highest confidence down.

    P-values rise with the sum of losses and with the count of losses, and fall with the number
    kept. So where even the worst counts of a stretch pass, each of its thresholds does, and the
    tests between need not be run; a stretch that does not pass as one is halved.
    """
    first = 0
    if loss is Loss.KEPT_ERROR:
        first = int(np.searchsorted(sequence.kept, labels_needed(alpha, delta, loss)))
    size = len(sequence.thresholds)
    start, length = first, size - first
    while start < size:
        stop = min(start + length, size)
        total = int(sequence.total[start:stop].max())
        # Both counts never fall along the sequence.
        worst = (total, int(sequence.nonzero[stop - 1]), int(sequence.kept[start]))
        if p_value(*worst, alpha) <= delta:
            start, length = stop, 2 * length
        elif stop - start == 1:
            break
        else:
            length = (stop - start) // 2
    return start - 1 if start > first else None


def _bound(p_value: PValue, counts: tuple[int, int, int], alpha: float, delta: float) -> float:
    """Give the smallest level that the test would still reject, to 1e-6."""
    low, high = 0.0, alpha
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (
            (low, middle) if middle > 0 and p_value(*counts, middle) <= delta else (middle, high)
        )
    return high


def _uncertified(loss: Loss, alpha: float, delta: float, n: int) -> Certificate:
    needed = labels_needed(alpha, delta, loss)
    missing = max(0, needed - n)
    if missing:
        reason = f"{n} labels are too few: {needed} would do at the least, {missing} more"
    else:
        promise = f"{alpha:.1%} at {1 - delta:.0%} confidence"
        reason = f"even the surest answers lose too much to promise {promise}"
    return Certificate(
        state=CertificateState.UNCERTIFIED,
        loss=loss,
        alpha=alpha,
        delta=delta,
        n=n,
        threshold=None,
        deferral_rate=1.0,
        bound=None,
        method=_METHODS[loss],
        reasons=(reason,),
        labels_missing=missing,
    )


def _for_groups(
    whole: Certificate,
    names: NDArray[np.generic],
    arrays: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]],
) -> Certificate:
    different = np.unique(names)
    found = [(whole, "all examples")]
    for name in different:
        parts = [array[names == name] for array in arrays]
        level = whole.delta / len(different)
        made = _certify(parts[0], parts[1], parts[2], whole.loss, whole.alpha, level)
        found.append((made, f"group `{name}`"))
    for made, where in found:
        if made.threshold is None:
            reasons = tuple(f"{where}: {reason}" for reason in made.reasons)
            blank = _uncertified(whole.loss, whole.alpha, whole.delta, whole.n)
            return replace(blank, reasons=reasons, labels_missing=made.labels_missing)
    binding, where = max(found, key=lambda pair: pair[0].threshold or 0.0)
    confidence, edge, cloud = arrays
    threshold = binding.threshold or 0.0
    sequence = _sequence(confidence, _losses(whole.loss, edge, cloud))
    at = int(np.flatnonzero(sequence.thresholds >= threshold)[-1])
    total, kept = int(sequence.total[at]), int(sequence.kept[at])
    counts = (total, int(sequence.nonzero[at]), kept)
    return Certificate(
        state=CertificateState.CERTIFIED,
        loss=whole.loss,
        alpha=whole.alpha,
        delta=whole.delta,
        n=whole.n,
        threshold=threshold,
        deferral_rate=1.0 - kept / whole.n,
        bound=_bound(_test(whole.loss, whole.n, whole.delta), counts, whole.alpha, whole.delta),
        empirical_loss=total / (kept if whole.loss is Loss.KEPT_ERROR else whole.n),
        method=f"{whole.method}; each of {len(different)} groups at delta / {len(different)}",
        reasons=(f"the threshold is that of {where}",),
    )


def _loss(loss: str | Loss) -> Loss:
    try:
        return Loss(loss)
    except ValueError as wrong:
        known = ", ".join(one.value for one in Loss)
        raise UsageError(
            f"no such loss: `{loss}`", where="certify", hint=f"one of: {known}"
        ) from wrong


def _check_levels(alpha: float, delta: float) -> None:
    if not (0.0 < alpha < 1.0 and 0.0 < delta < 1.0):
        what = f"alpha is {alpha} and delta is {delta}"
        raise UsageError(
            what, where="certify", hint="give both between 0 and 1, such as 0.02 and 0.05"
        )


def _arrays(
    confidence: ArrayLike, edge: ArrayLike, cloud: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    c = np.asarray(confidence, dtype=float)
    if c.ndim != 1 or len(c) == 0 or not np.isfinite(c).all():
        what = "confidences are empty, not a vector, or not finite"
        raise InvalidData(
            what, where="edge_confidence", hint="give a finite number for each example"
        )
    found = []
    for name, values in (("edge_correct", edge), ("cloud_correct", cloud)):
        array = np.asarray(values, dtype=float)
        if array.shape != c.shape or not np.isin(array, (0.0, 1.0)).all():
            what = f"not one 0 or 1 for each of {len(c)} examples"
            raise InvalidData(what, where=name, hint="give 1 where the answer was right, else 0")
        found.append(array.astype(np.int64))
    return c, found[0], found[1]
