"""The certificate: learn-then-test with a fixed sequence of thresholds.

The edge keeps an answer where its confidence is at least t. Going down from the highest
confidence seen, each threshold's loss is tested against α at level δ; the first that fails ends
the sequence, and the one before it is certified. Every distinct confidence is tested. Between two
of them the p-value does not change, so this is the fixed sequence over all real thresholds, and
that the observed ones depend on the data does no harm: to certify a threshold with a loss above α
the test must have rejected at t* = sup{t: loss(t) ≥ α}, a fixed point, and it does so with
probability at most δ. Source: Angelopoulos, Bates, Candès, Jordan and Lei, Learn then test (2021),
with fixed-sequence testing. Assumes exchangeable examples; repeated ones break it, unless
`clusters` names them. What is tested how: `level.py`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewise.calibrate.binomial import Binomial
from edgewise.calibrate.clustering import clustering_warnings
from edgewise.calibrate.level import LossTest, Method, bets_begin, bets_win, choose, test_for
from edgewise.calibrate.measured import Measured, Sequence, measured, names_of, sequence_of
from edgewise.calibrate.paired import PairedTest
from edgewise.errors import UsageError
from edgewise.records import Certificate, CertificateState, Loss

_SPARED, _SPARE = 2, 4
_MORE = (2, 4, 8, 16, 32)
_MOST_ROWS = 60_000
_MOST_COUNTED = 1_000_000
"""Of examples: for more no test is worked out, only the logarithm that bounds them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked of the data."""

    loss: Loss
    alpha: float
    delta: float
    method: Method


def certify(  # noqa: PLR0913 - three arrays, and what may be said of them by name
    edge_confidence: ArrayLike,
    edge_correct: ArrayLike,
    cloud_correct: ArrayLike,
    *,
    loss: str | Loss = Loss.NET,
    alpha: float = 0.02,
    delta: float = 0.05,
    groups: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    method: str | Method = Method.AUTO,
) -> Certificate:
    """Find the lowest threshold whose loss is at most `alpha` with confidence `1 - delta`.

    Parameters
    ----------
    edge_confidence : shape (n,)
        Higher means surer; any monotone score will do.
    edge_correct, cloud_correct : shape (n,), each from 0 to 1
        Whether each tier was right, or how good its answer was. For `disagreement`, give "edge
        equals cloud" as `edge_correct` and ones as `cloud_correct`; no labels are needed.
    loss
        `net` (default), `regret`, `kept_error` or `disagreement`.
    alpha, delta : in (0, 1)
        The loss promised, and the chance that the promise is wrong.
    groups : shape (n,), optional
        A label, a domain or a language each: hold the promise in every one of them too. The
        highest of their thresholds is taken; a false promise for any has chance `delta`.
    clusters : shape (n,), optional
        The speaker, user or session each, whose examples are not independent. The promise is then
        for a request of a cluster drawn at random, each cluster with equal weight.
    method
        `auto` takes the tightest test that holds for the kind of data, see `level.py`. Or ask for
        `exact`, `betting` or `hoeffding_bentkus`.

    Returns
    -------
    Certificate
        `uncertified`, with reasons, when no threshold passes; then nothing is kept.

    Raises
    ------
    InvalidData
        When lengths differ, there is no example, or a value is not finite or out of range.
    UsageError
        When the loss or the method is unknown, the method is not valid for the data, or `alpha`
        or `delta` is outside (0, 1).

    Notes
    -----
    `bound` is the limit at the threshold as if it had been fixed before; the promise is `alpha`.
    `kept_error` assumes that below a threshold where the error is too high it is so everywhere.
    """
    kind, way = _loss(loss), _method(method)
    check_promise(alpha, delta)
    data = measured(edge_confidence, edge_correct, cloud_correct, clusters)
    question = _Question(loss=kind, alpha=alpha, delta=delta, method=choose(way, kind, data))
    warnings = clustering_warnings(data.confidence, data.edge, data.clusters)
    if groups is None:
        made = _certify(data, question)
    else:
        made = _for_groups(data, names_of(groups, len(data.confidence), "groups"), question)
    return replace(made, warnings=warnings)


def labels_needed(alpha: float, delta: float, loss: str | Loss = Loss.REGRET) -> int:
    """Give the fewest examples with which a certificate is possible, none of them a loss."""
    kind = _loss(loss)
    check_promise(alpha, delta)
    return _labels_needed(_Question(loss=kind, alpha=alpha, delta=delta, method=Method.EXACT))


def _labels_needed(question: _Question) -> int:
    alpha, delta = question.alpha, question.delta
    fewest = math.ceil(math.log(delta) / math.log1p(-alpha))
    if fewest > _MOST_COUNTED:
        return fewest
    if question.method is Method.BETTING:
        return _smallest(lambda n: bets_win(n, alpha, delta))
    if question.loss is not Loss.NET or question.method is not Method.EXACT:
        return fewest
    return _smallest(lambda n: PairedTest(n, delta).p_value(0, 0, alpha) <= delta)


def _smallest(holds: Callable[[int], bool]) -> int:
    """Give the smallest n from 1 on for which something holds that holds ever after."""
    low, high = 1, 1
    while not holds(high):
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _certify(data: Measured, question: _Question) -> Certificate:
    test, sequence = _prepared(data, question)
    first = _first(data, question, sequence)
    at = test.first_failing(first, question.alpha) - 1
    if at < first:
        return _uncertified(data, question, test.words)
    return _certified(data, question, (test, sequence), at)


def _prepared(data: Measured, question: _Question) -> tuple[LossTest, Sequence]:
    sequence = sequence_of(data.confidence, data.losses(question.loss))
    return test_for(question.method, data, sequence, question.loss, question.delta), sequence


def _first(data: Measured, question: _Question, sequence: Sequence) -> int:
    """Give where the sequence starts: of the kept, so many must there be that a test can pass.

    Where there are labels to spare, so many that it passes with two errors among them: one wrong
    answer with the highest confidence then ends nothing.
    """
    if question.loss is not Loss.KEPT_ERROR:
        return 0
    alpha, delta, kept = question.alpha, question.delta, sequence.kept
    needed = _labels_needed(question)
    if needed > kept[-1]:
        return len(kept)
    if question.method is Method.BETTING:
        spared = bets_begin(data, sequence, alpha, delta, errors=_SPARED)
        if spared < len(kept) and _SPARE * kept[spared] <= kept[-1]:
            return spared
        return bets_begin(data, sequence, alpha, delta, errors=0)
    fewest = _smallest(lambda n: Binomial(n).cdf(_SPARED, alpha) <= delta)
    return int(np.searchsorted(kept, needed if _SPARE * fewest > kept[-1] else fewest))


def _certified(
    data: Measured, question: _Question, prepared: tuple[LossTest, Sequence], at: int
) -> Certificate:
    test, sequence = prepared
    threshold = float(sequence.thresholds[at])
    kept = data.confidence >= threshold
    return Certificate(
        state=CertificateState.CERTIFIED,
        loss=question.loss,
        alpha=question.alpha,
        delta=question.delta,
        n=len(data.confidence),
        threshold=threshold,
        deferral_rate=1.0 - int(sequence.kept[at]) / len(data.confidence),
        bound=test.upper_limit(at, question.alpha),
        empirical_loss=data.mean_loss(question.loss, kept),
        method=f"fixed sequence, {test.words}",
    )


def _uncertified(data: Measured, question: _Question, words: str) -> Certificate:
    needed, units = _labels_needed(question), data.units
    unit = "labels" if data.clusters is None else "clusters"
    if units < needed:
        missing = needed - units
        reason = f"{units} {unit} are too few: {needed} would do at the least, {missing} more"
    else:
        promise = f"{question.alpha:.1%} at {1 - question.delta:.0%} confidence"
        reason = f"even the surest answers lose too much to promise {promise}"
        enough = _alike(data, question)
        missing = max(0, enough - units)
        if missing:
            reason += f"; about {enough} {unit} would do, if the others are like these"
    return Certificate(
        state=CertificateState.UNCERTIFIED,
        loss=question.loss,
        alpha=question.alpha,
        delta=question.delta,
        n=len(data.confidence),
        threshold=None,
        deferral_rate=1.0,
        bound=None,
        method=f"fixed sequence, {words}",
        reasons=(reason,),
        labels_missing=missing,
    )


def _alike(data: Measured, question: _Question) -> int:
    """Give how many units would do if there were more of the same; 0 where that is not seen."""
    for times in _MORE:
        if len(data.confidence) * times > _MOST_ROWS:
            break
        clusters = None
        if data.clusters is not None:
            clusters = np.concatenate([data.clusters + k * data.units for k in range(times)])
        more = Measured(
            confidence=np.tile(data.confidence, times),
            edge=np.tile(data.edge, times),
            cloud=np.tile(data.cloud, times),
            clusters=clusters,
        )
        test, sequence = _prepared(more, question)
        first = _first(more, question, sequence)
        if test.first_failing(first, question.alpha) > first:
            return more.units
    return 0


def _for_groups(data: Measured, names: NDArray[np.generic], question: _Question) -> Certificate:
    """Certify the whole and each group at δ; the highest threshold holds for all.

    No part of δ is lost to the number of groups: the one promise, at one threshold T, is false
    only if some group g has T ≤ t*_g. Let g* have the highest t*; then T ≤ t*_g*, and as T is not
    below the threshold of g*, its test has rejected at t*_g*. g* and t*_g* are fixed, so the
    chance is at most δ (an intersection-union test: Berger 1982).
    """
    different = np.unique(names)
    found = [(_certify(data, question), "all examples")]
    for name in different:
        found.append((_certify(data.where(names == name), question), f"group `{name}`"))
    for made, where in found:
        if made.threshold is None:
            reasons = tuple(f"{where}: {reason}" for reason in made.reasons)
            return replace(made, n=len(data.confidence), reasons=reasons)
    binding, where = max(found, key=lambda pair: _known(pair[0].threshold))
    prepared = _prepared(data, question)
    at = int(np.flatnonzero(prepared[1].thresholds >= _known(binding.threshold))[-1])
    made = _certified(data, question, prepared, at)
    return replace(
        made,
        method=f"{made.method}; each of {len(different)} groups too",
        reasons=(f"the threshold is that of {where}",),
    )


def _known(threshold: float | None) -> float:
    assert threshold is not None
    return threshold


def _loss(loss: str | Loss) -> Loss:
    try:
        return Loss(loss)
    except ValueError as wrong:
        known = ", ".join(one.value for one in Loss)
        raise UsageError(
            f"no such loss: `{loss}`", where="certify", hint=f"one of: {known}"
        ) from wrong


def _method(method: str | Method) -> Method:
    try:
        return Method(method)
    except ValueError as wrong:
        known = ", ".join(one.value for one in Method)
        raise UsageError(
            f"no such method: `{method}`", where="certify", hint=f"one of: {known}"
        ) from wrong


def check_promise(alpha: float, delta: float) -> None:
    """See that both levels are between 0 and 1.

    Raises
    ------
    UsageError
        When one is not.
    """
    if not all(isinstance(one, Real) and 0.0 < one < 1.0 for one in (alpha, delta)):
        what = f"alpha is {alpha!r} and delta is {delta!r}"
        raise UsageError(
            what, where="certify", hint="give both between 0 and 1, such as 0.02 and 0.05"
        )
