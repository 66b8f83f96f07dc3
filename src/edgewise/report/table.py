"""A table as cells: one source for HTML, Markdown and CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

_SHORT = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of a page: its title, header and rows."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    @property
    def wordy(self) -> frozenset[int]:
        """Give the columns that hold sentences; they are set to the left."""
        columns = enumerate(zip(*self.rows, strict=True))
        return frozenset(at for at, cells in columns if at and max(map(len, cells)) > _SHORT)

    @property
    def csv(self) -> str:
        """Give the table as CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()

    @property
    def markdown(self) -> str:
        """Give the table in Markdown."""
        lines = [list(self.header), ["---"] * len(self.header), *map(list, self.rows)]
        return "\n".join(f"| {' | '.join(c.replace('|', '/') for c in line)} |" for line in lines)
