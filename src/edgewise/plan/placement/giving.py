"""Where limits of a programme may give way; by default nowhere."""

from collections.abc import Mapping
from typing import Protocol

from edgewise.records import Limit

Columns = Mapping[int, float]


class Give(Protocol):
    """Says which columns relax a limit. Asked while a programme is written."""

    def steps(self, limit: Limit, subject: str, needed: float) -> Columns:
        """Give columns of which one being 1 moves a workload's limit to `needed` or beyond."""
        ...

    def more(self, limit: Limit, subject: str) -> Columns:
        """Give columns whose weighted sum is what a limit gains."""
        ...


class Firm:
    """Nothing gives way."""

    def steps(self, limit: Limit, subject: str, needed: float) -> Columns:
        """Give none."""
        del limit, subject, needed
        return {}

    def more(self, limit: Limit, subject: str) -> Columns:
        """Give none."""
        del limit, subject
        return {}
