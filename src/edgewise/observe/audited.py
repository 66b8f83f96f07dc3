"""What of a certificate is tested on live answers, and what an answer lost. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgewise.errors import InvalidData
from edgewise.records import AuditRules, Certificate, CertificateState, Loss

LIMIT_PART = 0.1
"""Of delta: what the certificate's `disagreement_limit` has used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What the test of one certificate doubts."""

    words: str = ""
    judged: bool = False
    """Whether a judge says how good both answers are."""
    answers_alpha: float | None = None
    """The share of disagreement that is doubted, or the loss by the judge; `None` where answers
    alone say nothing."""
    labels_alpha: float | None = None
    signed: bool = False
    """Of the loss by labels or by the judge: whether it may be below 0."""
    among_kept: bool = False
    """Whether a request counts only where its answer was kept."""
    refuted_from: float = math.inf
    """The evidence, of either kind, that makes the certificate void."""


def doubted_of(
    certificate: Certificate | None, rules: AuditRules, *, judged: bool = False
) -> Tested:
    """Say what answers, and true labels where they are promised, can refute.

    By a judge of answers the certified loss itself is seen, and tested against alpha. Without one,
    and without labels, only disagreement with the farthest tier is. Where that is the certified
    loss, it is tested against alpha. It is no less than `regret`, and that no less than `net`, so
    a disagreement above alpha refutes neither; but if requests are as they were when the
    certificate was made, it stays within the limit found then. Above it, they are not.
    """
    if certificate is None or certificate.state is not CertificateState.CERTIFIED:
        return Tested(judged=judged)
    loss, delta = certificate.loss, certificate.delta
    words = []
    answers: float | None = certificate.alpha
    if judged:
        words.append(f"{loss.value} ≤ {certificate.alpha:.4g} by the judge")
    elif loss is Loss.DISAGREEMENT:
        words.append(f"disagreement ≤ {certificate.alpha:.4g}")
    else:
        answers = certificate.disagreement_limit
        if answers is not None and not 0.0 < answers < 1.0:
            answers = None
        if answers is not None:
            delta *= 1.0 - LIMIT_PART
            words.append(f"disagreement ≤ {answers:.4g}, as when it was certified")
    labels = None
    if loss is not Loss.DISAGREEMENT and rules.label_share > 0.0:
        labels = certificate.alpha
        words.append(f"{loss.value} ≤ {certificate.alpha:.4g} by labels")
    count = (answers is not None) + (labels is not None)
    return Tested(
        words="; ".join(words),
        judged=judged,
        answers_alpha=answers,
        labels_alpha=labels,
        signed=loss is Loss.NET,
        among_kept=loss is Loss.KEPT_ERROR,
        refuted_from=count / delta if count else math.inf,
    )


def check_label(request_id: str, label: str, labels: Sequence[str] = ()) -> None:
    """See that a true label and the id of its request are texts that can be stored.

    Parameters
    ----------
    labels
        Of the policy: another one would accuse whatever was answered. Without any, all are taken.

    Raises
    ------
    InvalidData
        When one is not.
    """
    for name, value in (("request_id", request_id), ("label", label)):
        # Lone surrogates have no UTF-8.
        if not isinstance(value, str) or any("\ud800" <= one <= "\udfff" for one in value):
            what = f"`{name}` is no text: {value!r:.80}"
            hint = "give the result's `request_id`, and the label's name"
            raise InvalidData(what, where="Auditor.record_label", hint=hint)
    if labels and label not in labels:
        what = f"label `{label:.80}` is none of the policy's"
        hint = f"one of {list(labels)[:10]}"
        raise InvalidData(what, where="Auditor.record_label", hint=hint)


def loss_by_quality(loss: Loss, edge: float, far: float) -> float:
    """Give what keeping the edge's answer lost, of two qualities from 0 to 1."""
    if loss is Loss.NET:
        return far - edge
    if loss is Loss.REGRET:
        return max(far - edge, 0.0)
    return 1.0 - edge


def stopgap_threshold(
    samples: Sequence[tuple[float, float]], most: float, delta: float
) -> float | None:
    """Give the lowest confidence from which on recent samples lose little; `None` if none does.

    A stopgap until there is another certificate, not a promise: an upper limit for a Poisson count
    is walked from the highest confidence down until it exceeds `most`.

    Parameters
    ----------
    samples
        Confidence and loss of requests sampled alike, whether kept or deferred.
    """
    level = math.log(1.0 / delta)
    found, total = None, 0.0
    ordered = sorted(samples, reverse=True)
    for place, (confidence, loss) in enumerate(ordered):
        total += max(loss, 0.0)
        if (total + level + math.sqrt(2.0 * level * total)) / len(ordered) > most:
            break
        if place + 1 == len(ordered) or ordered[place + 1][0] < confidence:
            found = confidence
    return found
