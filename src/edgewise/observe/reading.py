"""Files read without a writer: they may be copies, or lie where nothing can be written."""

import json
import os  # whether a folder can be written
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from edgewise.errors import InvalidRecord, StorageError
from edgewise.records import Decision, decode

_LOCKED_S = 10.0


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a file to read; also where nothing can be written.

    SQLite reads a file with a write-ahead log by files that it makes beside it. Where it can't make
    them nobody can write either, and it is told that the file stays as it is.
    """
    stays = not os.access(
        path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids
    )
    address = f"{path.resolve().as_uri()}?mode=ro" + ("&immutable=1" if stays else "")
    return sqlite3.connect(address, timeout=_LOCKED_S, uri=True)


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
        with closing(connect_to_read(path)) as connection:
            for (text,) in connection.execute("select decision from decisions order by rowid"):
                yield decode(Decision, json.loads(text), where=str(path))
    except (ValueError, TypeError, RecursionError) as broken:
        what = f"a row is no decision: {broken}"
        raise InvalidRecord(what, where=str(path), hint="is it whole? keep a copy") from broken
    except sqlite3.Error as failure:
        what = f"the decision log can't be read: {failure}"
        raise StorageError(what, where=str(path), hint=hint) from failure
