"""Several processes on one socket, and the one that watches over them."""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from edgewise.errors import EdgewiseError
from edgewise.gateway.events import Events

_MOST_ENDED = 5
"""A worker that ends by itself is started again; after so many within `_WINDOW_S` the gateway
gives up."""
_WINDOW_S = 300.0
_HEEDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Work = Callable[[int, Callable[[], object]], None]


class Workers:
    """Forks workers and passes signals on to them. Made by `serve`, before any thread or loop.

    Parameters
    ----------
    work
        What the worker of a place, from 0 on, does until it is told to stop; it calls its second
        argument when it is ready. One that ended by itself leaves its place to another.
    ready
        Called once, when all are.
    now_s
        A clock that is not set back.
    """

    def __init__(
        self,
        count: int,
        work: Work,
        ready: Callable[[], object],
        *,
        events: Events,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count, self._work, self._ready, self._events = count, work, ready, events
        self._now_s = now_s
        self._stopping = False
        self._running: dict[int, int] = {}
        self._said, self._saying = os.pipe()
        # Nobody writes there: it ends when the parent has, killed or not.
        self._parent_ends, self._parent_lives = os.pipe()

    def run(self) -> None:
        """Run until told to stop, or until workers do not stay.

        Raises
        ------
        EdgewiseError
            When workers end by themselves again and again within a few minutes.
        """
        before = {one: signal.signal(one, self._pass_on) for one in _HEEDED}
        try:
            for place in range(self._count):
                self._start(place)
            if self._all_ready():
                self._ready()
            self._watch()
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
            for end in (self._said, self._saying, self._parent_ends, self._parent_lives):
                os.close(end)

    def _start(self, place: int) -> None:
        # A signal waits until the parent knows the worker, and the worker heeds it by itself.
        kept = signal.pthread_sigmask(signal.SIG_BLOCK, _HEEDED)
        try:
            if self._stopping:
                return
            pid = os.fork()
            if pid == 0:
                self._live(place, kept)
            self._running[pid] = place
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, kept)

    def _live(self, place: int, kept: set[int | signal.Signals]) -> None:
        """Do a worker's work and end; does not return."""
        code = 1
        try:
            os.close(self._parent_lives)
            for one in _HEEDED:
                signal.signal(one, signal.SIG_DFL)
            # Until it hears, it has read nothing that it could read again.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, kept)
            threading.Thread(target=self._follow, daemon=True).start()
            self._work(place, lambda: os.write(self._saying, b"."))
            code = 0
        except EdgewiseError as failure:
            self._events.refused("refused", "error", failure)
        except BaseException as failure:  # noqa: BLE001 - a fork's outermost border: it may not return
            self._events.broke(failure)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _follow(self) -> None:
        """Drain this worker when its parent is gone: nobody would pass a signal on to it."""
        os.read(self._parent_ends, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    def _all_ready(self) -> bool:
        """Wait until each worker has said that it is, or one has ended."""
        heard = 0
        while heard < self._count and not self._stopping:
            if select.select([self._said], [], [], 0.1)[0]:
                heard += len(os.read(self._said, self._count))
            elif os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return False
        return not self._stopping

    def _watch(self) -> None:
        ended_s: deque[float] = deque(maxlen=_MOST_ENDED)
        while self._running:
            pid, status = os.wait()
            place = self._running.pop(pid, None)
            if self._stopping or place is None:
                continue
            ended_s.append(self._now_s())
            code = os.waitstatus_to_exitcode(status)
            words = f"worker {pid} ended by itself: {code}"
            self._events.say("worker_ended", words, level="warning", worker=pid, exit_code=code)
            often = len(ended_s) == _MOST_ENDED and ended_s[-1] - ended_s[0] <= _WINDOW_S
            if often or code == 1:
                self._pass_on(signal.SIGTERM)
                self._await_all()
                hint = "read what it said before"
                raise EdgewiseError("a worker does not stay", where=f"pid {pid}", hint=hint)
            self._start(place)

    def _await_all(self) -> None:
        while self._running:
            self._running.pop(os.wait()[0], None)

    def _pass_on(self, number: int, *_: object) -> None:
        self._stopping = self._stopping or number != signal.SIGHUP
        for pid in self._running:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, number)
