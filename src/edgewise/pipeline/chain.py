"""The build-time chain: spec → optimize → profile → calibrate → plan → report, each step cached."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgewise.calibrate import (
    certify,
    confidences,
    disagreement_limit,
    fit_confidence,
    repeats_warning,
)
from edgewise.errors import StorageError
from edgewise.optimize import candidates_folder, held_out, optimize
from edgewise.pipeline.alone import alone_on, check_place
from edgewise.pipeline.answers import (
    CloudCaller,
    LocalAnswers,
    SecretReader,
    clusters_of,
    inputs_of,
    local_answers,
    may_leave,
)
from edgewise.pipeline.cache import Cache, clear
from edgewise.pipeline.planning import check_trace, plan_measured
from edgewise.pipeline.policy import make_policy
from edgewise.pipeline.publish import Outcome, publish
from edgewise.pipeline.quality import (
    TestAnswers,
    decisions_by_confidence,
    deferral_curve,
    measure_quality,
)
from edgewise.pipeline.racing import make_race
from edgewise.pipeline.sourcing import hash_source
from edgewise.pipeline.watching import directions_of, drift_rules
from edgewise.plan import measured
from edgewise.profile import describe_target, find_runtimes, measure
from edgewise.records import (
    Candidate,
    Certificate,
    CertificateState,
    CloudAnswers,
    ConfidenceMap,
    DriftRules,
    Input,
    Loss,
    Profile,
    Progress,
    ProjectSpec,
    RunSummary,
    Split,
    digest,
    read_json,
    seal,
    silent,
    write_json,
)
from edgewise.runtimes import LocalModel, bundle_sha256, open_bundle, read_manifest
from edgewise.spec import check_overlap, read_split

_PROFILE_INPUTS = 400
_SELECTION_INPUTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The chain ended in a "no": nothing may ship. The reasons say what every candidate missed."""

    name: str
    stage: str
    reasons: tuple[str, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _OptimizeOutcome:
    candidates: tuple[Candidate, ...]
    ok: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Splits:
    train: Split
    calibration: Split
    test: Split


def run_project(
    spec: ProjectSpec,
    out: Path,
    *,
    secret: SecretReader,
    cache: Path | None = None,
    progress: Progress = silent,
) -> RunSummary | Refusal:
    """Do the whole build-time chain and write the run directory.

    Parameters
    ----------
    spec
        The project, as `edgewise.spec.load_spec` gives it.
    out
        The run directory. Its parts are swapped in whole, at the end.
    secret
        Reads an API key from where the spec says it is.
    cache
        Where results of stages are kept; `.edgewise` beside the project file by default.
    progress
        Told of every stage's progress.

    Returns
    -------
    RunSummary or Refusal
        A `Refusal` when no candidate passed the fidelity gate and the target's limits.

    Raises
    ------
    EdgewiseError
        For every mistake in the project, its data, its model or its endpoint; when another run is
        at work on `out`, or it holds what `edgewise optimize` made.
    """
    check_place(out, "run.json")
    if (out / "candidates.json").is_file() and not (out / "run.json").exists():
        what, hint = "it holds what `edgewise optimize` made", "choose another with --out"
        raise StorageError(what, where=str(out), hint=hint)
    with alone_on(out):
        return _run(
            spec,
            out,
            Cache(cache or spec.path.parent / ".edgewise"),
            secret=secret,
            progress=progress,
        )


def _run(
    spec: ProjectSpec, out: Path, kept: Cache, *, secret: SecretReader, progress: Progress
) -> RunSummary | Refusal:
    splits = _read_splits(spec)
    check_trace(spec)
    caller, spent_usd = None, 0.0
    if spec.cloud is not None:
        caller = CloudCaller(spec, spec.cloud, (), kept, secret)
        spent_usd = caller.check_budget(
            [may_leave(spec, s) for s in (splits.calibration, splits.test)]
        )
        progress(f"cloud answers cost at most {spent_usd:.2f} USD", 0, 0)
    outcome, folder = _optimize(spec, splits.train, kept, progress)
    if not outcome.ok:
        return Refusal(
            name=spec.name, stage="optimize", reasons=outcome.reasons, candidates=outcome.candidates
        )
    profile = _profile(spec, folder / "bundle", splits.train, kept, progress)
    model = open_bundle(folder / "bundle", threads=1)
    source = open_bundle(folder / "reference", threads=1)
    try:
        if spec.cloud is not None:
            caller = CloudCaller(spec, spec.cloud, model.labels, kept, secret)
        confidence = _confidence(spec, model, held_out(splits.train), kept, progress)
        certificate = _certificate(
            spec, model, splits.calibration, confidence, caller, kept, progress
        )
        drift = _drift(spec, model, splits, confidence, kept, progress)
        test = _test_answers(spec, model, source, splits.test, confidence, caller, kept, progress)
    finally:
        model.close()
        source.close()
    quality = measure_quality(test, certificate)
    policy = make_policy(spec, model.labels, profile, certificate, confidence, drift)
    decisions = decisions_by_confidence(test, certificate)
    evidence = measured(profile, certificate, quality, deferral_curve(test), decisions)
    made = plan_measured(spec, profile, evidence, kept)
    return publish(
        Outcome(
            spec=spec,
            bundle=folder / "bundle",
            candidates=outcome.candidates,
            profile=profile,
            confidence=confidence,
            certificate=certificate,
            policy=policy,
            quality=quality,
            plan=made,
            test=test,
        ),
        out,
        kept,
    )


def _read_splits(spec: ProjectSpec) -> _Splits:
    splits = _Splits(
        train=read_split(spec, "train"),
        calibration=read_split(spec, "calibration"),
        test=read_split(spec, "test"),
    )
    check_overlap((splits.train, splits.calibration, splits.test))
    return splits


def _optimize(
    spec: ProjectSpec, train: Split, cache: Cache, progress: Progress
) -> tuple[_OptimizeOutcome, Path]:
    target = describe_target(spec.edge.threads, "onnxruntime")
    parts = (
        spec.task,
        hash_source(spec.model),
        spec.model.labels,
        spec.model.max_length,
        spec.model.image,
        train.sha256,
        spec.edge,
        spec.objective,
        spec.optimize,
        spec.name,
        spec.cloud is None,
        digest(target),
        find_runtimes(),
    )

    def probe(bundle: Path, inputs: Sequence[Input]) -> Profile:
        threads = read_manifest(bundle, verify=False).threads
        return measure(bundle, inputs[:_SELECTION_INPUTS], threads=threads)

    shared = cache.folder / "features"

    def make(folder: Path) -> None:
        try:
            found(folder)
        finally:
            clear(candidates_folder(shared, spec.name))

    def found(folder: Path) -> None:
        result = optimize(
            spec,
            train,
            shared,
            probe=probe,
            race=make_race(cache, parts, _SELECTION_INPUTS, progress),
            workers=target.cores,
            progress=progress,
        )
        if result.ok:
            shutil.copytree(result.chosen, folder / "bundle")
            shutil.copytree(result.reference, folder / "reference")
        outcome = _OptimizeOutcome(
            candidates=result.candidates, ok=result.ok, reasons=result.reasons
        )
        write_json(folder / "outcome.json", outcome)

    folder = cache.directory("optimize", parts, make)
    return read_json(_OptimizeOutcome, folder / "outcome.json"), folder


def _profile(
    spec: ProjectSpec, bundle: Path, train: Split, cache: Cache, progress: Progress
) -> Profile:
    manifest = read_manifest(bundle)
    sha256, threads = bundle_sha256(manifest), manifest.threads
    target = describe_target(threads, manifest.runtime)
    inputs = inputs_of(spec, held_out(train).examples[:_PROFILE_INPUTS])
    return cache.record(
        "profile",
        (sha256, train.sha256, digest(target)),
        Profile,
        lambda: measure(bundle, inputs, threads=threads, progress=progress),
    )


def _runs_on(model: LocalModel) -> tuple[str, ...]:
    """Give what a model's answers hang on beside its bytes: runtime and processor."""
    target = describe_target(1, model.manifest.runtime)
    return (target.runtime, target.runtime_version, target.cpu, *target.cpu_features)


def _answers(
    spec: ProjectSpec, model: LocalModel, split: Split, cache: Cache, progress: Progress
) -> LocalAnswers:
    """Run a bundle over a split once for all."""
    inputs = inputs_of(spec, split.examples)
    workers = describe_target(1, "onnxruntime").cores
    return cache.record(
        "answers",
        (model.sha256, _runs_on(model), split.sha256, len(inputs)),
        LocalAnswers,
        lambda: local_answers(model, inputs, workers, progress, f"edge on {split.name}"),
    )


def _right(labels: tuple[str, ...], split: Split) -> tuple[bool, ...]:
    return tuple(a == e.label for a, e in zip(labels, split.examples, strict=True))


def _confidence(
    spec: ProjectSpec, model: LocalModel, split: Split, cache: Cache, progress: Progress
) -> ConfidenceMap:
    answers = _answers(spec, model, split, cache, progress)
    right = np.asarray(_right(answers.labels, split), dtype=float)
    return fit_confidence(
        np.asarray(answers.probabilities),
        right,
        choice=spec.optimize.calibration,
        clusters=clusters_of(split),
    )


def _certificate(
    spec: ProjectSpec,
    model: LocalModel,
    split: Split,
    confidence: ConfidenceMap,
    caller: CloudCaller | None,
    cache: Cache,
    progress: Progress,
) -> Certificate:
    alpha = spec.objective.max_quality_loss
    delta = round(1.0 - spec.objective.confidence, 12)  # 0.05, where floats would make it more
    if caller is None or spec.cloud is None:
        bare = Certificate(
            state=CertificateState.UNCERTIFIED,
            loss=spec.objective.loss,
            alpha=alpha,
            delta=delta,
            n=0,
            threshold=None,
            deferral_rate=0.0,
            bound=None,
            reasons=(
                "there is no cloud tier to defer to, so there is no loss against it to bound",
            ),
            bundle_sha256=model.sha256,
            calibration_sha256=split.sha256,
        )
        return seal(bare)
    leaving = may_leave(spec, split)
    answers = _answers(spec, model, leaving, cache, progress)
    cloud = caller.labels_for(leaving, progress)
    edge_right: tuple[bool, ...] = _right(answers.labels, leaving)
    cloud_right = _right(cloud, leaving)
    if spec.objective.loss is Loss.DISAGREEMENT:
        edge_right = tuple(a == b for a, b in zip(answers.labels, cloud, strict=True))
        cloud_right = (True,) * len(cloud)
    values = confidences(confidence, np.asarray(answers.probabilities))
    made = certify(
        values,
        np.asarray(edge_right, dtype=float),
        np.asarray(cloud_right, dtype=float),
        loss=spec.objective.loss,
        alpha=alpha,
        delta=delta,
        clusters=clusters_of(leaving),
    )
    repeats = repeats_warning([example.identity for example in leaving.examples])
    limit = None
    if spec.cloud.answers is not CloudAnswers.ASSUME_RIGHT:
        agrees = [a == b for a, b in zip(answers.labels, cloud, strict=True)]
        limit = disagreement_limit(
            made, values, np.asarray(agrees, dtype=float), clusters=clusters_of(leaving)
        )
    return seal(
        replace(
            made,
            cloud_answers=spec.cloud.answers,
            disagreement_limit=limit,
            bundle_sha256=model.sha256,
            calibration_sha256=split.sha256,
            warnings=(*made.warnings, *repeats),
        )
    )


def _drift(
    spec: ProjectSpec,
    model: LocalModel,
    splits: _Splits,
    confidence: ConfidenceMap,
    cache: Cache,
    progress: Progress,
) -> DriftRules:
    """Say what the calibration split looks like, along directions that the train split gave."""
    leaving = may_leave(spec, splits.calibration)
    inputs = inputs_of(spec, leaving.examples)
    answers = _answers(spec, model, leaving, cache, progress)
    fitted = _answers(spec, model, held_out(splits.train), cache, progress)

    def make() -> DriftRules:
        return drift_rules(
            inputs,
            [float(model.length(one)) for one in inputs],
            confidences(confidence, np.asarray(answers.probabilities)),
            answers.probabilities,
            directions_of(fitted.probabilities),
        )

    found = (splits.train.sha256, leaving.sha256, len(inputs), digest(confidence))
    parts = (model.sha256, _runs_on(model), *found)
    return cache.record("drift", parts, DriftRules, make)


def _test_answers(
    spec: ProjectSpec,
    model: LocalModel,
    source: LocalModel,
    split: Split,
    confidence: ConfidenceMap,
    caller: CloudCaller | None,
    cache: Cache,
    progress: Progress,
) -> TestAnswers:
    leaving = may_leave(spec, split)
    edge = _answers(spec, model, leaving, cache, progress)
    full = _answers(spec, source, leaving, cache, progress)
    cloud = caller.labels_for(leaving, progress) if caller is not None else None
    values = confidences(confidence, np.asarray(edge.probabilities))
    return TestAnswers(
        confidence=tuple(map(float, values)),
        edge_right=_right(edge.labels, leaving),
        source_right=_right(full.labels, leaving),
        cloud_right=None if cloud is None else _right(cloud, leaving),
    )
