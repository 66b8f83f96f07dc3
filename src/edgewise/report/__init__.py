"""A finished run, or all candidates of a source, as one self-contained page.

A `ReportView` or an `OptimizeSummary` goes in, HTML comes out. Read `view.py` and
`report.html.j2` first.
"""

from edgewise.report.candidates import render_candidates
from edgewise.report.page import render
from edgewise.report.view import ReportView

__all__ = ["ReportView", "render", "render_candidates"]
