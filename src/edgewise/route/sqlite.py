"""Opens the files that the queue and the budget keep, and writes to them whole or not at all."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edgewise.errors import SchemaMismatch, StorageError
from edgewise.records import SCHEMA_VERSION
from edgewise.route.clock import Clock

_TRIES = 200
_PAUSE_S = 0.005


def open_file(
    path: Path, tables: str, clock: Clock, *, name: str, exclusive: bool
) -> sqlite3.Connection:
    """Open a file of ours, or make it, readable by its owner alone.

    A commit is on the disk when it returns, and a process killed at any moment leaves the file
    whole: write-ahead log, `synchronous = full`.

    Parameters
    ----------
    tables
        SQL that makes the tables where they are not there.
    name
        What the file is, for errors.
    exclusive
        Keep other processes out until the connection is closed or its process ends, however it
        ends.

    Raises
    ------
    StorageError
        When it can't be opened, is something else, or another process keeps it.
    SchemaMismatch
        When another version of the format wrote it.
    """
    for turn in range(_TRIES):
        try:
            return _open(path, tables, exclusive=exclusive)
        except (OSError, sqlite3.Error) as failure:
            if not _is_busy(failure):
                raise storage_error(failure, path, name) from failure
            if turn == _TRIES - 1:
                what = f"another process uses the {name}"
                hint = "stop it, or give each process a file of its own"
                raise StorageError(what, where=str(path), hint=hint) from failure
        # SQLite asks no busy handler when it switches a file to the write-ahead log.
        clock.wait(_PAUSE_S)
    raise AssertionError("the last turn returns or raises")


@contextlib.contextmanager
def written_whole(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block writes, or none of it."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:  # a full disk may have rolled it back already
            with contextlib.suppress(sqlite3.Error):
                connection.execute("rollback")
        raise


def storage_error(failure: Exception, path: Path, name: str) -> StorageError:
    """Give what SQLite or the system says as an error of ours."""
    code = getattr(failure, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        hint = "keep a copy and begin another file"
        return StorageError(f"not a whole {name}: {failure}", where=str(path), hint=hint)
    hint = "free some space or choose another place"
    return StorageError(f"the {name} can't be written: {failure}", where=str(path), hint=hint)


def _open(path: Path, tables: str, *, exclusive: bool) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # An open file is never opened beside SQLite: closing it would drop SQLite's POSIX locks.
        path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
    try:
        if exclusive:
            connection.execute("pragma locking_mode = exclusive")
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma secure_delete = on")
        with written_whole(connection):
            _check_version(connection, path)
            for statement in tables.split(";"):
                connection.execute(statement)
        connection.execute("pragma busy_timeout = 1000")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = int(connection.execute("pragma user_version").fetchone()[0])
    if version == 0:
        connection.execute(f"pragma user_version = {SCHEMA_VERSION}")
    elif version != SCHEMA_VERSION:
        what = f"schema version {version}, and this edgewise writes {SCHEMA_VERSION}"
        hint = "use the edgewise version that wrote it, or begin another file"
        raise SchemaMismatch(what, where=str(path), hint=hint)


def _is_busy(failure: Exception) -> bool:
    code = getattr(failure, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
