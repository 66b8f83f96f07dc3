"""Requests in the order in which they were decided, for a test whose answers come in another.

An answer that says "the edge was wrong" may come sooner than one that says it was right. Counted as
they come they would be no fair bet, so a request waits until all before it are known.
"""

from collections import deque
from dataclasses import dataclass, field

from edgewise.errors import InvalidRecord
from edgewise.observe.eprocess import EProcess


@dataclass(slots=True)
class _Waiting:
    """An audited request, and the requests without an audit just before it."""

    number: int
    before: int
    until_s: float
    loss: float | None = None


@dataclass(slots=True)
class Line:
    """Feeds a test in order. Made and used by the auditor."""

    test: EProcess
    _queue: deque[_Waiting] = field(default_factory=deque)
    _by_number: dict[int, _Waiting] = field(default_factory=dict)
    _after: int = 0
    """Requests without an audit after the last that waits."""

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def unsettled(self) -> int:
        """Give how many requests the test has not heard of."""
        return sum(one.before + 1 for one in self._queue) + self._after

    def waits_for(self, number: int) -> bool:
        """Say whether an audited request is waited for."""
        return number in self._by_number

    def skip(self) -> None:
        """Count a request that lost nothing or was not audited."""
        self._after += 1

    def wait(self, number: int, until_s: float) -> None:
        """Let an audited request wait for its loss, at most until a moment."""
        one = _Waiting(number=number, before=self._after, until_s=until_s)
        self._queue.append(one)
        self._by_number[number] = one
        self._after = 0

    def settle(self, number: int, loss: float) -> bool:
        """Say what an audited request lost; gives whether it was waited for."""
        one = self._by_number.get(number)
        if one is None or one.loss is not None:
            return False
        one.loss = loss
        self._advance()
        return True

    def expire(self, now_s: float) -> None:
        """Give up on those at the head whose time is over: they count as no loss."""
        while self._queue and (self._queue[0].loss is not None or self._queue[0].until_s <= now_s):
            if self._queue[0].loss is None:
                self._queue[0].loss = 0.0
            self._advance()

    def flush(self) -> None:
        """Tell the test of the requests without an audit, where nothing is waited for."""
        if not self._queue and self._after:
            self.test.skip(self._after)
            self._after = 0

    def saved(self) -> dict[str, object]:
        """Give all of it as what JSON can hold."""
        queue = [[one.number, one.before, one.until_s, one.loss] for one in self._queue]
        return {"test": self.test.saved(), "queue": queue, "after": self._after}

    @classmethod
    def restored(cls, saved: object) -> "Line":
        """Give the one that was saved.

        Raises
        ------
        InvalidRecord
            When it is not one.
        """
        try:
            body = dict(saved)  # type: ignore[call-overload]
            made = cls(EProcess.restored(body["test"]))
            for number, before, until_s, loss in body["queue"]:
                made._after = int(before)
                made.wait(int(number), float(until_s))
                made._queue[-1].loss = None if loss is None else float(loss)
            made._after = int(body["after"])
        except (KeyError, TypeError, ValueError) as strange:
            what = f"no state of an audit: {type(strange).__name__}"
            raise InvalidRecord(what, where="Line", hint="begin another file") from strange
        return made

    def _advance(self) -> None:
        while self._queue and self._queue[0].loss is not None:
            one = self._queue.popleft()
            del self._by_number[one.number]
            self.test.skip(one.before)
            self.test.add(one.loss or 0.0)
