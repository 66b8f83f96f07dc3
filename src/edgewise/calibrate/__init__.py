"""Confidence made to mean probability, and certificates of quality.

Arrays of answers go in, a `ConfidenceMap` or a `Certificate` comes out. numpy alone. Read
`certify.py` and `docs/concepts/guarantees.md` first.
"""

from edgewise.calibrate.certify import certify, labels_needed
from edgewise.calibrate.confidence import confidences, fit_confidence
from edgewise.calibrate.scores import ReliabilityBin, brier, ece, reliability_bins

__all__ = [
    "ReliabilityBin",
    "brier",
    "certify",
    "confidences",
    "ece",
    "fit_confidence",
    "labels_needed",
    "reliability_bins",
]
