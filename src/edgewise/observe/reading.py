"""A decision log read without a writer: the file is not changed, and may be a copy."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from edgewise.errors import InvalidRecord, StorageError
from edgewise.records import Decision, decode


def read_decisions(path: Path) -> Iterator[Decision]:
    """Give the decisions of a log in the order of their appending.

    Raises
    ------
    StorageError
        When there is no such file, or it is no decision log.
    InvalidRecord
        When a row is not a decision of this schema version.
    """
    hint = "give the file that `DecisionLog` wrote"
    if not path.is_file():
        raise StorageError("no such decision log", where=str(path), hint=hint)
    try:
        address = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            for (text,) in connection.execute("select decision from decisions order by rowid"):
                yield decode(Decision, json.loads(text), where=str(path))
    except (ValueError, TypeError, RecursionError) as broken:
        what = f"a row is no decision: {broken}"
        raise InvalidRecord(what, where=str(path), hint="is it whole? keep a copy") from broken
    except sqlite3.Error as failure:
        what = f"the decision log can't be read: {failure}"
        raise StorageError(what, where=str(path), hint=hint) from failure
