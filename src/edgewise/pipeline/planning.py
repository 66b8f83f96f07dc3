"""A plan made anew: of a run by what it measured, or of a project file by what it assumes."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from edgewise.errors import InvalidRecord, StorageError
from edgewise.observe import DecisionLog, read_refuted
from edgewise.pipeline.cache import Cache, hash_path
from edgewise.pipeline.pricing import price_tables
from edgewise.plan import Evidence, assumed, basis_of, measured, plan_from
from edgewise.plan.focus import focus_csv, ledger_rows, plan_rows
from edgewise.records import (
    Certificate,
    CertificateState,
    Plan,
    Profile,
    ProjectSpec,
    RunSummary,
    TraceReplay,
    digest,
    read_json,
)
from edgewise.report import plan_markdown, render_plan
from edgewise.simulate import TraceReader, replay_options
from edgewise.spec import load_plan


def plan_again(path: Path, *, draws: int, seed: int) -> Plan:
    """Plan a run directory or a project file; nothing is measured and nothing is written.

    Parameters
    ----------
    path
        What `edgewise run --out` wrote, or an `edgewise.yaml`.
    draws, seed
        Of the numbers that are distributions; the same seed gives the same plan.

    Raises
    ------
    EdgewiseError
        When a part of the run, the project file or its trace can't be read or can't be.
    """
    if not path.is_dir():
        spec = load_plan(path)
        basis = basis_of(spec, price_tables(spec.path.parent))
        evidence = assumed(basis.costs.assume)
        if spec.trace is not None:
            evidence = replace(evidence, replay=replay_options(basis, evidence, spec.trace))
        return plan_from(basis, evidence, draws=draws, seed=seed)
    before = read_json(Plan, path / "plan.json")
    if before.basis is None:
        what = "the plan does not say what it was planned from"
        hint = "make it anew with `edgewise run`"
        raise InvalidRecord(what, where=str(path / "plan.json"), hint=hint)
    evidence = measured(
        read_json(Profile, path / "profile.json"),
        _certificate(path),
        read_json(RunSummary, path / "run.json").quality,
        before.deferral_curve,
        before.decisions,
    )
    return plan_from(before.basis, _with_seen(evidence, before), draws=draws, seed=seed)


def _certificate(run: Path) -> Certificate:
    """Give a run's certificate, void where its audit found it so."""
    found = read_json(Certificate, run / "certificate.json")
    refuted = digest(found) in read_refuted(run / "audit.sqlite")
    return replace(found, state=CertificateState.VOID) if refuted else found


def _with_seen(evidence: Evidence, before: Plan) -> Evidence:
    """Give the evidence with the plan's replay, and without what was seen at another threshold."""
    replay = before.replay
    if evidence.threshold == before.threshold:
        return replace(evidence, replay=replay)
    if replay is not None:
        words = "the hybrid was replayed at another threshold, and is left out"
        options = tuple(one for one in replay.options if one.option != "hybrid")
        replay = replace(replay, options=options, warnings=(*replay.warnings, words))
    return replace(evidence, hybrid_loss=None, decisions=(), replay=replay)


def check_trace(spec: ProjectSpec) -> None:
    """Read the workload's trace, if there is one, before anything is built for it.

    Raises
    ------
    InvalidData
        When it can't be read or holds what can't be.
    """
    if spec.trace is not None:
        for _ in TraceReader(spec.trace):
            pass


def plan_measured(spec: ProjectSpec, profile: Profile, evidence: Evidence, cache: Cache) -> Plan:
    """Plan by what a run has measured, with the workload's trace replayed where there is one.

    Raises
    ------
    EdgewiseError
        When the trace or a price table can't be read or can't be.
    """
    basis = basis_of(spec, price_tables(spec.path.parent))
    trace = spec.trace
    if trace is None:
        return plan_from(basis, evidence)
    replay = cache.record(
        "replay",
        (hash_path(trace), digest(basis), digest(evidence), digest(profile)),
        TraceReplay,
        lambda: replay_options(basis, evidence, trace, profile),
    )
    return plan_from(basis, replace(evidence, replay=replay))


def focus_of(plan: Plan, month: date | None, ledger: Path | None, *, today: date) -> str:
    """Give a plan's first month, or what a decision log holds, as FOCUS rows in CSV.

    Parameters
    ----------
    month
        Any day of the month that the rows are for; `None`: all of a log, and a plan's are for now.
    today
        What now is.

    Raises
    ------
    StorageError
        When there is no such log, or it can't be read.
    """
    if ledger is None:
        return focus_csv(plan_rows(plan, month or today))
    if not ledger.is_file():
        hint = "give the file that the engine logs its decisions to"
        raise StorageError("no such decision log", where=str(ledger), hint=hint)
    with DecisionLog(ledger) as log:
        rows = ledger_rows(log.read(), plan)
    asked = "" if month is None else f"{month:%Y-%m}"
    return focus_csv(row for row in rows if row["BillingPeriodStart"].startswith(asked))


def plan_page(plan: Plan, kind: str) -> str:
    """Give a plan as one page, `html` or `md`."""
    return render_plan(plan) if kind == "html" else plan_markdown(plan)
