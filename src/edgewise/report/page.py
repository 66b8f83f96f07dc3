"""The page, from its template."""

from edgewise.report import plots
from edgewise.report.plan_plots import plan_charts
from edgewise.report.plan_tables import plan_tables
from edgewise.report.template import fill
from edgewise.report.view import ReportView


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
    tables = [one for one in plan_tables(view.plan) if one.title != "Options"]
    return fill("report.html.j2", view=view, run=view.run, charts=shown, tables=tables)
