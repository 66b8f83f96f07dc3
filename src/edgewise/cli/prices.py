"""`edgewise prices`: the dated tables that plans take prices from."""

from pathlib import Path

import click

from edgewise.cli.show import print_json, say, table
from edgewise.errors import InvalidData
from edgewise.records import PriceTable, encode

_JSON = click.option("--json", "as_json", is_flag=True, help="print one JSON object")
_FOLDER = click.option(
    "--project",
    type=click.Path(path_type=Path),
    default=Path(),
    show_default="here",
    help="folder of the project whose own tables count too",
)


@click.group("prices")
def command() -> None:
    """List, show and import price tables. A project's own go before those of the package."""


@command.command("list")
@_FOLDER
@_JSON
def list_tables(project: Path, *, as_json: bool) -> int:
    """List the tables with date, source and licence."""
    tables = _tables(project)
    rows = [(t.name, t.date, str(len(t.rows)), f"{t.source} ({t.licence})") for t in tables]
    if as_json:
        keys = ("name", "date", "rows", "source", "licence")
        listed = [(t.name, t.date, len(t.rows), t.source, t.licence) for t in tables]
        print_json({"tables": [dict(zip(keys, one, strict=True)) for one in listed]})
    else:
        say(table(("table", "date", "rows", ""), rows))
    return 0


@command.command("show")
@click.argument("name", default="")
@_FOLDER
@_JSON
def show_table(name: str, project: Path, *, as_json: bool) -> int:
    """Show the prices of one table, or of all whose items contain NAME."""
    tables = _tables(project)
    found = [(t, row) for t in tables for row in t.rows if name == t.name or name in row.item]
    if not found:
        what = f"no table and no item has `{name}` in its name"
        raise InvalidData(what, where="NAME", hint="`edgewise prices list` names the tables")
    if as_json:
        rows = [{"table": t.name, "date": t.date, **_plain(encode(row))} for t, row in found]
        print_json({"rows": rows})
    else:
        cells = [(row.item, row.measure, f"{row.value:g}", t.name, t.date) for t, row in found]
        say(table(("item", "measure", "value", "table", "date"), cells))
    return 0


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_FOLDER
@_JSON
def import_table(file: Path, project: Path, *, as_json: bool) -> int:
    """Check a table FILE and keep it with the project: `item,measure,value`, in USD.

    It begins with lines `# source: …`, `# date: YYYY-MM-DD` and `# licence: …`.
    """
    from edgewise.pipeline import import_prices  # noqa: PLC0415 - heavy

    made, path = import_prices(file, project)
    if as_json:
        print_json({"name": made.name, "rows": len(made.rows), "path": str(path)})
    else:
        say(f"{made.name}: {len(made.rows)} prices of {made.date} kept in {path}")
    return 0


def _tables(project: Path) -> tuple[PriceTable, ...]:
    from edgewise.pipeline import price_tables  # noqa: PLC0415 - heavy

    return price_tables(project)


def _plain(record: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in record.items() if key != "schema_version"}
