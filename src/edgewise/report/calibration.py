"""The page of `edgewise calibrate`: what each threshold would cost and promise."""

from collections.abc import Sequence

from edgewise.records import Certificate
from edgewise.report.chart import Chart, Line, Mark, draw
from edgewise.report.layout import WIDE, Layout, both
from edgewise.report.table import Table
from edgewise.report.template import fill

CoverageRow = tuple[float, float, float]
"""Share deferred, loss seen, and its upper confidence limit."""


def render_calibration(name: str, certificate: Certificate, curve: Sequence[CoverageRow]) -> str:
    """Give the page, which needs nothing from outside.

    Raises
    ------
    MissingExtra
        When Jinja2 is not installed.
    """
    plot = both(lambda layout: loss_by_deferral(certificate, curve, layout))
    return fill(
        "calibration.html.j2",
        run=name,
        certificate=certificate,
        plot=plot,
        tables=[coverage_table(certificate, curve)],
    )


def coverage_table(certificate: Certificate, curve: Sequence[CoverageRow]) -> Table:
    """Give the points of the plot as cells."""
    rows = [(f"{share:.2%}", f"{seen:.3%}", f"{limit:.3%}") for share, seen, limit in curve]
    loss = certificate.loss.value
    header = ("share sent to the cloud", f"{loss} loss seen", f"limit of the {loss} loss")
    return Table(title="Loss by share deferred", header=header, rows=rows)


def loss_by_deferral(
    certificate: Certificate, curve: Sequence[CoverageRow], layout: Layout = WIDE
) -> str:
    """Draw the loss and its limit for every share deferred, α, and the threshold chosen."""
    marks = []
    if certificate.threshold is not None:
        marks = [Mark(x=certificate.deferral_rate, note=f"chosen: {certificate.threshold:.4g}")]
    alpha = certificate.alpha
    ends = (curve[0][0], curve[-1][0])
    return draw(
        Chart(
            title="Loss bound against deferral",
            description=f"{certificate.loss.value} loss on {certificate.n} labelled rows.",
            x_label="share sent to the cloud",
            y_label=f"{certificate.loss.value} loss",
            lines=[
                Line(name="limit", points=[(x, limit) for x, _, limit in curve], style="s2"),
                Line(name="seen", points=[(x, seen) for x, seen, _ in curve], style="s1"),
                Line(name="α", points=[(x, alpha) for x in ends], style="s3"),
            ],
            marks=marks,
            x_format="{:.0%}".format,
            y_format="{:.1%}".format,
        ),
        layout,
    )
