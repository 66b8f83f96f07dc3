"""Finds personal data in a request, and hides it reversibly. Linear time; no state.

Text and kinds go in; the kinds found, their places, or a redacted form with the way back come out.
Detectors look for form, and for check digits where the form has them. Read `detecting.py` first.
"""

from edgewise.route.privacy.acting import Verdict, judge
from edgewise.route.privacy.detecting import KINDS, detect, detect_in, find, strings_of
from edgewise.route.privacy.redacting import Redacted, Restorer, redact, restore
from edgewise.route.privacy.scanning import Span

__all__ = [
    "KINDS",
    "Redacted",
    "Restorer",
    "Span",
    "Verdict",
    "detect",
    "detect_in",
    "find",
    "judge",
    "redact",
    "restore",
    "strings_of",
]
