"""A finished run as one self-contained page.

A `ReportView` goes in, HTML comes out. Read `view.py` and `report.html.j2` first.
"""

from edgewise.report.page import render
from edgewise.report.view import ReportView

__all__ = ["ReportView", "render"]
