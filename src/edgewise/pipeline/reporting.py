"""The report of a finished run once more: its page, Markdown, or a PDF."""

from dataclasses import replace
from pathlib import Path

from edgewise.errors import InvalidRecord
from edgewise.pipeline.planning import plan_again
from edgewise.plan.planning import DRAWS, SEED
from edgewise.records import Certificate, Plan, RunSummary, read_json
from edgewise.report import run_markdown


def report_of(run: Path, kind: str) -> str:
    """Give the page of a run as it was written, or its Markdown.

    Where the run was certified anew since, the Markdown has the plan of that certificate, without
    what was seen at another threshold.

    Parameters
    ----------
    kind
        `html` or `md`.

    Raises
    ------
    InvalidRecord
        When there is no run, or a part of it can't be read.
    """
    if not run.is_dir():
        hint = "give what `edgewise run --out` wrote; `edgewise plan FILE` plans before that"
        raise InvalidRecord("not a run's directory", where=str(run), hint=hint)
    if kind == "md":
        summary = read_json(RunSummary, run / "run.json")
        certificate = read_json(Certificate, run / "certificate.json")
        plan = read_json(Plan, run / "plan.json")
        if plan.threshold != certificate.threshold:
            quality = replace(summary.quality, hybrid=None, hybrid_interval=None)
            summary = replace(summary, quality=quality)
        if plan.basis is not None and _is_of_another(plan, certificate):
            plan = plan_again(run, draws=DRAWS, seed=SEED)
        return run_markdown(summary, certificate, plan)
    path = run / "report.html"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as broken:
        what, hint = "there is no report to read", "make it anew with `edgewise run`"
        raise InvalidRecord(what, where=str(path), hint=hint) from broken


def is_older(run: Path) -> bool:
    """Say whether the page of a run, and its plan, are of another certificate than is there."""
    try:
        plan = read_json(Plan, run / "plan.json")
        return _is_of_another(plan, read_json(Certificate, run / "certificate.json"))
    except InvalidRecord:  # then nobody knows
        return False


def _is_of_another(plan: Plan, certificate: Certificate) -> bool:
    """Say whether a plan is made by another certificate: other rows defer another share."""
    shares = [one.value for one in plan.figures if one.name == "share deferred"]
    return plan.threshold != certificate.threshold or certificate.deferral_rate not in shares
