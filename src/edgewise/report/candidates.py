"""The page of `edgewise optimize`: every candidate, and which of them none beats."""

from edgewise.records import CandidateRow, OptimizeSummary
from edgewise.report.chart import Bubble, Chart, Line, draw
from edgewise.report.layout import WIDE, Layout, both
from edgewise.report.table import Table
from edgewise.report.template import fill
from edgewise.units import format_bytes, format_ms

_LARGEST, _SMALLEST = 18.0, 3.0
_HEADER = (
    *("recipe", "runtime", "threads", "size", "p50", "p95", "memory"),
    *("metric", "agreement", "cosine", "Pareto", "verdict"),
)


def render_candidates(summary: OptimizeSummary) -> str:
    """Give the page, which needs nothing from outside.

    Raises
    ------
    MissingExtra
        When Jinja2 is not installed.
    """
    return fill(
        "candidates.html.j2",
        run=summary,
        plot=both(lambda layout: quality_by_latency(summary, layout)),
        tables=candidate_tables(summary),
    )


def candidate_tables(summary: OptimizeSummary) -> list[Table]:
    """Give every candidate, and the runtimes that were left out, as cells."""
    tables = [
        Table(
            title="Candidates",
            header=_HEADER,
            rows=[
                _cells(one, "●" if place in summary.pareto else "")
                for place, one in enumerate(summary.candidates)
            ],
            caption="Measured on this target one answer at a time; agreement is with the "
            "candidate's own float form",
        ),
        Table(
            title="Runtimes that can't run it here",
            header=("runtime", "why", "mend"),
            rows=[(one.runtime, one.why, one.command) for one in summary.skipped_runtimes],
        ),
    ]
    return [table for table in tables if table.rows]


def _cells(one: CandidateRow, pareto: str) -> tuple[str, ...]:
    return (
        " → ".join(one.recipe),
        one.runtime,
        f"{one.threads}",
        format_bytes(one.size_bytes) if one.size_bytes else "–",
        "–" if one.p50_ms is None else format_ms(one.p50_ms),
        "–" if one.p95_ms is None else format_ms(one.p95_ms),
        "–" if one.peak_memory_bytes is None else format_bytes(one.peak_memory_bytes),
        "–" if one.metric is None else f"{one.metric:.1%}",
        "–" if one.agreement is None else f"{one.agreement:.1%}",
        "–" if one.cosine is None else f"{one.cosine:.4f}",
        pareto,
        "; ".join(["kept" if one.kept else "out", *one.why]),
    )


def quality_by_latency(summary: OptimizeSummary, layout: Layout = WIDE) -> str:
    """Draw quality against p95: dots with the bytes as their area, and the front as a line."""
    measured = [
        (place, one, one.p95_ms, quality)
        for place, one in enumerate(summary.candidates)
        if one.p95_ms is not None and (quality := quality_of(one)) is not None
    ]
    if not measured:
        return ""
    largest = max(one.size_bytes for _, one, _, _ in measured)
    front = sorted((p95, quality) for place, _, p95, quality in measured if place in summary.pareto)
    bubbles = [
        Bubble(
            x=p95,
            y=quality,
            radius=max(_SMALLEST, _LARGEST * (one.size_bytes / largest) ** 0.5),
            note=f"{' → '.join(one.recipe)} on {one.runtime}: {format_ms(p95)}, {quality:.4f}, "
            f"{format_bytes(one.size_bytes)}",
            style="s2" if one == summary.chosen else "s1",
        )
        for _, one, p95, quality in measured
    ]
    of_labels = measured[0][1].metric is not None
    return draw(
        Chart(
            title="Quality by latency",
            description=f"{len(measured)} candidates; a dot's area is the bundle's bytes.",
            x_label="p95 of one answer, ms",
            y_label="accuracy on held-out rows" if of_labels else "cosine with the source",
            lines=[Line(name="Pareto", points=front, style="s3")] if front else [],
            bubbles=bubbles,
            x_format="{:.3g}".format,
            y_format=("{:.1%}" if of_labels else "{:.4f}").format,
        ),
        layout,
    )


def quality_of(one: CandidateRow) -> float | None:
    """Give the metric, or the cosine where there are no labels."""
    return one.metric if one.metric is not None else one.cosine
