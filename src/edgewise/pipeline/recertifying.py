"""Audited samples give a run its next certificate.

The audit samples kept and deferred requests alike, each with the same chance, and deferred ones
have both answers. So the samples are a plain random share of the requests that asked the nearest
tier first, and they are certified as a calibration set is: at any threshold, without weights.
"""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewise.calibrate import certify, coverage, disagreement_limit
from edgewise.errors import InvalidData, UsageError
from edgewise.observe import histogram_of, read_samples
from edgewise.pipeline.alone import alone_on
from edgewise.pipeline.calibrating import (
    check_into,
    check_levels,
    read_certified,
    write_certificate,
)
from edgewise.records import (
    AuditSample,
    Certificate,
    CertificateState,
    CloudAnswers,
    DriftRules,
    Loss,
    Policy,
    RecertifySummary,
    check_certificate,
    digest,
    encode,
    seal,
)
from edgewise.report import render_calibration

Floats = NDArray[np.float64]
AUDIT_FILE = "audit.sqlite"
_HINT = "give the columns `request_id` and `label`"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecertifyOrder:
    """What is asked of `recertify_run`. Made by the verb."""

    run: Path
    audit: Path | None = None
    """The file of samples; by default the run's."""
    labels: Path | None = None
    """CSV or JSONL with `request_id` and `label`; labels told to the auditor are known already."""
    alpha: float | None = None
    """`None`, here and below: as in the run's certificate."""
    delta: float | None = None
    loss: Loss | None = None
    whole: bool = False
    """Use samples from before the certificate was void too."""
    out: Path | None = None
    """Write here instead of into the run."""


class _By(Enum):
    """What says how good the answers of a sample are."""

    LABELS = "labels"
    JUDGE = "judge"
    ANSWERS = "answers"
    """Whether the edge's is the cloud's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Promise:
    """What the next certificate is to say, and of what."""

    loss: Loss
    alpha: float
    delta: float
    bundle_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Next:
    """The next certificate, and the samples that it is made from."""

    certificate: Certificate
    by: _By
    used: Sequence[AuditSample]
    there: int
    """Samples of the certificate before it."""
    labelled: int
    since_void: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Samples as `certify` takes them."""

    confidence: Floats
    edge: Floats
    cloud: Floats
    agrees: Floats


def recertify_run(order: RecertifyOrder) -> RecertifySummary:
    """Certify a run anew from its audited samples, and write certificate, policy and plot.

    Without labels the disagreement with the cloud is bounded. `regret` and `net` are never more
    than that, so their promise holds too; `kept_error` needs labels. A sample without the cloud's
    answer is taken as one that the edge got wrong and the cloud right.

    Raises
    ------
    InvalidRecord, IntegrityError, StorageError
        When the run or its audit does not hold together, can't be written, or another run is at
        work on it.
    InvalidData
        With file and line, when the labels can't be used.
    UsageError
        When the loss needs labels, or a level is out of range.
    """
    check_into(order.run, order.out)
    with alone_on(order.out or order.run):
        return _recertify(order)


def _recertify(order: RecertifyOrder) -> RecertifySummary:
    policy, before = read_certified(order.run)
    if order.alpha is None or order.delta is None or order.loss is None:
        check_levels(order.run, before)
    path = order.audit or order.run / AUDIT_FILE
    truths = {} if order.labels is None else read_truths(order.labels, policy.labels)
    promise = _promise(before, order.loss, order.alpha, order.delta)
    found = _next(policy, promise, path, truths, whole=order.whole)
    used, certificate = found.used, found.certificate
    summary = RecertifySummary(
        run=str(order.run),
        audit=str(path),
        samples=len(used),
        left_out=found.there - len(used),
        lost=sum(one.far_label is None for one in used),
        labelled=found.labelled,
        judged=sum(one.edge_quality is not None for one in used) if found.by is _By.JUDGE else None,
        since_void=found.since_void,
        certificate=certificate,
        threshold_before=policy.tiers[0].threshold,
    )
    if certificate.state is not CertificateState.CERTIFIED:
        return summary
    page = _page(order.run, certificate, _rows(used, found.by))
    watched = replace(policy, drift=_confidence_alone(used))
    written = write_certificate(order.run, order.out, watched, certificate, page)
    return replace(summary, written=written)


def recertify_policy(
    policy: Policy,
    audit: Path,
    *,
    loss: Loss | None = None,
    alpha: float | None = None,
    delta: float | None = None,
    whole: bool = False,
) -> Policy:
    """Give a policy without a run, such as one for text generation, its next certificate.

    Parameters
    ----------
    audit
        The file of samples of the policy's certificate. Where the policy has no labels, a judge
        has graded them.
    loss, alpha, delta
        `None` is as in the policy's certificate.
    whole
        Use samples from before the certificate was void too.

    Returns
    -------
    Policy
        Where the samples give no certificate, its own says why, and its threshold is `None`: every
        answer is deferred.

    Raises
    ------
    IntegrityError
        When the certificate was edited, or belongs to another model or threshold.
    InvalidRecord, StorageError
        When the file can't be read.
    UsageError
        When there is no certificate or no tier to defer to, the loss needs labels, or a level is
        out of range.
    """
    before = policy.certificate
    if before is None or len(policy.tiers) < 2:
        what = "a policy without a certificate" if before is None else "no tier to defer to"
        hint = "certify it first, such as by `edgewise.calibrate.certify_texts`"
        raise UsageError(what, where="recertify_policy", hint=hint)
    near = policy.tiers[0]
    check_certificate(before, bundle_sha256=policy.bundle_sha256, threshold=near.threshold)
    found = _next(policy, _promise(before, loss, alpha, delta), audit, {}, whole=whole)
    moved = replace(near, threshold=found.certificate.threshold)
    drift = _confidence_alone(found.used) if policy.drift and found.used else policy.drift
    tiers = (moved, *policy.tiers[1:])
    return replace(policy, tiers=tiers, certificate=found.certificate, drift=drift)


def _promise(
    before: Certificate, loss: Loss | None, alpha: float | None, delta: float | None
) -> _Promise:
    return _Promise(
        loss=loss or before.loss,
        alpha=before.alpha if alpha is None else alpha,
        delta=before.delta if delta is None else delta,
        bundle_sha256=before.bundle_sha256,
    )


def _confidence_alone(used: Sequence[AuditSample]) -> DriftRules:
    """Give what is watched: an audit keeps no inputs, so of them only confidence is known."""
    known = histogram_of("confidence", [one.confidence for one in used])
    return DriftRules(reference=(known,))


def _next(
    policy: Policy, asked: _Promise, path: Path, truths: Mapping[str, str], *, whole: bool
) -> _Next:
    """Certify a promise by the samples of the policy's certificate in a file."""
    key = digest(policy.certificate) if policy.certificate is not None else ""
    there = [sample for owner, sample in read_samples(path) if owner == key]
    there = [replace(one, truth=truths.get(one.request_id, one.truth)) for one in there]
    void = not whole and any(one.void for one in there)
    used = _alike([one for one in there if one.void or not void])
    labelled = [one for one in used if one.truth is not None]
    by = _by(policy, asked.loss, used)
    if asked.loss is Loss.KEPT_ERROR and by is _By.ANSWERS:
        what, hint = "`kept_error` needs labels", "give --labels, or --loss disagreement"
        raise UsageError(what, where="recertify", hint=hint)
    warnings = _warnings(used, len(labelled), by, asked.loss)
    used = labelled if by is _By.LABELS else used
    made = _certify(asked, used, by, known_labels=bool(policy.labels))
    made = seal(replace(made, warnings=(*made.warnings, *warnings)))
    return _Next(
        certificate=made,
        by=by,
        used=used,
        there=len(there),
        labelled=len(labelled),
        since_void=void,
    )


def _by(policy: Policy, loss: Loss, samples: Sequence[AuditSample]) -> _By:
    """Choose by what there is: true labels before a judge's word, that before mere difference.

    How often labels differ, neither the truth nor a judge says: a judge's marks may be of anything.
    """
    if policy.labels and loss is Loss.DISAGREEMENT:
        return _By.ANSWERS
    labelled = any(one.truth is not None for one in samples)
    if labelled and policy.labels:
        return _By.LABELS
    judged = any(one.edge_quality is not None for one in samples)
    return _By.JUDGE if judged or not policy.labels else _By.ANSWERS


def read_truths(path: Path, labels: Sequence[str]) -> dict[str, str]:
    """Read true labels by request id, from CSV or JSONL.

    Raises
    ------
    InvalidData
        With file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as failure:
        what = f"can't be read: {type(failure).__name__}"
        raise InvalidData(what, where=str(path), hint=_HINT) from failure
    found: dict[str, str] = {}
    for line, row in _rows_of(path, text):
        name, label = row.get("request_id"), row.get("label")
        if not isinstance(name, str) or not isinstance(label, str) or not name:
            raise InvalidData("no request id or no label", where=f"{path}:{line}", hint=_HINT)
        if label not in labels:
            what, hint = f"label `{label}` is none of the bundle's", f"one of {list(labels)[:10]}"
            raise InvalidData(what, where=f"{path}:{line}", hint=hint)
        found[name] = label
    return found


def _rows_of(path: Path, text: str) -> list[tuple[int, Mapping[str, object]]]:
    if path.suffix.lower() != ".jsonl":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        try:
            return [(reader.line_num, row) for row in reader]
        except csv.Error as wrong:
            hint = "look for a quote that is not closed"
            raise InvalidData(f"no CSV: {wrong}", where=str(path), hint=hint) from wrong
    found: list[tuple[int, Mapping[str, object]]] = []
    for line, one in enumerate(text.split("\n"), start=1):
        try:
            row = json.loads(one) if one.strip() else None
        except (ValueError, RecursionError) as wrong:
            raise InvalidData("no JSON", where=f"{path}:{line}", hint=_HINT) from wrong
        if isinstance(row, dict):
            found.append((line, row))
        elif row is not None:
            raise InvalidData("no JSON object", where=f"{path}:{line}", hint=_HINT)
    return found


def _alike(samples: Sequence[AuditSample]) -> list[AuditSample]:
    """Thin samples to the lowest share that any was drawn at, by a fixed draw of their ids."""
    least = min((one.share for one in samples), default=1.0)
    return [one for one in samples if _draw(one.request_id) * one.share < least]


def _draw(name: str) -> float:
    number = int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:7])
    return number / 2.0**56


def _rows(samples: Sequence[AuditSample], by: _By) -> _Rows:
    """Give qualities; what nobody knows is taken as if the cloud had been right, the edge not."""
    lost = np.array([one.far_label is None for one in samples])
    agrees = np.array([one.edge_label == one.far_label for one in samples], dtype=float)
    edge, cloud = agrees, np.ones(len(samples))
    if by is _By.LABELS:
        edge = np.array([one.edge_label == one.truth for one in samples], dtype=float)
        right = np.array([one.far_label == one.truth for one in samples])
        edge, cloud = np.where(lost, 0.0, edge), np.asarray(lost | right, dtype=float)
    elif by is _By.JUDGE:
        edge = np.array([0.0 if one.edge_quality is None else one.edge_quality for one in samples])
        cloud = np.array([1.0 if one.far_quality is None else one.far_quality for one in samples])
    confidence = np.array([one.confidence for one in samples], dtype=float)
    return _Rows(confidence=confidence, edge=edge, cloud=cloud, agrees=agrees)


def _certify(
    asked: _Promise, samples: Sequence[AuditSample], by: _By, *, known_labels: bool
) -> Certificate:
    loss, alpha, delta = asked.loss, asked.alpha, asked.delta
    text = json.dumps([encode(one) for one in samples], sort_keys=True)
    known = {
        "cloud_answers": CloudAnswers.AUDIT,
        "bundle_sha256": asked.bundle_sha256,
        "calibration_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    if not samples:
        bare = Certificate(
            state=CertificateState.UNCERTIFIED,
            loss=loss,
            alpha=alpha,
            delta=delta,
            n=0,
            threshold=None,
            deferral_rate=1.0,
            bound=None,
            reasons=("there is no audited sample of this certificate that may be used",),
        )
        return replace(bare, **known)  # type: ignore[arg-type]
    rows = _rows(samples, by)
    made = certify(rows.confidence, rows.edge, rows.cloud, loss=loss, alpha=alpha, delta=delta)
    limit = None
    if known_labels:  # texts differ always
        limit = disagreement_limit(made, rows.confidence, rows.agrees)
    return replace(made, disagreement_limit=limit, **known)  # type: ignore[arg-type]


def _warnings(used: Sequence[AuditSample], labelled: int, by: _By, loss: Loss) -> tuple[str, ...]:
    found = ["the samples are of requests that asked the nearest tier first and might leave it"]
    if by is _By.LABELS and labelled < len(used):
        found.append(
            f"{labelled} of {len(used)} samples have labels: it holds only where those were "
            "chosen without a look at the answers"
        )
    unjudged = sum(one.edge_quality is None for one in used)
    if by is _By.JUDGE and unjudged:
        found.append(f"{unjudged} of {len(used)} samples were not judged: they count as lost")
    if by is _By.ANSWERS and loss is not Loss.DISAGREEMENT:
        found.append(
            f"without labels: disagreement was bounded, and `{loss.value}` is never more than that"
        )
    return tuple(found)


def _page(run: Path, certificate: Certificate, rows: _Rows) -> str:
    points = coverage(
        rows.confidence,
        rows.edge,
        rows.cloud,
        loss=certificate.loss,
        delta=certificate.delta,
    )
    curve = [(one.deferral_rate, one.empirical_loss, one.bound) for one in points]
    return render_calibration(run.resolve().name, certificate, curve)
