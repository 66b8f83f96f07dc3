"""A finished run, candidates, a certificate or a plan, as one self-contained page.

A `ReportView`, an `OptimizeSummary`, a `Certificate` or a `Plan` goes in, HTML comes out, or
Markdown. Read `view.py` and `report.html.j2` first.

Names load on first use (PEP 562): a dashboard that draws a chart needs no plan.
"""

from typing import TYPE_CHECKING

from edgewise.lazy import lazily

if TYPE_CHECKING:
    from edgewise.report.calibration import render_calibration
    from edgewise.report.candidates import render_candidates
    from edgewise.report.page import render, run_markdown
    from edgewise.report.plan_page import plan_markdown, render_plan
    from edgewise.report.view import ReportView

__all__ = [
    "ReportView",
    "plan_markdown",
    "render",
    "render_calibration",
    "render_candidates",
    "render_plan",
    "run_markdown",
]

_HOMES = {
    "ReportView": "view",
    "plan_markdown": "plan_page",
    "render": "page",
    "render_calibration": "calibration",
    "render_candidates": "candidates",
    "render_plan": "plan_page",
    "run_markdown": "page",
}

if not TYPE_CHECKING:  # pragma: no branch
    __getattr__, __dir__ = lazily(__name__, _HOMES)
