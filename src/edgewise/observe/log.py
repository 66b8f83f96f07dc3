"""Decisions in SQLite: one writer thread, batches, write-ahead log."""

import json
import queue
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from edgewise.errors import StorageError
from edgewise.records import Decision, decode, encode

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
) strict
"""
_BATCH = 256
_INTERVAL_S = 0.1
_WAITING = 10_000
_CLOSE = None


class DecisionLog:
    """A file of decisions. Made and closed by the composer; any thread may append.

    Appending returns at once and waits only when 10,000 decisions are unwritten. A crash loses
    at most those of the last 0.1 s; `flush` waits until all are on disk. A request is logged once:
    a second decision of the same id is refused by the key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: queue.Queue[Decision | threading.Event | None] = queue.Queue(_WAITING)
        self._failure: sqlite3.Error | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = self._connect()
            connection.execute("pragma journal_mode = wal")
            connection.execute(_TABLE)
            connection.commit()
            connection.close()
        except (OSError, sqlite3.Error) as failure:
            raise self._storage(failure) from failure
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
        self.close()

    def append(self, decision: Decision) -> None:
        """Add a decision.

        Raises
        ------
        StorageError
            When an earlier one could not be written.
        """
        if self._failure is not None:
            raise self._storage(self._failure)
        self._queue.put(decision)

    def flush(self) -> None:
        """Wait until everything appended is on disk."""
        if self._writer.is_alive():
            written = threading.Event()
            self._queue.put(written)
            written.wait()
        if self._failure is not None:
            raise self._storage(self._failure)

    def close(self) -> None:
        """Write what waits and stop; a second call does nothing."""
        if self._writer.is_alive():
            self._queue.put(_CLOSE)
            self._writer.join()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise self._storage(failure)

    def read(self) -> Iterator[Decision]:
        """Give the decisions on disk in the order of their time."""
        connection = self._connect()
        try:
            for (text,) in connection.execute(
                "select decision from decisions order by at_s, rowid"
            ):
                yield decode(Decision, json.loads(text), where=str(self.path))
        finally:
            connection.close()

    def count(self) -> int:
        """Count the decisions on disk."""
        connection = self._connect()
        try:
            return int(connection.execute("select count(*) from decisions").fetchone()[0])
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=10.0)

    def _write(self) -> None:
        connection = self._connect()
        connection.execute("pragma synchronous = normal")
        going = True
        while going:
            batch, waiters, going = self._take()
            try:
                if batch and self._failure is None:
                    marks = ",".join("?" * 11)
                    sql = f"insert into decisions values ({marks})"  # noqa: S608 - question marks
                    connection.executemany(sql, [_row(one) for one in batch])
                    connection.commit()
            except sqlite3.Error as failure:
                self._failure = failure
                connection.rollback()
            for waiter in waiters:
                waiter.set()
        connection.close()

    def _take(self) -> tuple[list[Decision], list[threading.Event], bool]:
        """Wait for a first item, then gather what comes within the interval."""
        batch: list[Decision] = []
        waiters: list[threading.Event] = []
        item = self._queue.get()
        while True:
            if item is None:
                return batch, waiters, False
            if isinstance(item, threading.Event):
                waiters.append(item)
                return batch, waiters, True
            batch.append(item)
            if len(batch) >= _BATCH:
                return batch, waiters, True
            try:
                item = self._queue.get(timeout=_INTERVAL_S)
            except queue.Empty:
                return batch, waiters, True

    def _storage(self, failure: Exception) -> StorageError:
        what = f"the decision log can't be written: {failure}"
        return StorageError(
            what, where=str(self.path), hint="free some space or choose another place"
        )


def _row(one: Decision) -> tuple[object, ...]:
    return (
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
        json.dumps(encode(one), separators=(",", ":"), allow_nan=False),
    )
