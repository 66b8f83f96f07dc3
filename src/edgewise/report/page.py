"""The page, from its template."""

from functools import partial

from edgewise.records import Certificate, Fidelity, Plan, RunSummary
from edgewise.report import plots
from edgewise.report.layout import both
from edgewise.report.plan_plots import plan_plots
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
        (title, both(partial(plot, view)))
        for title, plot in (
            ("Accuracy against deferral", plots.accuracy_by_deferral),
            ("Reliability", plots.reliability),
            ("Latency by length", plots.latency_by_length),
        )
    ]
    shown = [chart for chart in charts if chart[1]] + plan_plots(view.plan)
    tables = [*plan_tables(view.plan), candidates_table(view.run), figures_table(view.plan)]
    return fill("report.html.j2", view=view, run=view.run, charts=shown, tables=tables)


def run_markdown(run: RunSummary, certificate: Certificate, plan: Plan) -> str:
    """Give the report of a run in Markdown, without plots."""
    found = run.quality
    measured = [f"edge accuracy {found.edge:.1%} on {found.n:,} test rows"]
    if found.hybrid is not None and found.cloud is not None:
        sent = found.deferral_rate or 0.0
        measured += [
            f"hybrid accuracy {found.hybrid:.1%}, cloud {found.cloud:.1%}",
            f"{sent:.1%} of the test rows sent to the cloud",
        ]
    measured += [
        f"p95 {format_ms(run.profile.p95_ms)}, p50 {format_ms(run.profile.p50_ms)} on the edge",
        f"bundle {format_bytes(run.bundle.size_bytes)}, "
        f"peak memory {format_bytes(run.profile.peak_memory_bytes)}",
    ]
    promise = f"**{certificate.state.value}**: {'; '.join(certificate.reasons)}"
    if certificate.threshold is not None:
        promise = (
            f"**{certificate.state.value}**: keeping the answers whose confidence is at least "
            f"{certificate.threshold:.4f}, the {certificate.loss.value} loss is at most "
            f"{certificate.alpha:.1%}, with {1 - certificate.delta:.0%} confidence over the draw "
            f"of {certificate.n:,} calibration rows."
        )
    parts = [f"# {plan.recommendation}", "\n".join(f"- {one}" for one in measured)]
    parts += [f"- check: {words}" for words in plan.warnings]
    parts.append(f"## What is promised\n\n{promise}")
    tables = [*plan_tables(plan), candidates_table(run), figures_table(plan)]
    parts += [f"## {one.title}\n\n{one.markdown}" for one in tables]
    return "\n\n".join(parts) + "\n"


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
