"""New labels give a run a new certificate: the bundle answers them, a threshold is chosen."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewise.calibrate import (
    certify,
    check_promise,
    confidences,
    coverage,
    disagreement_limit,
    repeats_warning,
)
from edgewise.errors import IntegrityError, InvalidData, StorageError, UsageError
from edgewise.pipeline.alone import alone_on
from edgewise.pipeline.answers import inputs_of_task, local_answers
from edgewise.pipeline.swap import replace_run
from edgewise.pipeline.verify import HASHED, PAGE
from edgewise.pipeline.watching import drift_rules
from edgewise.profile import describe_target
from edgewise.records import (
    CalibrateSummary,
    Certificate,
    CertificateState,
    CertificateSummary,
    CloudAnswers,
    DriftRules,
    Example,
    Loss,
    Policy,
    Progress,
    RunSummary,
    Split,
    Task,
    digest,
    read_json,
    seal,
    silent,
    write_json,
    write_text,
)
from edgewise.report import render_calibration
from edgewise.route import detect
from edgewise.runtimes import bundle_sha256, hash_file, open_bundle, read_manifest
from edgewise.spec import read_columns, read_sample

Floats = NDArray[np.float64]
_ONE_BY_ONE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateOrder:
    """What is asked of `calibrate_run`. Made by the verb."""

    run: Path
    labels: Path
    alpha: float | None = None
    """`None`, here and below: as in the run's certificate."""
    delta: float | None = None
    loss: Loss | None = None
    cloud_column: str = ""
    """The labels file's column of the cloud's answers; without it the cloud is taken for right."""
    group_column: str = ""
    cluster_column: str = ""
    out: Path | None = None
    """Write here instead of into the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Labelled:
    """The rows of the labels file that may leave the device."""

    split: Split
    cloud: tuple[str, ...] | None
    groups: tuple[str, ...] | None
    clusters: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rights:
    """Calibrated confidence of the edge, and who was right."""

    confidence: Floats
    edge: Floats
    cloud: Floats
    agrees: Floats
    drift: DriftRules
    """What these rows look like."""


def calibrate_run(order: CalibrateOrder, progress: Progress = silent) -> CalibrateSummary:
    """Certify a run anew with other labels, and write certificate, policy and plot.

    The run's own plan and report stay as they are. The labels must not have trained anything.

    Raises
    ------
    InvalidRecord, IntegrityError
        When the run does not hold together.
    InvalidData
        With file and line, when the labels can't be used.
    UsageError
        When there is no tier to defer to, or a level is out of range.
    StorageError
        When it can't be written, or another run is at work on it.
    """
    check_into(order.run, order.out)
    with alone_on(order.out or order.run):
        return _calibrate(order, progress)


def check_into(run: Path, into: Path | None) -> None:
    """See that a certificate of a run does not go into another one, whose parts it does not fit.

    Raises
    ------
    StorageError
        When there is another run.
    """
    if into is not None and into.resolve() != run.resolve() and (into / "run.json").exists():
        what, hint = "it holds another run", "choose another with --out, or leave it out"
        raise StorageError(what, where=str(into), hint=hint)


def _calibrate(order: CalibrateOrder, progress: Progress) -> CalibrateSummary:
    policy, before = read_certified(order.run)
    if order.alpha is None or order.delta is None or order.loss is None:
        check_levels(order.run, before)
    loss = order.loss or before.loss
    alpha = before.alpha if order.alpha is None else order.alpha
    delta = before.delta if order.delta is None else order.delta
    check_promise(alpha, delta)  # here, and not after the edge has answered for minutes
    labelled = _labelled(order, policy, loss)
    rights = _answer(order, policy, labelled, loss, progress)
    made = certify(
        rights.confidence,
        rights.edge,
        rights.cloud,
        loss=loss,
        alpha=alpha,
        delta=delta,
        groups=labelled.groups,
        clusters=labelled.clusters,
    )
    repeats = repeats_warning([example.identity for example in labelled.split.examples])
    answers, limit = CloudAnswers.ASSUME_RIGHT, None
    if labelled.cloud is not None:
        answers = CloudAnswers.COLUMN
        limit = disagreement_limit(
            made, rights.confidence, rights.agrees, clusters=labelled.clusters
        )
    certificate = seal(
        replace(
            made,
            cloud_answers=answers,
            disagreement_limit=limit,
            bundle_sha256=policy.bundle_sha256,
            calibration_sha256=labelled.split.sha256,
            warnings=(*made.warnings, *repeats),
        )
    )
    summary = CalibrateSummary(
        run=str(order.run),
        labels=str(order.labels),
        labels_would_do=_would_do(certificate, labelled.clusters),
        certificate=certificate,
        edge_accuracy=float(rights.edge.mean()),
        cloud_accuracy=float(rights.cloud.mean()),
    )
    if certificate.state is not CertificateState.CERTIFIED:
        return summary
    page = _page(order, certificate, rights, labelled.clusters)
    watched = replace(policy, drift=rights.drift)
    return replace(
        summary, written=write_certificate(order.run, order.out, watched, certificate, page)
    )


def _would_do(certificate: Certificate, clusters: tuple[str, ...] | None) -> int | None:
    """Give how many rows would do; of clusters, with as many rows each as these have."""
    missing, n = certificate.labels_missing, certificate.n
    if not missing:
        return None
    units = n if clusters is None else len(set(clusters))
    return -(-n * (units + missing) // units)


def read_certified(run: Path) -> tuple[Policy, Certificate]:
    """Read a run's policy and certificate, and see that they belong to its bundle.

    Raises
    ------
    InvalidRecord, IntegrityError
        When the run does not hold together.
    UsageError
        When there is no tier to defer to.
    """
    policy = read_json(Policy, run / "policy.json")
    before = read_json(Certificate, run / "certificate.json")
    bundle = bundle_sha256(read_manifest(run / "bundle", verify=True))
    if policy.bundle_sha256 != bundle:
        what = f"made for bundle {policy.bundle_sha256[:12]}, and this one is {bundle[:12]}"
        hint = "run `edgewise run` again"
        raise IntegrityError(what, where=str(run / "policy.json"), hint=hint)
    if len(policy.tiers) < 2:
        what, hint = "there is no tier to defer to", "add `tiers.cloud` and run `edgewise run`"
        raise UsageError(what, where=str(run), hint=hint)
    return policy, before


def check_levels(run: Path, before: Certificate) -> None:
    """See that nobody changed the certificate whose loss and levels the next one takes over.

    Raises
    ------
    IntegrityError
        When it was changed.
    """
    if seal(before) != before:
        what = "it was changed after it was made, and the next takes its loss and levels from it"
        hint = "give `--loss`, `--alpha` and `--delta`, or run `edgewise run` again"
        raise IntegrityError(what, where=str(run / "certificate.json"), hint=hint)


def _labelled(order: CalibrateOrder, policy: Policy, loss: Loss) -> _Labelled:
    path = order.labels
    task, split = read_sample(path)
    if task.value != policy.task:
        what = f"the file is for {task.value}, and the run for {policy.task}"
        hint = "give a column `label`, and `text` or `image`"
        raise InvalidData(what, where=str(path), hint=hint)
    labels_are = f"labels are: {', '.join(policy.labels[:10])}"
    for row, example in enumerate(split.examples, start=1):
        if example.label not in policy.labels:
            what = f"label `{example.label}` is none of the bundle's"
            raise InvalidData(what, where=f"{path}: row {row}", hint=labels_are)
    if loss is Loss.DISAGREEMENT and not order.cloud_column:
        what, hint = "`disagreement` needs the cloud's answers", "name their column"
        raise UsageError(what, where="cloud column", hint=hint)
    names = (order.cloud_column, order.group_column, order.cluster_column)
    columns = read_columns(path, [name for name in names if name])
    cloud = tuple(one.strip() for one in columns.get(order.cloud_column, ()))
    for row, answer in enumerate(cloud, start=1):
        if answer not in policy.labels:  # it would count as wrong, and excuse the edge
            what = f"the cloud's answer `{answer}` is no label"
            raise InvalidData(what, where=f"{path}: row {row}", hint=labels_are)
    keep = _leaving(split.examples, policy)
    if not keep:
        what, hint = "privacy keeps every row on the device", "give labels of other requests"
        raise InvalidData(what, where=str(path), hint=hint)

    def kept(name: str) -> tuple[str, ...] | None:
        return tuple(columns[name][at] for at in keep) if name else None

    examples = tuple(split.examples[at] for at in keep)
    return _Labelled(
        split=Split(name="labels", examples=examples, sha256=split.sha256),
        cloud=tuple(cloud[at] for at in keep) if cloud else None,
        groups=kept(order.group_column),
        clusters=kept(order.cluster_column),
    )


def _leaving(examples: tuple[Example, ...], policy: Policy) -> list[int]:
    if policy.task == Task.IMAGE_CLASSIFICATION.value or not policy.privacy.detect:
        return list(range(len(examples)))
    return [at for at, one in enumerate(examples) if not detect(one.input, policy.privacy.detect)]


def _answer(
    order: CalibrateOrder, policy: Policy, labelled: _Labelled, loss: Loss, progress: Progress
) -> _Rights:
    truth = [example.label for example in labelled.split.examples]
    inputs = inputs_of_task(Task(policy.task), labelled.split.examples)
    workers = describe_target(_ONE_BY_ONE, "onnxruntime").cores
    model = open_bundle(order.run / "bundle", threads=_ONE_BY_ONE)
    try:
        answers = local_answers(model, inputs, workers, progress, "edge on labels")
        lengths = [model.length(one) for one in inputs]
    finally:
        model.close()
    cloud = labelled.cloud or tuple(truth)
    wanted = list(cloud) if loss is Loss.DISAGREEMENT else truth
    confidence = confidences(
        policy.tiers[0].confidence,
        np.asarray(answers.probabilities),
        energy=answers.energies,
        length=lengths,
    )
    return _Rights(
        confidence=confidence,
        edge=np.array([a == b for a, b in zip(answers.labels, wanted, strict=True)], dtype=float),
        cloud=np.array([a == b for a, b in zip(cloud, wanted, strict=True)], dtype=float),
        agrees=np.array([a == b for a, b in zip(answers.labels, cloud, strict=True)], dtype=float),
        drift=drift_rules(
            inputs,
            [float(length) for length in lengths],
            confidence,
            answers.probabilities,
            () if policy.drift is None else policy.drift.directions,
        ),
    )


def _page(
    order: CalibrateOrder,
    certificate: Certificate,
    rights: _Rights,
    clusters: tuple[str, ...] | None,
) -> str:
    points = coverage(
        rights.confidence,
        rights.edge,
        rights.cloud,
        loss=certificate.loss,
        delta=certificate.delta,
        clusters=clusters,
    )
    curve = [(one.deferral_rate, one.empirical_loss, one.bound) for one in points]
    return render_calibration(order.run.resolve().name, certificate, curve)


def write_certificate(
    run: Path, into: Path | None, policy: Policy, certificate: Certificate, page: str
) -> tuple[str, ...]:
    """Write certificate, policy and plot into a run in one step, or beside it; gives their paths.

    Raises
    ------
    StorageError
        When they can't be written; the run is as it was.
    """
    edge = replace(policy.tiers[0], threshold=certificate.threshold)
    changed = replace(policy, tiers=(edge, *policy.tiers[1:]), certificate=certificate)
    out = into or run

    def put(folder: Path) -> None:
        write_json(folder / "certificate.json", certificate)
        write_json(folder / "policy.json", changed)
        write_text(folder / PAGE, page)

    if into is not None and into.resolve() != run.resolve():
        put(into)
    else:
        _replace(run, certificate, put)
    return tuple(str(out / name) for name in ("certificate.json", "policy.json", PAGE))


def _replace(run: Path, certificate: Certificate, put: Callable[[Path], None]) -> None:
    """Exchange the run for one with these parts, its hashes and summary made to fit."""
    summary = read_json(RunSummary, run / "run.json")

    def fill(folder: Path) -> None:
        shutil.copytree(run / "bundle", folder / "bundle")
        for name in HASHED:
            shutil.copy2(run / name, folder / name)
        put(folder)
        parts = {name: hash_file(folder / name) for name in HASHED}
        changed = replace(
            summary,
            certificate=CertificateSummary.of(certificate),
            parts_sha256=parts,
            summary_sha256="",
        )
        write_json(folder / "run.json", replace(changed, summary_sha256=digest(changed)))

    replace_run(run, ("bundle", *HASHED, PAGE, "run.json"), fill)
