"""A plan made anew: of a run by what it measured, or of a project file by what it assumes."""

from datetime import date
from pathlib import Path

from edgewise.errors import InvalidRecord, StorageError
from edgewise.observe import DecisionLog
from edgewise.pipeline.pricing import price_tables
from edgewise.plan import basis_of, measured, plan_from, plan_unmeasured
from edgewise.plan.focus import focus_csv, ledger_rows, plan_rows
from edgewise.records import Certificate, Plan, Profile, RunSummary, read_json
from edgewise.report import plan_markdown, render_plan
from edgewise.spec import load_spec


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
        When a part of the run, or the project file, can't be read or can't be.
    """
    if not path.is_dir():
        spec = load_spec(path)
        basis = basis_of(spec, price_tables(spec.path.parent))
        return plan_unmeasured(basis, draws=draws, seed=seed)
    before = read_json(Plan, path / "plan.json")
    if before.basis is None:
        what = "the plan does not say what it was planned from"
        hint = "make it anew with `edgewise run`"
        raise InvalidRecord(what, where=str(path / "plan.json"), hint=hint)
    evidence = measured(
        read_json(Profile, path / "profile.json"),
        read_json(Certificate, path / "certificate.json"),
        read_json(RunSummary, path / "run.json").quality,
        before.deferral_curve,
        before.decisions,
    )
    return plan_from(before.basis, evidence, draws=draws, seed=seed)


def focus_of(plan: Plan, month: date, ledger: Path | None) -> str:
    """Give a plan's first month, or what a decision log holds, as FOCUS rows in CSV.

    Raises
    ------
    StorageError
        When there is no such log, or it can't be read.
    """
    if ledger is None:
        return focus_csv(plan_rows(plan, month))
    if not ledger.is_file():
        hint = "give the file that the engine logs its decisions to"
        raise StorageError("no such decision log", where=str(ledger), hint=hint)
    with DecisionLog(ledger) as log:
        return focus_csv(ledger_rows(log.read(), plan))


def plan_page(plan: Plan, kind: str) -> str:
    """Give a plan as one page, `html` or `md`."""
    return render_plan(plan) if kind == "html" else plan_markdown(plan)
