"""A finished run, candidates, a certificate or a plan, as one self-contained page.

A `ReportView`, an `OptimizeSummary`, a `Certificate` or a `Plan` goes in, HTML comes out, or
Markdown. Read `view.py` and `report.html.j2` first.
"""

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
