"""The offline queue on the disk: what waits, what was answered, and which ids are done."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewise.errors import IntegrityError, InvalidRecord
from edgewise.records import OfflineRules
from edgewise.route.clock import Clock
from edgewise.route.late import Admission, LateAnswer, LateOutcome, LateRequest
from edgewise.route.sealing import SALT_BYTES, Sealer
from edgewise.route.sqlite import open_file, storage_error, written_whole

_NAME = "offline queue"
_TABLES = """
create table if not exists waiting (
    place integer primary key autoincrement, request_id text not null unique, allowed text not null,
    payload blob not null, expires_s real not null, tries integer not null, bytes integer not null
);
create index if not exists waiting_ends on waiting (expires_s);
create table if not exists answers (
    place integer primary key autoincrement, request_id text not null unique, outcome text not null,
    body blob not null, error text not null, drop_s real not null, bytes integer not null
);
create index if not exists answers_end on answers (drop_s);
create table if not exists done (
    place integer primary key autoincrement, request_id text not null unique, forget_s real not null
);
create table if not exists owners (request_id text primary key, caller blob not null);
create table if not exists facts (name text primary key, value not null)
"""
_ROW_BYTES = 256
"""What a row costs beside its content: columns, two entries of indexes, half-empty pages."""
_OWNER_ROW_BYTES = 128
_ERROR_BYTES = 100
_ANSWER_BYTES = 128
"""What an answer may add to its body: a seal (28 bytes) and the class of an error."""
_CLOCK_SET_S = 1_577_836_800.0
"""2020, UTC: a wall clock that shows less was never set."""
_CHECK = b"edgewise offline queue"


class QueueFile:
    """The rows of an offline queue. Made and closed by `OfflineQueue`, which lets one thread in.

    `storing` is one transaction; what the docstrings call a writer runs within it.
    """

    def __init__(
        self, rules: OfflineRules, remote: Collection[str], secret: str | None, clock: Clock
    ) -> None:
        self.rules = rules
        self.path = Path(rules.path)
        self.remote = frozenset(remote)
        self.count = self.used_bytes = 0
        self._clock = clock
        self._connection = open_file(self.path, _TABLES, clock, name=_NAME, exclusive=True)
        try:
            with self.storing():
                self._sealer = self._unlock(secret)
                self._start_s = self._time_at_start()
            self._began_s = clock.now_s()
            self._measure()
        except BaseException:
            self._connection.close()
            raise

    @contextlib.contextmanager
    def storing(self) -> Iterator[None]:
        """Write whole or not at all, and say a failure in our words."""
        before = self.count, self.used_bytes
        try:
            with self.reading(), written_whole(self._connection):
                yield
        except BaseException:
            self.count, self.used_bytes = before
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Say a failure of SQLite in our words."""
        try:
            yield
        except sqlite3.Error as failure:
            raise storage_error(failure, self.path, _NAME) from failure

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    # What waits

    def admit(self, one: LateRequest) -> Admission:
        """Insert a request, or say why not; a writer."""
        no = self.refusal(one) or self._known(one)
        if no is not None:
            return no
        allowed = _names(one.allowed)
        payload = self._sealed(one.payload, f"{one.request_id} {allowed}")
        # With the room that the answer will need.
        content = max(len(payload), self.rules.max_answer_bytes)
        charge = _ROW_BYTES + _ANSWER_BYTES + len(one.request_id) + len(allowed) + content
        owner = self._sealed(one.caller.encode("utf-8", "surrogatepass"), _of(one.request_id))
        charge += _OWNER_ROW_BYTES + len(owner) if one.caller else 0
        if charge > self.rules.max_bytes:
            return Admission.TOO_LARGE
        if self.count >= self.rules.max_count or self.used_bytes + charge > self.rules.max_bytes:
            return Admission.QUEUE_FULL
        age_s = min(self.rules.max_age_s, one.max_age_s or self.rules.max_age_s)
        self._connection.execute(
            "insert into waiting (request_id, allowed, payload, expires_s, tries, bytes) "
            "values (?, ?, ?, ?, ?, ?)",
            (one.request_id, allowed, payload, self.time_s() + age_s, one.tries, charge),
        )
        if one.caller:
            sql = "insert or replace into owners values (?, ?)"
            self._connection.execute(sql, (one.request_id, owner))
        self.count += 1
        self.used_bytes += charge
        return Admission.QUEUED

    def refusal(self, one: LateRequest) -> Admission | None:
        """Refuse what may go to none of the tiers that the queue sends to."""
        return None if self.remote.intersection(one.allowed) else Admission.NO_REMOTE_TIER

    def next(self, limit: int, without: Collection[str]) -> list[LateRequest | LateAnswer]:
        """Give the first that wait, in order; an answer in place of one that can't be sent."""
        sql = "select place, request_id from waiting order by place limit ?"
        rows = self._connection.execute(sql, (limit + len(without),)).fetchall()
        places = [place for place, name in rows if name not in without][:limit]
        sql = "select request_id, allowed, payload, tries from waiting where place = ?"
        return [
            self._opened(*self._connection.execute(sql, (place,)).fetchone()) for place in places
        ]

    def waits(self, request_id: str) -> bool:
        """Say whether a request has no end yet."""
        sql = "select 1 from waiting where request_id = ?"
        return self._connection.execute(sql, (request_id,)).fetchone() is not None

    def waiting(self) -> int:
        """Count what waits."""
        return int(self._connection.execute("select count(*) from waiting").fetchone()[0])

    def count_try(self, request_id: str) -> int:
        """Add a try that failed and give their number, 0 for what does not wait; a writer."""
        rows = self._connection.execute(
            "update waiting set tries = tries + 1 where request_id = ? returning tries",
            (request_id,),
        ).fetchall()
        return int(rows[0][0]) if rows else 0

    # How it ended

    def end(self, end: LateAnswer) -> bool:
        """Replace a request by its end; `False` when it does not wait. A writer."""
        row = self._connection.execute(
            "delete from waiting where request_id = ? returning bytes", (end.request_id,)
        ).fetchall()
        if not row:
            return False
        self.used_bytes -= row[0][0]
        about, error = f"answer {end.request_id}", end.error[:_ERROR_BYTES]
        least = _ROW_BYTES + len(end.request_id) + len(error) + self._owner_bytes(end.request_id)
        outcome, body = end.outcome, self._sealed(end.body, about)
        if end.body and self.used_bytes + least + len(body) > self.rules.max_bytes:
            outcome, body = LateOutcome.ANSWER_TOO_LARGE, self._sealed(b"", about)
        drop_s = self.time_s() + self.rules.keep_answers_s
        self._connection.execute(
            "insert into answers (request_id, outcome, body, error, drop_s, bytes) "
            "values (?, ?, ?, ?, ?, ?)",
            (end.request_id, outcome.value, body, error, drop_s, least + len(body)),
        )
        self.used_bytes += least + len(body)
        return True

    def answer(self, request_id: str) -> LateAnswer | None:
        """Give the end of a request."""
        sql = "select outcome, body, error from answers where request_id = ?"
        row = self._connection.execute(sql, (request_id,)).fetchone()
        if row is None:
            return None
        outcome, error, caller = LateOutcome(row[0]), row[2], ""
        try:
            caller = self.owner(request_id)
            body = self._unsealed(row[1], f"answer {request_id}")
        except IntegrityError as damage:
            outcome, body, error = LateOutcome.DAMAGED, b"", type(damage).__name__
        return LateAnswer(
            request_id=request_id, outcome=outcome, body=body, error=error, caller=caller
        )

    def owner(self, request_id: str) -> str:
        """Give whose a request is; empty where it is nobody's alone.

        Raises
        ------
        IntegrityError
            When the file was changed.
        """
        sql = "select caller from owners where request_id = ?"
        row = self._connection.execute(sql, (request_id,)).fetchone()
        if row is None:
            return ""
        return self._unsealed(row[0], _of(request_id)).decode("utf-8", "surrogatepass")

    def owned(self, end: LateAnswer) -> LateAnswer:
        """Give an end with whose it is; a damaged one where that was changed."""
        try:
            return replace(end, caller=self.owner(end.request_id))
        except IntegrityError as damage:
            error = type(damage).__name__
            return replace(end, outcome=LateOutcome.DAMAGED, body=b"", error=error)

    def answered_ids(self) -> list[str]:
        """Give the ids that have an end, the oldest first."""
        rows = self._connection.execute("select request_id from answers order by place")
        return [name for (name,) in rows.fetchall()]

    def unanswered(self) -> list[tuple[int, LateAnswer]]:
        """Give the ends without an answer that were not told yet, each with its place."""
        sql = (
            "select place, request_id from answers where place > ? and outcome != ? order by place"
        )
        rows = self._connection.execute(sql, (self.told(), LateOutcome.ANSWERED.value)).fetchall()
        found = [(place, self.answer(name)) for place, name in rows]
        return [(place, end) for place, end in found if end is not None]

    def told(self) -> int:
        """Give the place of the last end that was told."""
        return int(self._fact("told") or 0)

    def note_told(self, place: int) -> None:
        """Remember that ends were told up to a place; a writer."""
        self._set_fact("told", float(place))

    def drop(self, names: Sequence[str]) -> None:
        """Turn answers into the memory that they were there; a writer."""
        now_s = self.time_s()
        for name in names:
            rows = self._connection.execute(
                "delete from answers where request_id = ? returning bytes", (name,)
            ).fetchall()
            self.count -= len(rows)
            self.used_bytes -= sum(row[0] for row in rows)
            self._connection.execute("delete from owners where request_id = ?", (name,))
            self._connection.execute(
                "insert or ignore into done (request_id, forget_s) values (?, ?)",
                (name, now_s + self.rules.keep_answers_s),
            )
        self._connection.execute(
            "delete from done where forget_s <= ? or place <= (select max(place) from done) - ?",
            (now_s, self.rules.max_count),
        )

    def expire(self, without: Collection[str]) -> int:
        """End what has waited too long, drop stale answers, count both; a writer."""
        now_s = self.time_s()
        sql = "select request_id from waiting where expires_s <= ? order by place"
        old = [name for (name,) in self._connection.execute(sql, (now_s,)).fetchall()]
        ended = sum(
            self.end(LateAnswer(request_id=name, outcome=LateOutcome.EXPIRED))
            for name in old
            if name not in without
        )
        sql = "select request_id from answers where drop_s <= ?"
        stale = [name for (name,) in self._connection.execute(sql, (now_s,)).fetchall()]
        if stale:
            self.drop(stale)
            self._set_fact("dropped", self.dropped() + len(stale))
        if ended or stale:
            self.note_time()
        return ended + len(stale)

    def dropped(self) -> int:
        """Count the answers that were dropped because nobody took them."""
        return int(self._fact("dropped") or 0)

    # Time

    def time_s(self) -> float:
        """Give the queue's own time: seconds that it has existed, as far as can be told."""
        return self._start_s + (self._clock.now_s() - self._began_s)

    def note_time(self) -> None:
        """Remember what time it is, for after a restart; a writer."""
        self._set_fact("time_s", self.time_s())
        self._set_fact("wall_s", self._clock.utc_s())

    def _time_at_start(self) -> float:
        told_s, wall_s = self._fact("time_s"), self._fact("wall_s")
        if told_s is None or wall_s is None:
            return 0.0
        away_s = self._clock.utc_s() - float(wall_s) if float(wall_s) >= _CLOCK_SET_S else 0.0
        return float(told_s) + max(0.0, away_s)

    # Inside

    def _known(self, one: LateRequest) -> Admission | None:
        """Find an earlier request of the same id."""
        name = (one.request_id,)
        sql = "select allowed, payload from waiting where request_id = ?"
        row = self._connection.execute(sql, name).fetchone()
        if row is not None:
            try:
                payload = self._unsealed(row[1], f"{one.request_id} {row[0]}")
            except IntegrityError:
                return Admission.ID_IN_USE
            same = (row[0], payload) == (_names(one.allowed), one.payload)
            return Admission.KNOWN if same else Admission.ID_IN_USE
        sql = (
            "select 1 from answers where request_id = ? "
            "union all select 1 from done where request_id = ?"
        )
        ended = self._connection.execute(sql, name * 2).fetchone()
        return Admission.KNOWN if ended else None

    def _opened(
        self, name: str, allowed: str, payload: bytes, tries: int
    ) -> LateRequest | LateAnswer:
        try:
            clear = self._unsealed(payload, f"{name} {allowed}")
            tiers = tuple(tier for tier in json.loads(allowed) if tier in self.remote)
            request = LateRequest(
                request_id=name,
                payload=clear,
                allowed=tiers,
                tries=tries,
                caller=self.owner(name),
            )
        except (IntegrityError, InvalidRecord, ValueError, TypeError) as damage:
            error = type(damage).__name__
            return LateAnswer(request_id=name, outcome=LateOutcome.DAMAGED, error=error)
        if not tiers:
            return LateAnswer(request_id=name, outcome=LateOutcome.NO_REMOTE_TIER)
        return request

    def _unlock(self, secret: str | None) -> Sealer | None:
        """Check the key against the file; a new file takes any."""
        check = self._fact("check")
        if check is None:
            salt = os.urandom(SALT_BYTES)
            sealer = None if secret is None else Sealer(secret, salt)
            self._set_fact("salt", salt)
            self._set_fact("check", self._seal_with(sealer, _CHECK, "check"))
            return sealer
        hint = "give the key that sealed it, or another path"
        if (secret is None) is not (check == _CHECK):
            what = "the queue is sealed" if secret is None else "the queue was made without a key"
            raise IntegrityError(what, where=str(self.path), hint=hint)
        if secret is None:
            return None
        sealer = Sealer(secret, self._fact("salt"))
        try:
            sealer.unseal(check, "check")
        except IntegrityError as wrong:
            raise IntegrityError(wrong.what, where=str(self.path), hint=hint) from wrong
        return sealer

    def _owner_bytes(self, request_id: str) -> int:
        sql = "select length(caller) from owners where request_id = ?"
        row = self._connection.execute(sql, (request_id,)).fetchone()
        return 0 if row is None else _OWNER_ROW_BYTES + int(row[0])

    def _sealed(self, clear: bytes, about: str) -> bytes:
        return self._seal_with(self._sealer, clear, about)

    def _unsealed(self, stored: bytes, about: str) -> bytes:
        return stored if self._sealer is None else self._sealer.unseal(stored, about)

    @staticmethod
    def _seal_with(sealer: Sealer | None, clear: bytes, about: str) -> bytes:
        return clear if sealer is None else sealer.seal(clear, about)

    def _fact(self, name: str) -> Any:
        sql = "select value from facts where name = ?"
        row = self._connection.execute(sql, (name,)).fetchone()
        return None if row is None else row[0]

    def _set_fact(self, name: str, value: float | bytes) -> None:
        sql = "insert or replace into facts values (?, ?)"
        self._connection.execute(sql, (name, value))

    def _measure(self) -> None:
        sql = (
            "select count(*), coalesce(sum(bytes), 0) from "
            "(select bytes from waiting union all select bytes from answers)"
        )
        with self.reading():
            self.count, self.used_bytes = self._connection.execute(sql).fetchone()


def _of(request_id: str) -> str:
    return f"caller {request_id}"


def _names(allowed: Sequence[str]) -> str:
    return json.dumps(list(allowed))
