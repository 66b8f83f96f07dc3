"""Decisions in SQLite: one writer thread, batches, write-ahead log."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from types import TracebackType

from edgewise.errors import InvalidRecord, SchemaMismatch, StorageError, UsageError
from edgewise.records import SCHEMA_VERSION, Decision, decode, encode

_TABLE = """
create table if not exists decisions (
    request_id text primary key,
    at_s real not null,
    location text,
    latency_ms real not null,
    cost_usd real not null,
    confidence real,
    policy_version text not null,
    certificate_state text not null,
    error text not null,
    reasons text not null,
    decision text not null
)
"""
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_AT_ONCE = (64, 8, 1)
"""Rows of one statement: Python's lock changes hands twice for each statement, and other threads
answer requests meanwhile. 64 rows have fewer values than any SQLite takes; few sizes, so that each
is prepared once."""
_INSERTS = {
    rows: f"insert into decisions values {', '.join([_ROW] * rows)} "
    "on conflict (request_id) do nothing"
    for rows in _AT_ONCE
}
_COMPACT = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_WAITING = 10_000
_LOCKED_S = 10.0

Row = tuple[str | float | None, ...]


class DecisionLog:
    """A file of decisions. Made and closed by the composer; any thread may append.

    Appending returns at once and waits only while 10,000 decisions are unwritten. A crash loses
    at most those of the last interval; `flush` waits until all are on disk. A request is logged
    once: of two decisions with one id the first stands, so a replay after a crash is harmless.

    What can't be written is kept and tried again each interval; meanwhile `append` and `flush`
    raise, and nothing is dropped unsaid.

    Parameters
    ----------
    interval_s
        Longest time that an appended decision waits for its batch.
    batch
        Decisions that are written at once without waiting for the interval's end.
    to_json
        Gives a decision's JSON, where something faster than `records.encode` is at hand.

    Raises
    ------
    StorageError
        When the file can't be made or is no decision log.
    SchemaMismatch
        When another version of the format wrote it.
    """

    def __init__(
        self,
        path: Path,
        *,
        interval_s: float = 0.1,
        batch: int = 256,
        to_json: Callable[[Decision], str] | None = None,
    ) -> None:
        self.path = path
        self._interval_s = interval_s
        self._batch = batch
        self._to_json = _json if to_json is None else to_json
        self._gate = threading.Lock()
        self._room = threading.Condition(self._gate)
        self._some, self._enough = threading.Event(), threading.Event()
        self._rows: list[Row] = []
        self._waiters: list[threading.Event] = []
        self._closed = False
        self._failure: sqlite3.Error | None = None
        self._unwritten: list[Row] = []
        self._connection = self._open()
        self._writer = threading.Thread(target=self._write, name="decision-log", daemon=True)
        self._writer.start()

    def __enter__(self) -> "DecisionLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except StorageError as failure:
            if error is None:
                raise
            error.add_note(str(failure))

    def append(self, decision: Decision) -> None:
        """Add a decision.

        Raises
        ------
        StorageError
            When an earlier one could not be written; this one is not taken.
        InvalidRecord
            When the decision has no JSON form.
        UsageError
            When the log is closed.
        """
        row = _row(decision, self._to_json)
        if self._failure is not None:
            raise self._storage(self._failure)
        with self._gate:
            if self._closed:
                self._check_open()
            while len(self._rows) >= _WAITING:
                self._room.wait()
                self._check_open()
            self._rows.append(row)
            count = len(self._rows)
        # The writer is woken for the first of a batch and for a full one, not for each.
        if count == 1:
            self._some.set()
        elif count >= self._batch:
            self._enough.set()

    def flush(self) -> None:
        """Wait until everything appended is on disk.

        Raises
        ------
        StorageError
            When it can't be written.
        UsageError
            When the log is closed.
        """
        written = threading.Event()
        with self._gate:
            self._check_open()
            self._waiters.append(written)
        self._hurry()
        written.wait()
        if self._failure is not None:
            raise self._storage(self._failure)

    def close(self) -> None:
        """Write what waits and stop; a second call does nothing.

        Raises
        ------
        StorageError
            When decisions are left that can't be written; says how many.
        """
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._room.notify_all()
        self._hurry()
        self._writer.join()
        if self._failure is not None:
            raise self._storage(self._failure)

    def read(self) -> Iterator[Decision]:
        """Give the decisions on disk in the order of their appending.

        Raises
        ------
        StorageError
            When the file can't be read.
        InvalidRecord
            When a row is not a decision of this schema version.
        """
        sql = "select decision from decisions order by rowid"
        try:
            with closing(self._connect()) as connection:
                for (text,) in connection.execute(sql):
                    yield decode(Decision, json.loads(text), where=str(self.path))
        except sqlite3.Error as failure:
            raise self._unreadable(failure) from failure

    def count(self) -> int:
        """Count the decisions on disk.

        Raises
        ------
        StorageError
            When the file can't be read.
        """
        try:
            with closing(self._connect()) as connection:
                return int(connection.execute("select count(*) from decisions").fetchone()[0])
        except sqlite3.Error as failure:
            raise self._unreadable(failure) from failure

    def _open(self) -> sqlite3.Connection:
        """Open the file, again while another opener holds it.

        SQLite asks no busy handler when it switches a file to the write-ahead log, so openers of
        a new file that meet would fail at once.
        """
        end_s = time.monotonic() + _LOCKED_S
        while True:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                return self._prepare(self._connect())
            except (OSError, sqlite3.Error) as failure:
                code = getattr(failure, "sqlite_errorcode", 0) & 0xFF
                if code != sqlite3.SQLITE_BUSY or time.monotonic() > end_s:
                    raise self._storage(failure) from failure
            time.sleep(0.005)

    def _prepare(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        try:
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
            connection.execute(_TABLE)
            self._check_version(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_version(self, connection: sqlite3.Connection) -> None:
        version = int(connection.execute("pragma user_version").fetchone()[0])
        if version == 0:
            connection.execute(f"pragma user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            what = f"schema version {version}, and this edgewise writes {SCHEMA_VERSION}"
            hint = "use the edgewise version that wrote it, or begin another file"
            raise SchemaMismatch(what, where=str(self.path), hint=hint)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=_LOCKED_S, check_same_thread=False)

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(
                "the decision log is closed", where=str(self.path), hint="close it last"
            )

    def _hurry(self) -> None:
        self._some.set()
        self._enough.set()

    def _write(self) -> None:
        going = True
        while going:
            if not self._unwritten:
                self._some.wait()
            self._enough.wait(self._interval_s)
            with self._gate:
                self._some.clear()
                self._enough.clear()
                rows, self._rows = self._rows, []
                waiters, self._waiters = self._waiters, []
                going = not self._closed
                self._room.notify_all()
            self._unwritten += rows
            self._failure = self._store()
            for waiter in waiters:
                waiter.set()
        self._connection.close()

    def _store(self) -> sqlite3.Error | None:
        if not self._unwritten:
            return None
        try:
            with self._connection as connection:
                _insert(connection, self._unwritten)
        except sqlite3.Error as failure:
            return failure
        self._unwritten.clear()
        return None

    def _storage(self, failure: Exception) -> StorageError:
        waiting = f" ({len(self._unwritten)} unwritten)" if self._unwritten else ""
        what = f"the decision log can't be written{waiting}: {failure}"
        return StorageError(
            what, where=str(self.path), hint="free some space or choose another place"
        )

    def _unreadable(self, failure: sqlite3.Error) -> StorageError:
        what = f"the decision log can't be read: {failure}"
        return StorageError(what, where=str(self.path), hint="is it whole? keep a copy, begin anew")


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    at = 0
    for size in _AT_ONCE:
        while len(rows) - at >= size:
            values = list(chain.from_iterable(rows[at : at + size]))
            connection.execute(_INSERTS[size], values)
            at += size


def _json(one: Decision) -> str:
    try:
        return _COMPACT.encode(encode(one))
    except TypeError as wrong:
        what = f"a field has no JSON form: {wrong}"
        raise InvalidRecord(what, where="Decision", hint="give Python's own numbers") from wrong


def _row(one: Decision, to_json: Callable[[Decision], str]) -> Row:
    text = to_json(one)
    row = (
        one.request_id,
        one.at_s,
        one.location,
        one.latency_ms,
        one.cost_usd,
        one.confidence,
        one.policy_version,
        one.certificate_state,
        one.error,
        ",".join([reason._value_ for reason in one.reasons]),
        text,
    )
    said = f"{one.request_id}{one.location}{one.policy_version}{one.certificate_state}{one.error}"
    if text.isascii() and said.isascii():
        return row
    return tuple(_storable(value) for value in row)


def _storable(value: str | float | None) -> str | float | None:
    """Lone surrogates have no UTF-8, so SQLite would refuse them."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()
