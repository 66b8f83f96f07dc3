"""The page, from its template."""

from edgewise import __version__, extras
from edgewise.report import plots
from edgewise.report.view import ReportView
from edgewise.units import format_bytes, format_ms, format_usd


def render(view: ReportView) -> str:
    """Give the report as one HTML page that needs nothing from outside.

    Raises
    ------
    MissingExtra
        When Jinja2 is not installed.
    """
    with extras.needed("optimize"):
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - heavy
    environment = Environment(
        loader=PackageLoader("edgewise.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=format_bytes, ms=format_ms, usd=format_usd)
    charts = [
        ("Accuracy against deferral", plots.accuracy_by_deferral(view)),
        ("Reliability", plots.reliability(view)),
        ("Latency by length", plots.latency_by_length(view)),
        ("Cost by volume", plots.cost_by_volume(view)),
    ]
    page = environment.get_template("report.html.j2")
    return page.render(
        view=view, run=view.run, version=__version__, charts=[c for c in charts if c[1]]
    )
