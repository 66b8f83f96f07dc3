"""`edgewise log`: what a decision log says."""

from pathlib import Path

import click

from edgewise.cli.show import print_json, say, table, to_stderr


@click.group("log")
def command() -> None:
    """Ask a decision log, or export it. LOG is a file such as RUN/decisions.sqlite."""


@command.command("query")
@click.argument("log", type=click.Path(path_type=Path))
@click.argument("sql")
@click.option("--most", type=click.IntRange(1), default=1000, help="rows shown [default: 1000]")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def query(log: Path, sql: str, *, most: int, as_json: bool) -> int:
    r"""Answer SQL (DuckDB's) over the tables `decisions` and `attempts` of LOG.

    \b
    edgewise log query decisions.sqlite "select location, count(*) from decisions group by all"
    """
    from edgewise.observe.query import LogQuery  # noqa: PLC0415 - heavy

    with LogQuery(log) as asked:
        found = asked.ask(sql, most=most)
    if as_json:
        rows = [list(row) for row in found.rows]
        print_json({"columns": list(found.columns), "rows": rows, "cut": found.cut})
        return 0
    if found.columns:
        say(table(found.columns, [[_shown(value) for value in row] for row in found.rows]))
    if found.cut:
        to_stderr(f"only the first rows are shown: {most}")
    return 0


@command.command("export")
@click.argument("log", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def export(log: Path, out: Path, *, as_json: bool) -> int:
    """Write the decisions of LOG as the Parquet file OUT."""
    from edgewise.observe.query import LogQuery  # noqa: PLC0415 - heavy

    with LogQuery(log) as asked:
        count = asked.export(out)
    if as_json:
        print_json({"path": str(out), "decisions": count})
    else:
        say(f"{out}: {count} decisions")
    return 0


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(one) for one in value)
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
