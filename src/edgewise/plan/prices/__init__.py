"""Dated price tables: those of the package, and a project's own.

A CSV file with its source, date and licence becomes a `PriceTable`; a basis that names items of
tables becomes one with their numbers. Read `reading.py` first.
"""

from edgewise.plan.prices.reading import packaged_tables, parse_table, table_text
from edgewise.plan.prices.using import priced

__all__ = ["packaged_tables", "parse_table", "priced", "table_text"]
