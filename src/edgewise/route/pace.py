"""Work that is done sooner than a thread would be woken for it."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")

_QUICK_S = 0.0005
"""To wake a thread, and the event loop after it, takes up to about this long."""
_IN_A_ROW = 64


class Pace(Generic[Given, Found]):
    """Work that says whether it is quick: by how long its last calls took. Any thread may call.

    One call runs at a time. One that takes long, for its input or for what else the machine does,
    ends that it counts as quick until so many in a row were.

    Parameters
    ----------
    now_s
        For how long a call takes: any clock that only goes forward.
    """

    def __init__(
        self, work: Callable[[Given], Found], *, now_s: Callable[[], float] = time.perf_counter
    ) -> None:
        self._work = work
        self._now_s = now_s
        self._running = threading.Lock()
        self._quick = 0
        """Calls in a row that were quick."""
        self._closed = False

    def __call__(self, given: Given) -> Found:
        """Do the work, after the call that runs."""
        with self._running:
            return self._timed(given)

    def at_once(self, given: Given) -> Found | None:
        """Do the work where it is quick and nothing runs; `None` where a thread should do it."""
        if self._quick < _IN_A_ROW or not self._running.acquire(blocking=False):
            return None
        try:
            return None if self._closed else self._timed(given)
        finally:
            self._running.release()

    def close(self) -> None:
        """Do nothing at once any more; waits for the call that runs."""
        with self._running:
            self._closed = True

    def _timed(self, given: Given) -> Found:
        start_s = self._now_s()
        found = self._work(given)
        quick = self._now_s() - start_s <= _QUICK_S
        self._quick = self._quick + 1 if quick else 0
        return found
