"""The plots of what a run measured."""

from collections.abc import Sequence
from itertools import accumulate

from edgewise.report.chart import Chart, Line, Mark, draw
from edgewise.report.layout import WIDE, Layout
from edgewise.report.view import ReportView

_POINTS = 120


def accuracy_by_deferral(view: ReportView, layout: Layout = WIDE) -> str:
    """Draw the hybrid's accuracy for every share sent to the cloud, on the test split."""
    if view.cloud_right is None:
        return ""
    n = len(view.confidence)
    points = accuracy_points(view.confidence, view.edge_right, view.cloud_right)
    cloud = sum(view.cloud_right) / n
    floor = cloud - view.max_quality_loss
    lines = [
        Line(name="hybrid", points=points, style="s1"),
        Line(name="cloud", points=[(0, cloud), (1, cloud)], style="s2"),
        Line(name="promised", points=[(0, floor), (1, floor)], style="s3"),
    ]
    shared, reached = view.run.quality.deferral_rate or 0.0, view.run.quality.hybrid or 0.0
    return draw(
        Chart(
            title="Accuracy against deferral",
            description=f"The hybrid reaches {reached:.1%} when {shared:.1%} go to the cloud.",
            x_label="share sent to the cloud",
            y_label="accuracy on the test split",
            lines=lines,
            marks=[Mark(x=shared, note=f"chosen: {shared:.1%}")],
            x_format="{:.0%}".format,
            y_format="{:.1%}".format,
        ),
        layout,
    )


def accuracy_points(
    confidence: Sequence[float], edge_right: Sequence[bool], cloud_right: Sequence[bool]
) -> list[tuple[float, float]]:
    """Give (share sent to the cloud, accuracy) of thresholds: those of one confidence go together.

    The least confident go first; of many thresholds some are left out.
    """
    n = len(confidence)
    order = sorted(range(n), key=lambda i: confidence[i])
    gains = [int(cloud_right[i]) - int(edge_right[i]) for i in order]
    right = list(accumulate(gains, initial=sum(edge_right)))
    parted = [k for k in range(1, n) if confidence[order[k - 1]] < confidence[order[k]]]
    step = max(1, len(parted) // _POINTS)
    return [(k / n, right[k] / n) for k in [0, *parted[::step], n]]


def reliability(view: ReportView, layout: Layout = WIDE) -> str:
    """Draw how often answers of a confidence were right."""
    points = [(c, a) for c, a, _ in view.reliability]
    low = min(min(p) for p in points)
    return draw(
        Chart(
            title="Reliability",
            description="Calibrated confidence against accuracy; the diagonal is the ideal.",
            x_label="calibrated confidence",
            y_label="accuracy on the test split",
            lines=[
                Line(name="measured", points=points, style="s1", dots=True),
                Line(name="ideal", points=[(low, low), (1, 1)], style="s3"),
            ],
            x_format="{:.0%}".format,
            y_format="{:.0%}".format,
        ),
        layout,
    )


def latency_by_length(view: ReportView, layout: Layout = WIDE) -> str:
    """Draw latency percentiles by input length."""
    buckets = view.profile.buckets
    rows = (("p99", "s3", "p99_ms"), ("p95", "s2", "p95_ms"), ("p50", "s1", "p50_ms"))
    lines = [
        Line(
            name=name,
            points=[(float(b.up_to_length), float(getattr(b, field))) for b in buckets],
            style=style,
            dots=True,
        )
        for name, style, field in rows
    ]
    return draw(
        Chart(
            title="Latency by length",
            description="Milliseconds of one answer on the edge, by input length.",
            x_label="input length up to (tokens or pixels)",
            y_label="ms, one at a time",
            lines=lines,
            y_format="{:.3g}".format,
        ),
        layout,
    )
