"""The outcome of a chain becomes a run directory, written aside and swapped in as a whole."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgewise.calibrate import reliability_bins
from edgewise.errors import InvalidRecord
from edgewise.pipeline.cache import Cache
from edgewise.pipeline.quality import TestAnswers
from edgewise.pipeline.swap import clear_asides, replace_run
from edgewise.pipeline.verify import HASHED, PAGE, verify_run
from edgewise.records import (
    BundleSummary,
    Candidate,
    Certificate,
    CertificateSummary,
    ConfidenceMap,
    Plan,
    PlanSummary,
    Policy,
    Profile,
    ProfileSummary,
    ProjectSpec,
    Quality,
    RunSummary,
    SourceSummary,
    digest,
    read_json,
    write_json,
    write_text,
)
from edgewise.report import ReportView, render
from edgewise.runtimes import hash_file, read_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that the stages gave."""

    spec: ProjectSpec
    bundle: Path
    candidates: tuple[Candidate, ...]
    profile: Profile
    confidence: ConfidenceMap
    certificate: Certificate
    policy: Policy
    quality: Quality
    plan: Plan
    test: TestAnswers


def publish(outcome: Outcome, out: Path, cache: Cache) -> RunSummary:
    """Write the run directory, unless it holds this very outcome, and give its summary."""
    summary = _summary(outcome, out)
    there = _published(summary, outcome, out)
    if there is not None:
        clear_asides(out)
        return _with_stages(there, cache)
    report = render(_view(outcome, summary))

    def fill(folder: Path) -> None:
        shutil.copytree(outcome.bundle, folder / "bundle")
        write_json(folder / "profile.json", outcome.profile)
        write_json(folder / "certificate.json", outcome.certificate)
        write_json(folder / "policy.json", outcome.policy)
        write_json(folder / "plan.json", outcome.plan)
        write_text(folder / "report.html", report)
        write_json(folder / "run.json", _seal(summary, folder))

    # The page of a certificate that was made later goes with that certificate.
    replace_run(out, ("bundle", *HASHED, PAGE, "run.json"), fill)
    cache.done.append("publish")
    return _with_stages(read_json(RunSummary, out / "run.json"), cache)


def _seal(summary: RunSummary, folder: Path) -> RunSummary:
    """Give the summary with the hashes that tell whether a part was changed afterwards."""
    parts = {name: hash_file(folder / name) for name in HASHED}
    sealed = replace(summary, parts_sha256=parts)
    return replace(sealed, summary_sha256=digest(sealed))


def _summary(outcome: Outcome, out: Path) -> RunSummary:
    spec, profile, certificate = outcome.spec, outcome.profile, outcome.certificate
    manifest = read_manifest(outcome.bundle)
    return RunSummary(
        name=spec.name,
        out=str(out),
        bundle=BundleSummary(
            path=str(out / "bundle"),
            sha256=profile.bundle_sha256,
            size_bytes=profile.size_bytes,
            runtime=manifest.runtime,
            recipe=manifest.recipe,
        ),
        source=SourceSummary(
            path=str(spec.model.source),
            sha256=manifest.source_sha256,
            size_bytes=manifest.source_size_bytes,
        ),
        profile=ProfileSummary(
            p50_ms=profile.p50_ms,
            p95_ms=profile.p95_ms,
            peak_memory_bytes=profile.peak_memory_bytes,
            cold_start_ms=profile.cold_start_ms,
        ),
        quality=outcome.quality,
        certificate=CertificateSummary.of(certificate),
        plan=PlanSummary(
            recommendation=outcome.plan.recommendation,
            feasible=outcome.plan.feasible,
            monthly_usd=outcome.plan.monthly_usd,
            break_even_requests_per_month=outcome.plan.break_even_requests_per_month,
            reasons=outcome.plan.reasons,
        ),
        candidates=outcome.candidates,
    )


def _published(summary: RunSummary, outcome: Outcome, out: Path) -> RunSummary | None:
    """Give the summary that is there, if it, policy and plan are these and all parts are whole."""
    try:
        there = read_json(RunSummary, out / "run.json")
        policy_there = read_json(Policy, out / "policy.json")
        plan_there = read_json(Plan, out / "plan.json")
    except InvalidRecord:
        return None
    # The summary repeats neither the rules nor more than the plan's headline.
    if policy_there != outcome.policy or plan_there != outcome.plan:
        return None
    if digest(replace(there, parts_sha256={}, summary_sha256="")) != digest(summary):
        return None
    return there if all(check.holds for check in verify_run(out)) else None


def _with_stages(summary: RunSummary, cache: Cache) -> RunSummary:
    cached = tuple(stage for stage in cache.cached if stage not in cache.done)
    return replace(summary, done=tuple(cache.done), cached=cached)


def _view(outcome: Outcome, summary: RunSummary) -> ReportView:
    test, spec = outcome.test, outcome.spec
    bins = reliability_bins(np.asarray(test.confidence), np.asarray(test.edge_right, dtype=float))
    return ReportView(
        run=summary,
        task=spec.task.value,
        max_quality_loss=spec.objective.max_quality_loss,
        confidence_level=spec.objective.confidence,
        requests_per_month=spec.workload.requests_per_month,
        profile=outcome.profile,
        certificate=outcome.certificate,
        plan=outcome.plan,
        confidence_map=outcome.confidence,
        confidence=test.confidence,
        edge_right=test.edge_right,
        cloud_right=test.cloud_right,
        reliability=tuple((b.confidence, b.accuracy, b.n) for b in bins),
    )
