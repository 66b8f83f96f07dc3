"""A finished run, all candidates of a source, or a certificate, as one self-contained page.

A `ReportView`, an `OptimizeSummary` or a `Certificate` goes in, HTML comes out. Read `view.py` and
`report.html.j2` first.
"""

from edgewise.report.calibration import render_calibration
from edgewise.report.candidates import render_candidates
from edgewise.report.page import render
from edgewise.report.view import ReportView

__all__ = ["ReportView", "render", "render_calibration", "render_candidates"]
