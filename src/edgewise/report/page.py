"""The page, from its template."""

from edgewise.report import plots
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
        ("Cost by volume", plots.cost_by_volume(view)),
    ]
    shown = [chart for chart in charts if chart[1]]
    return fill("report.html.j2", view=view, run=view.run, charts=shown)
