"""The queue of requests that wait for the network: crash-safe, bounded, answered once."""

import threading
from collections.abc import Collection, Sequence
from typing import Self

from edgewise.errors import StorageError, UsageError
from edgewise.records import OfflineRules
from edgewise.route.clock import Clock, SystemClock
from edgewise.route.late import Admission, LateAnswer, LateOutcome, LateRequest, QueueState
from edgewise.route.queue_file import QueueFile

_ENDS_AT_ONCE = 256
"""Where many can't be sent, as after a policy was swapped: one sync of the disk for so many."""


class OfflineQueue:
    """Requests that wait for the network, in order. Made and closed by the composer.

    Any thread may use it, and each call that writes takes one sync of the disk (milliseconds): an
    event loop calls through `asyncio.to_thread`. `draining.drain` empties it.

    *Answered once.* A request stays until its answer is recorded; both happen in one transaction.
    After a crash it is sent again under the same idempotency key, its id, and an answer that comes
    a second time is dropped. `take_answer` gives an answer once, also across crashes.

    *Private.* A request is taken only where a tier of its privacy set is one that the queue sends
    to, and comes out with no other tier in its set. A changed row of a sealed queue ends as
    `damaged`.

    *Time.* Ages follow the monotonic clock, so that no jump of the wall clock ends a request while
    the process runs. Over a restart the wall clock says how long the process was away: a clock
    that went back counts nothing, and neither does one that showed a time before 2020 and was
    set since. So a jump can make a request live longer, and only a forward jump while the process
    is away makes it end early.

    Parameters
    ----------
    remote
        Names of the tiers that the queue sends to.
    secret
        What `rules.key` refers to, read by the composer.

    Raises
    ------
    UsageError
        When the rules name a key and none is given, or the other way round.
    IntegrityError
        When the file is sealed by another key, or is sealed and no key is given, or the reverse.
    StorageError, SchemaMismatch
        When the file can't be opened, or another process keeps it.
    """

    def __init__(
        self,
        rules: OfflineRules,
        *,
        remote: Collection[str],
        secret: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if (rules.key is None) is not (secret is None):
            what = "a secret without a key in the rules, or a key without its secret"
            raise UsageError(what, where="OfflineQueue", hint="give both or neither")
        self.rules = rules
        self._gate = threading.RLock()
        self._claimed: set[str] = set()
        self._unwritten: dict[str, LateAnswer] = {}
        self._closed = False
        self._file = QueueFile(rules, remote, secret, SystemClock() if clock is None else clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send_only_to(self, remote: Collection[str]) -> None:
        """Name the tiers that the queue sends to, anew: for a policy that was swapped."""
        with self._gate:
            self._file.remote = frozenset(remote)

    def put(self, request: LateRequest) -> Admission:
        """Take a request, or say why not; it is on the disk when this returns.

        Raises
        ------
        UsageError
            When the queue is closed.
        """
        return self.put_many([request])[0]

    def put_many(self, requests: Sequence[LateRequest]) -> list[Admission]:
        """Take requests with one sync of the disk, or say of each why not."""
        with self._gate:
            self._check_open()
            try:
                with self._file.storing():
                    self._file.expire(self._claimed)
                    found = [self._file.admit(one) for one in requests]
                    if Admission.QUEUED in found:
                        self._file.note_time()
            except StorageError:
                return [self._file.refusal(one) or Admission.NO_STORAGE for one in requests]
            return found

    def claim(self, limit: int = 1) -> list[LateRequest]:
        """Give the requests to send next, in order; they are given again only once released.

        What has expired, can't be opened or may go to none of the tiers ends here.

        Raises
        ------
        StorageError
            When an end can't be written.
        """
        with self._gate:
            self._check_open()
            self._write_rest()
            self.expire()
            page = limit
            while True:
                with self._file.reading():
                    found = self._file.next(page, self._claimed)
                ends = [one for one in found if isinstance(one, LateAnswer)]
                if not ends:
                    break
                self.settle(ends)
                page = max(limit, _ENDS_AT_ONCE)
            claimed = [one for one in found if isinstance(one, LateRequest)][:limit]
            self._claimed.update(one.request_id for one in claimed)
            return claimed

    def settle(self, ends: Sequence[LateAnswer]) -> int:
        """Record how requests ended, and remove them, with one sync of the disk.

        Returns
        -------
        int
            How many ended now; the end of a request that does not wait any more is dropped.

        Raises
        ------
        StorageError
            When the disk is full. The ends are kept in memory, where `peek_answer` finds them, and
            written by the next call that can; a crash before sends those requests again.
        """
        with self._gate:
            self._check_open()
            with self._file.reading():
                for end in ends:
                    if self._file.waits(end.request_id):
                        self._unwritten.setdefault(end.request_id, self._file.owned(end))
            return self._write_rest()

    def fail(self, request_id: str, error: str) -> LateAnswer | None:
        """Count a try that the remote tier failed on; give the end where it was the last one."""
        with self._gate:
            self._check_open()
            with self._file.storing():
                tries = self._file.count_try(request_id)
            if tries < self.rules.max_tries:
                return None
            end = LateAnswer(request_id=request_id, outcome=LateOutcome.GAVE_UP, error=error)
            self.settle([end])
            return end

    def release(self) -> None:
        """Let claimed requests be claimed again."""
        with self._gate:
            self._claimed = set(self._unwritten)

    def take_answer(self, request_id: str) -> LateAnswer | None:
        """Give the end of a request, once; `None` while it waits, and ever after.

        A caller that must survive a crash of its own between the taking and its work peeks, works,
        and takes when done.

        Raises
        ------
        StorageError
            When the taking can't be recorded; the answer stays.
        """
        return next(iter(self.take_answers([request_id])), None)

    def take_answers(self, request_ids: Sequence[str]) -> list[LateAnswer]:
        """Give the ends of those that have one, each once, with one sync of the disk."""
        with self._gate:
            self._check_open()
            self._write_rest()
            with self._file.storing():
                asked = dict.fromkeys(request_ids)
                found = [one for name in asked if (one := self._file.answer(name)) is not None]
                if found:
                    self._file.drop([one.request_id for one in found])
                    self._file.note_time()
            return found

    def peek_answer(self, request_id: str) -> LateAnswer | None:
        """Give the end of a request and leave it there."""
        with self._gate:
            self._check_open()
            if request_id in self._unwritten:
                return self._unwritten[request_id]
            with self._file.reading():
                return self._file.answer(request_id)

    def waits(self, request_id: str) -> bool:
        """Say whether a request has no end yet: `False` too for one that is not known."""
        with self._gate:
            self._check_open()
            with self._file.reading():
                return self._file.waits(request_id)

    def answered_ids(self) -> list[str]:
        """Give the ids whose answers nobody has taken, the oldest answer first."""
        with self._gate:
            self._check_open()
            with self._file.reading():
                return [*self._file.answered_ids(), *self._unwritten]

    def unanswered(self) -> list[tuple[int, LateAnswer]]:
        """Give the ends without an answer that `note_told` does not cover, each with its place.

        Raises
        ------
        StorageError
            When ends that memory holds can't be written.
        """
        with self._gate:
            self._check_open()
            self._write_rest()
            with self._file.reading():
                return self._file.unanswered()

    def note_told(self, place: int) -> None:
        """Remember that ends were told up to a place, over restarts too."""
        with self._gate:
            self._check_open()
            with self._file.storing():
                self._file.note_told(max(place, self._file.told()))

    def expire(self) -> int:
        """End what has waited too long, drop answers that nobody took; give how many of both.

        Nothing that is under way is ended. `put` and `claim` do this by themselves.
        """
        with self._gate:
            self._check_open()
            with self._file.storing():
                return self._file.expire(self._claimed)

    def state(self) -> QueueState:
        """Give how full the queue is."""
        with self._gate:
            self._check_open()
            with self._file.reading():
                waiting, dropped = self._file.waiting(), self._file.dropped()
            return QueueState(
                waiting=waiting,
                answered=self._file.count - waiting,
                used_bytes=self._file.used_bytes,
                dropped=dropped,
            )

    def close(self) -> None:
        """Write what is left and let the file go; a second call does nothing.

        Raises
        ------
        StorageError
            When ends are left that can't be written: their requests will be sent again.
        """
        with self._gate:
            if self._closed:
                return
            self._closed = True
            try:
                self._write_rest()
                with self._file.storing():
                    self._file.note_time()
            finally:
                self._file.close()

    def _write_rest(self) -> int:
        """Write the ends that memory holds."""
        if not self._unwritten:
            return 0
        try:
            with self._file.storing():
                ended = sum(self._file.end(one) for one in self._unwritten.values())
                self._file.note_time()
        except StorageError:
            self._claimed.update(self._unwritten)
            raise
        self._claimed.difference_update(self._unwritten)
        self._unwritten.clear()
        return ended

    def _check_open(self) -> None:
        if self._closed:
            where = str(self._file.path)
            raise UsageError("the offline queue is closed", where=where, hint="close it last")
