"""Several processes on one socket, and the one that watches over them."""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable

from edgewise.errors import EdgewiseError
from edgewise.gateway.events import Events

_MOST_ENDED = 5
"""A worker that ends by itself is started again; after so many the gateway gives up."""
_HEEDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Work = Callable[[Callable[[], object]], None]


class Workers:
    """Forks workers and passes signals on to them. Made by `serve`, before any thread or loop.

    Parameters
    ----------
    work
        What a worker does until it is told to stop; it calls its argument when it is ready.
    ready
        Called once, when all are.
    """

    def __init__(
        self, count: int, work: Work, ready: Callable[[], object], *, events: Events
    ) -> None:
        self._count, self._work, self._ready, self._events = count, work, ready, events
        self._stopping = False
        self._running: set[int] = set()
        self._said, self._saying = os.pipe()

    def run(self) -> None:
        """Run until told to stop, or until workers do not stay.

        Raises
        ------
        EdgewiseError
            When workers end by themselves again and again.
        """
        before = {one: signal.signal(one, self._pass_on) for one in _HEEDED}
        try:
            for _ in range(self._count):
                self._start()
            if self._all_ready():
                self._ready()
            self._watch()
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
            os.close(self._said)
            os.close(self._saying)

    def _start(self) -> None:
        pid = os.fork()
        if pid:
            self._running.add(pid)
            return
        code = 1
        try:
            for one in _HEEDED:
                signal.signal(one, signal.SIG_DFL)
            self._work(lambda: os.write(self._saying, b"."))
            code = 0
        except EdgewiseError as failure:
            self._events.refused("refused", "error", failure)
        except BaseException as failure:  # noqa: BLE001 - a fork's outermost border: it may not return
            self._events.broke(failure)
        finally:
            sys.stderr.flush()
            os._exit(code)

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
        ended = 0
        while self._running:
            pid, status = os.wait()
            self._running.discard(pid)
            if self._stopping:
                continue
            ended += 1
            code = os.waitstatus_to_exitcode(status)
            words = f"worker {pid} ended by itself: {code}"
            self._events.say("worker_ended", words, level="warning", worker=pid, exit_code=code)
            if ended >= _MOST_ENDED or code == 1:
                self._pass_on(signal.SIGTERM)
                self._await_all()
                hint = "read what it said before"
                raise EdgewiseError("a worker does not stay", where=f"pid {pid}", hint=hint)
            self._start()

    def _await_all(self) -> None:
        while self._running:
            self._running.discard(os.wait()[0])

    def _pass_on(self, number: int, *_: object) -> None:
        self._stopping = self._stopping or number != signal.SIGHUP
        for pid in self._running:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, number)
