"""The audit's file: its samples and the state of its test, in SQLite, written whole or not at all.

A process that is killed leaves the file as of its last commit. What it had counted since then is
charged by whoever opens the file next: see `Auditor`.
"""

import contextlib
import json
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewise.errors import InvalidRecord, SchemaMismatch, StorageError
from edgewise.observe.reading import connect_to_read
from edgewise.records import SCHEMA_VERSION, AuditSample, decode, encode

try:
    import fcntl
except ImportError:  # not a POSIX system: nobody is kept out there
    fcntl = None  # type: ignore[assignment]

_TABLES = (
    "create table if not exists samples (request_id text primary key, certificate text not null, "
    "at_s real not null, sample text not null)",
    "create table if not exists truths (request_id text primary key, truth text not null)",
    "create table if not exists state (id integer primary key check (id = 1), body text not null)",
)
_HINT = "free some space or choose another place"


class _Save:
    """What one commit writes."""

    __slots__ = ("body", "done", "samples", "truths")

    def __init__(
        self,
        body: Mapping[str, Any],
        samples: Sequence[tuple[str, AuditSample]],
        truths: Mapping[str, str],
        done: Callable[[], None],
    ) -> None:
        self.body = body
        self.samples = samples
        self.truths = truths
        self.done = done


class AuditFile:
    """A file of samples with the state that they led to. Made by a composer, closed by the auditor.

    One process at a time has it open; any may read it by `read_samples`.

    Parameters
    ----------
    path
        Made when it is not there, readable by its owner alone.

    Raises
    ------
    StorageError
        When it can't be made or read, or another process has it open.
    SchemaMismatch
        When another version of the format wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = self._held()
        try:
            self._connection = self._open()
        except BaseException:
            self._release()
            raise
        self._queue: queue.Queue[_Save | threading.Event | None] = queue.Queue()
        self._failure: sqlite3.Error | None = None
        self._writer = threading.Thread(target=self._write, name="audit", daemon=True)
        self._writer.start()

    def load(self) -> dict[str, Any] | None:
        """Give the state that was saved last.

        Raises
        ------
        StorageError, InvalidRecord
            When it can't be read, or is no state.
        """
        return _state_in(self.path)

    def save(
        self,
        body: Mapping[str, Any],
        samples: Sequence[tuple[str, AuditSample]] = (),
        truths: Mapping[str, str] | None = None,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Write a state, and samples with their certificate's digest, in one commit; soon.

        Parameters
        ----------
        done
            Called from the writer's thread when it is on the disk. What can't be written is tried
            again with the next save.
        """
        self._queue.put(_Save(body, tuple(samples), dict(truths or {}), done))

    def flush(self) -> None:
        """Wait until everything saved is on the disk.

        Raises
        ------
        StorageError
            When it can't be written.
        """
        tried = threading.Event()
        self._queue.put(tried)
        tried.wait()
        if self._failure is not None:
            raise _storage(self._failure, self.path) from self._failure

    def trim(self, keep: int) -> None:
        """Drop the oldest samples beyond a number of them, at the next save."""
        self._keep = keep

    def close(self) -> None:
        """Write what waits, and let the file go; a second call does nothing.

        Raises
        ------
        StorageError
            When something is left that can't be written.
        """
        if not self._writer.is_alive():
            return
        self._queue.put(None)
        self._writer.join()
        self._connection.close()
        self._release()
        if self._failure is not None:
            raise _storage(self._failure, self.path) from self._failure

    _keep = 20_000

    def _write(self) -> None:
        left: list[_Save] = []
        going = True
        while going:
            batch: list[_Save | threading.Event | None] = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while True:
                    batch.append(self._queue.get_nowait())
            going = None not in batch
            left += [one for one in batch if isinstance(one, _Save)]
            if left and self._try(left):
                left = []
            for one in batch:
                if isinstance(one, threading.Event):
                    one.set()

    def _try(self, saves: Sequence[_Save]) -> bool:
        try:
            self._commit(saves)
        except sqlite3.Error as failure:
            self._failure = failure
            return False
        self._failure = None
        for one in saves:
            one.done()
        return True

    def _commit(self, saves: Sequence[_Save]) -> None:
        with self._connection as connection:
            for one in saves:
                for key, sample in one.samples:
                    text = json.dumps(encode(sample), allow_nan=False)
                    connection.execute(
                        "insert or replace into samples values (?, ?, ?, ?)",
                        (sample.request_id, key, sample.at_s, text),
                    )
                for name, truth in one.truths.items():
                    connection.execute("insert or replace into truths values (?, ?)", (name, truth))
            body = json.dumps(saves[-1].body, allow_nan=False)
            connection.execute("insert or replace into state values (1, ?)", (body,))
            old = "select rowid from samples order by rowid desc limit -1 offset ?"
            connection.execute(f"delete from samples where rowid in ({old})", (self._keep,))

    def _held(self) -> int | None:
        if fcntl is None:
            return None
        lock = self.path.with_name(f".{self.path.name}.lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as failure:
            raise _storage(failure, self.path) from failure
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            os.close(held)
            what, hint = "another process audits into it", "give each process a file of its own"
            raise StorageError(what, where=str(self.path), hint=hint) from taken
        return held

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)  # the lock goes with it; its empty file stays
            self._lock = None

    def _open(self) -> sqlite3.Connection:
        try:
            if not self.path.exists():
                self.path.touch(mode=0o600)
            connection = _connect(self.path)
        except (OSError, sqlite3.Error) as failure:
            raise _storage(failure, self.path) from failure
        try:
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
            version = int(connection.execute("pragma user_version").fetchone()[0])
            if version not in (0, SCHEMA_VERSION):
                what = f"schema version {version}, and this edgewise writes {SCHEMA_VERSION}"
                hint = "use the edgewise version that wrote it, or begin another file"
                raise SchemaMismatch(what, where=str(self.path), hint=hint)
            for table in _TABLES:
                connection.execute(table)
            connection.execute(f"pragma user_version = {SCHEMA_VERSION}")
        except sqlite3.Error as failure:
            connection.close()
            raise _storage(failure, self.path) from failure
        except SchemaMismatch:
            connection.close()
            raise
        return connection


def read_samples(path: Path) -> Iterator[tuple[str, AuditSample]]:
    """Give the samples of a file with their certificates' digests, the oldest first.

    Raises
    ------
    StorageError, InvalidRecord
        When it can't be read, or holds something else.
    """
    if not path.is_file():
        what, hint = "there is no such file", "audit first: give the policy `audit` rules"
        raise StorageError(what, where=str(path), hint=hint)
    sql = (
        "select certificate, sample, truth from samples left join truths using (request_id) "
        "order by samples.rowid"
    )
    try:
        with closing(connect_to_read(path)) as connection:
            rows = connection.execute(sql).fetchall()
    except sqlite3.Error as failure:
        what, hint = f"it is no audit's file: {failure}", "give the file that the audit writes"
        raise StorageError(what, where=str(path), hint=hint) from failure
    for key, text, truth in rows:
        try:
            body = json.loads(text)
        except ValueError as wrong:
            hint = "it was changed by hand: give a copy from before"
            raise InvalidRecord("a sample is no JSON", where=str(path), hint=hint) from wrong
        sample = decode(AuditSample, body, where=str(path))
        yield key, sample if truth is None else replace(sample, truth=truth)


def read_refuted(path: Path) -> frozenset[str]:
    """Give the digests of the certificates that a file's audits have found void; none without it.

    Raises
    ------
    StorageError, InvalidRecord
        When it can't be read, or holds something else.
    """
    if not path.is_file():
        return frozenset()
    body = _state_in(path)
    if body is None:
        return frozenset()
    try:
        found = {str(key) for key in body.get("refuted", {})}
        return frozenset({*found, str(body["certificate"])} if body["state"]["void"] else found)
    except (KeyError, TypeError) as strange:
        what = "it holds another state than an audit's"
        raise InvalidRecord(what, where=str(path), hint="begin another file") from strange


def _state_in(path: Path) -> dict[str, Any] | None:
    try:
        with closing(connect_to_read(path)) as connection:
            row = connection.execute("select body from state").fetchone()
        found = None if row is None else json.loads(row[0])
    except sqlite3.Error as failure:
        raise _storage(failure, path) from failure
    except ValueError as strange:
        what = "the audit's state is no JSON"
        raise InvalidRecord(what, where=str(path), hint="begin another file") from strange
    return found if isinstance(found, dict) else None


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=10.0, check_same_thread=False)


def _storage(failure: Exception, path: Path) -> StorageError:
    what = f"the audit's file can't be used: {failure}"
    return StorageError(what, where=str(path), hint=_HINT)
