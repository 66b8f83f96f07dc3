"""Price tables of a project's folder: read, checked, kept."""

from pathlib import Path

from edgewise.errors import InvalidData
from edgewise.plan.prices import packaged_tables, parse_table, table_text
from edgewise.records import PriceTable, write_text

_KEPT = Path(".edgewise/prices")


def price_tables(project: Path) -> tuple[PriceTable, ...]:
    """Give a project's own tables, then those of the package.

    Raises
    ------
    InvalidData
        When there is no such folder, or one of its own can't be read.
    """
    _check_folder(project)
    own = [_read(path) for path in sorted((project / _KEPT).glob("*.csv"))]
    return (*own, *packaged_tables())


def import_prices(file: Path, project: Path) -> tuple[PriceTable, Path]:
    """Check a table and keep it with a project; give it and where it is kept.

    A table of the same name is replaced.

    Raises
    ------
    InvalidData
        When the file is no table, or there is no such project.
    StorageError
        When it can't be kept.
    """
    _check_folder(project)
    made = _read(file)
    path = project / _KEPT / f"{made.name}.csv"
    write_text(path, table_text(made))
    return made, path


def _check_folder(project: Path) -> None:
    if not project.is_dir():
        hint = "give the folder that holds edgewise.yaml"
        raise InvalidData("no such folder", where=str(project), hint=hint)


def _read(path: Path) -> PriceTable:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        what = f"can't be read: {getattr(failure, 'strerror', None) or 'not UTF-8'}"
        raise InvalidData(what, where=str(path), hint="give a CSV file in UTF-8") from failure
    return parse_table(path.stem, text, where=str(path))
