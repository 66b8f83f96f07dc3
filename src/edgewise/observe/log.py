"""Decisions in SQLite: one writer thread, batches, write-ahead log."""

import json
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
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
_INSERT = (
    "insert into decisions values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "on conflict (request_id) do nothing"
)
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

    Raises
    ------
    StorageError
        When the file can't be made or is no decision log.
    SchemaMismatch
        When another version of the format wrote it.
    """

    def __init__(self, path: Path, *, interval_s: float = 0.1, batch: int = 256) -> None:
        self.path = path
        self._interval_s = interval_s
        self._batch = batch
        self._queue: queue.Queue[Row | threading.Event | None] = queue.Queue(_WAITING)
        self._gate = threading.Lock()
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
        row = _row(decision)
        if self._failure is not None:
            raise self._storage(self._failure)
        self._put(row)

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
        self._put(written)
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
            self._queue.put(None)
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

    def _put(self, item: Row | threading.Event) -> None:
        with self._gate:
            if self._closed:
                raise UsageError(
                    "the decision log is closed", where=str(self.path), hint="close it last"
                )
            self._queue.put(item)

    def _write(self) -> None:
        going = True
        while going:
            rows, waiters, going = self._take()
            self._unwritten += rows
            self._failure = self._store()
            for waiter in waiters:
                waiter.set()
        self._connection.close()

    def _take(self) -> tuple[list[Row], list[threading.Event], bool]:
        """Wait for a first item, then gather what comes until the interval ends."""
        rows: list[Row] = []
        wait_s = self._interval_s if self._unwritten else None
        end_s = 0.0
        while len(rows) < self._batch:
            try:
                item = self._queue.get(timeout=wait_s)
            except queue.Empty:
                break
            if item is None:
                return rows, [], False
            if isinstance(item, threading.Event):
                return rows, [item], True
            now_s = time.monotonic()
            end_s = end_s or now_s + self._interval_s
            wait_s = max(0.0, end_s - now_s)
            rows.append(item)
        return rows, [], True

    def _store(self) -> sqlite3.Error | None:
        if not self._unwritten:
            return None
        try:
            with self._connection as connection:
                connection.executemany(_INSERT, self._unwritten)
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


def _row(one: Decision) -> Row:
    try:
        whole = _COMPACT.encode(encode(one))
    except TypeError as wrong:
        what = f"a field has no JSON form: {wrong}"
        raise InvalidRecord(what, where="Decision", hint="give Python's own numbers") from wrong
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
        ",".join(reason.value for reason in one.reasons),
        whole,
    )
    return tuple(_storable(value) for value in row)


def _storable(value: str | float | None) -> str | float | None:
    """Lone surrogates have no UTF-8, so SQLite would refuse them."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()
