"""The report of a finished run once more: its page, Markdown, or a PDF."""

from pathlib import Path

from edgewise.errors import InvalidRecord
from edgewise.records import Certificate, Plan, RunSummary, read_json
from edgewise.report import run_markdown


def report_of(run: Path, kind: str) -> str:
    """Give the page of a run as it was written, or its Markdown.

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
        return run_markdown(
            read_json(RunSummary, run / "run.json"),
            read_json(Certificate, run / "certificate.json"),
            read_json(Plan, run / "plan.json"),
        )
    path = run / "report.html"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as broken:
        what, hint = "there is no report to read", "make it anew with `edgewise run`"
        raise InvalidRecord(what, where=str(path), hint=hint) from broken
