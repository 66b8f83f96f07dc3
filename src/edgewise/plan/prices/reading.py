"""Price tables as text: three lines of where it is from, then `item,measure,value`."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from importlib import resources
from itertools import takewhile

from edgewise.errors import InvalidData, InvalidRecord
from edgewise.records import PriceRow, PriceTable

_HEADER = ["item", "measure", "value"]
_SAID = re.compile(r"#\s*(source|date|licence|currency|usd_per_unit)\s*:\s*(\S.*?)\s*")


def packaged_tables() -> tuple[PriceTable, ...]:
    """Give the tables that come with the package, by name."""
    folder = resources.files("edgewise.plan.prices")
    files = sorted(one.name for one in folder.iterdir() if one.name.endswith(".csv"))
    return tuple(
        parse_table(name.removesuffix(".csv"), (folder / name).read_text("utf-8"), where=name)
        for name in files
    )


def parse_table(name: str, text: str, *, where: str) -> PriceTable:
    """Read a table.

    It begins with `# source: …`, `# date: YYYY-MM-DD` and `# licence: …`; one in another currency
    with `# currency: EUR` and `# usd_per_unit: 1.08` besides, and is turned into USD.

    Raises
    ------
    InvalidData
        With the line, when a row, a number or a unit is not what it must be.
    """
    lines = text.lstrip("\ufeff").splitlines()
    head = list(takewhile(lambda line: line.startswith("#"), lines))
    said = {m[1]: m[2] for line in head if (m := _SAID.fullmatch(line)) is not None}
    _check_head(said, where)
    rate = _rate(said, where)
    rows: list[PriceRow] = []
    seen: set[tuple[str, str]] = set()
    header: list[str] | None = None
    for number, cells in _cells(lines[len(head) :], where, len(head)):
        at = f"{where}:{number}"
        if header is None:
            header = [cell.strip() for cell in cells]
            if header != _HEADER:
                what = f"columns are {', '.join(cells)}"
                raise InvalidData(what, where=at, hint=f"they must be {', '.join(_HEADER)}")
            continue
        row = _row(cells, rate, at)
        if (row.item, row.measure) in seen:
            what = f"`{row.item}` has two numbers of {row.measure}"
            raise InvalidData(what, where=at, hint="remove one of them")
        seen.add((row.item, row.measure))
        rows.append(row)
    if not rows:
        raise InvalidData("no prices", where=where, hint="give rows of item,measure,value")
    return PriceTable(
        name=name,
        source=said["source"],
        date=said["date"],
        licence=said["licence"],
        rows=tuple(rows),
    )


def _cells(lines: list[str], where: str, before: int) -> Iterator[tuple[int, list[str]]]:
    """Give the cells of each row that is not blank, with the line that it ends on."""
    reader = csv.reader(lines)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield before + reader.line_num, cells
    except csv.Error as broken:
        at = f"{where}:{before + reader.line_num}"
        raise InvalidData(
            f"no CSV: {broken}", where=at, hint=f"give rows of {','.join(_HEADER)}"
        ) from broken


def table_text(table: PriceTable) -> str:
    """Write a table as `parse_table` reads it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((row.item, row.measure, f"{row.value:.12g}") for row in table.rows)
    head = f"# source: {table.source}\n# date: {table.date}\n# licence: {table.licence}\n"
    return head + text.getvalue()


def _check_head(said: dict[str, str], where: str) -> None:
    for key in ("source", "date", "licence"):
        if key not in said:
            hint = f"begin the file with `# {key}: …`"
            raise InvalidData(f"the table says no {key}", where=where, hint=hint)
    try:
        date.fromisoformat(said["date"])
    except ValueError as wrong:
        what = f"not a date: {said['date']}"
        raise InvalidData(what, where=where, hint="write `# date: 2026-11-23`") from wrong


def _rate(said: dict[str, str], where: str) -> float:
    currency = said.get("currency", "USD")
    if currency == "USD":
        if "usd_per_unit" in said:
            what, hint = "a rate, and prices in USD", "name the other currency: `# currency: EUR`"
            raise InvalidData(what, where=where, hint=hint)
        return 1.0
    try:
        rate = float(said.get("usd_per_unit", "nan"))
    except ValueError:
        rate = float("nan")
    if not 0 < rate < float("inf"):
        what = f"prices are in {currency}, and no rate turns them into USD"
        hint = "add `# usd_per_unit: …`, the USD that one of it is worth"
        raise InvalidData(what, where=where, hint=hint)
    return rate


def _row(cells: list[str], rate: float, at: str) -> PriceRow:
    if len(cells) != len(_HEADER):
        what = f"{len(cells)} cells"
        raise InvalidData(what, where=at, hint=f"give {', '.join(_HEADER)}")
    item, measure, text = (cell.strip() for cell in cells)
    try:
        value = float(text)
    except ValueError as wrong:
        what = f"not a number: `{text}`"
        raise InvalidData(what, where=at, hint="leave the line out where it is missing") from wrong
    try:
        money = rate if measure.startswith("usd") else 1.0
        row = PriceRow(item=item, measure=measure, value=value * money)
    except InvalidRecord as wrong:
        raise InvalidData(wrong.what, where=at, hint=wrong.hint) from wrong
    if "per_million" in measure and 0 < row.value < 0.001:
        what = f"{value:g} USD per million tokens looks like a price per token"
        raise InvalidData(what, where=at, hint=f"per million it would be {value * 1e6:g}")
    return row
