"""What is seen of live traffic: every decision in SQLite, and the audit of those that were kept.

`Decision` records go in, the same come out: read `log.py`. An `Auditor` says when a certificate no
longer holds: read `audit.py`, and `eprocess.py` for why it may be believed. No payload is kept.
"""

from edgewise.observe.audit import Auditor
from edgewise.observe.audit_file import AuditFile, read_refuted, read_samples
from edgewise.observe.drift import (
    DriftWatch,
    histogram_of,
    histogram_of_languages,
    output_of,
    projections,
)
from edgewise.observe.eprocess import EProcess
from edgewise.observe.log import DecisionLog

__all__ = [
    "AuditFile",
    "Auditor",
    "DecisionLog",
    "DriftWatch",
    "EProcess",
    "histogram_of",
    "histogram_of_languages",
    "output_of",
    "projections",
    "read_refuted",
    "read_samples",
]
