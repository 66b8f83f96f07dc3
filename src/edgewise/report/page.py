"""The page, from its template."""

from edgewise.records import Fidelity, RunSummary
from edgewise.report import plots
from edgewise.report.plan_plots import plan_charts
from edgewise.report.plan_tables import figures_table, plan_tables
from edgewise.report.table import Table
from edgewise.report.template import fill
from edgewise.report.view import ReportView
from edgewise.units import format_bytes, format_ms


def render(view: ReportView) -> str:
    """Give the report as one HTML page that needs nothing from outside.

    Raises
    ------
    MissingExtra
        When Jinja2 is not installed.
    """
    charts = [
        ("Accuracy against deferral", plots.accuracy_by_deferral(view)),
        ("Reliability", plots.reliability(view)),
        ("Latency by length", plots.latency_by_length(view)),
        *plan_charts(view.plan),
    ]
    shown = [chart for chart in charts if chart[1]]
    tables = [*plan_tables(view.plan), candidates_table(view.run), figures_table(view.plan)]
    return fill("report.html.j2", view=view, run=view.run, charts=shown, tables=tables)


def candidates_table(run: RunSummary) -> Table:
    """Give every candidate of a run, and why it was kept or not."""
    rows = [
        (
            " → ".join(one.recipe),
            format_bytes(one.size_bytes),
            "–" if one.p50_ms is None else format_ms(one.p50_ms),
            "–" if one.p95_ms is None else format_ms(one.p95_ms),
            "–" if one.peak_memory_bytes is None else format_bytes(one.peak_memory_bytes),
            *_fidelity(one.fidelity),
            "; ".join(["kept" if one.kept else "out", *one.why]),
        )
        for one in run.candidates
    ]
    header = ("recipe", "size", "p50", "p95", "memory", "metric (95%)", "agreement", "verdict")
    caption = "Metric on held-out rows of train; agreement is with the candidate's own float form"
    return Table(title="Candidates", header=header, rows=rows, caption=caption)


def _fidelity(found: Fidelity | None) -> tuple[str, str]:
    if found is None:
        return "–", "–"
    metric = "–"
    if found.metric is not None and found.metric_low is not None and found.metric_high is not None:
        metric = f"{found.metric:.1%} ({found.metric_low:.1%} – {found.metric_high:.1%})"
    return metric, "–" if found.agreement is None else f"{found.agreement:.1%}"
