"""Confidence made to mean probability, and certificates of quality.

Arrays of answers go in, a `ConfidenceMap`, a `LearnedScore` or a `Certificate` comes out. numpy
alone. Read `certify.py`, `level.py` and `docs/guarantees.md` first.
"""

from edgewise.calibrate.certify import certify, check_promise, labels_needed
from edgewise.calibrate.clustering import repeats_warning
from edgewise.calibrate.confidence import confidences, fit_confidence
from edgewise.calibrate.coverage import CoveragePoint, coverage
from edgewise.calibrate.differing import disagreement_limit
from edgewise.calibrate.learned import ScoreRows, fit_score, learned_scores, score_rows
from edgewise.calibrate.level import Method
from edgewise.calibrate.scores import ReliabilityBin, brier, ece, reliability_bins
from edgewise.calibrate.texts import certify_texts, fit_text_confidence, text_confidences

__all__ = [
    "CoveragePoint",
    "Method",
    "ReliabilityBin",
    "ScoreRows",
    "brier",
    "certify",
    "certify_texts",
    "check_promise",
    "confidences",
    "coverage",
    "disagreement_limit",
    "ece",
    "fit_confidence",
    "fit_score",
    "fit_text_confidence",
    "labels_needed",
    "learned_scores",
    "reliability_bins",
    "repeats_warning",
    "score_rows",
    "text_confidences",
]
