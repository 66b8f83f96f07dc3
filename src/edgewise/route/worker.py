"""A thread that works for event loops, one call after another.

An executor does the same over two futures, two locks and a semaphore a call, which takes as long as
a small model does to answer.
"""

import asyncio
import atexit
import contextlib
import threading
import weakref
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from edgewise.errors import UsageError

Given = TypeVar("Given")
Found = TypeVar("Found")


class _Call(NamedTuple):
    work: Callable[[Any], Any]
    given: Any
    loop: asyncio.AbstractEventLoop
    waiting: "asyncio.Future[Any]"


class Worker:
    """Runs calls in a thread of its own. Any event loop may ask; made and closed by a tier.

    The thread begins with the first call, and ends with the worker or the program, after the calls
    that wait. What was given up before it began is not run; what has begun goes on to its end.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._gate = threading.Lock()
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def run(self, work: Callable[[Given], Found], given: Given) -> "asyncio.Future[Found]":
        """Give the result of a call, to be awaited on the event loop that runs here.

        Raises
        ------
        UsageError
            When the worker is closed.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Found] = loop.create_future()
        with self._gate:
            if self._closed:
                hint = "ask before the engine is closed"
                raise UsageError("the tier is closed", where=self._name, hint=hint)
            if self._thread is None:
                self._thread = self._begin()
            self._calls.put(_Call(work, given, loop, waiting))
        return waiting

    def close(self) -> None:
        """Run what waits and end the thread; a second call does nothing."""
        with self._gate:
            self._closed = True
            self._calls.put(None)
        if self._thread is not None:
            self._thread.join()

    def _begin(self) -> threading.Thread:
        calls = self._calls
        thread = threading.Thread(target=_turn, args=(calls,), name=self._name, daemon=True)
        thread.start()
        # A daemon, so that a program ends whose engine nobody closed, but not in the midst of a
        # call: its model would be taken apart while it runs.
        at_exit = partial(_end, calls, thread)
        atexit.register(at_exit)
        weakref.finalize(self, _let_go, calls, at_exit).atexit = False
        return thread


def _turn(calls: "SimpleQueue[_Call | None]") -> None:
    while (call := calls.get()) is not None:
        _answer(call)
        del call  # while it waits for the next one, nothing is kept of the last


def _answer(call: _Call) -> None:
    if call.waiting.cancelled():
        return
    found: Any = None
    failure: BaseException | None = None
    try:
        found = call.work(call.given)
    except BaseException as raised:  # noqa: BLE001 - it is the caller's, who raises it
        failure = raised
    with contextlib.suppress(RuntimeError):  # its loop has closed: nobody waits any more
        call.loop.call_soon_threadsafe(_tell, call.waiting, found, failure)
    del failure  # it holds this frame


def _tell(waiting: "asyncio.Future[Any]", found: Any, failure: BaseException | None) -> None:
    if waiting.done():  # given up
        return
    if failure is None:
        waiting.set_result(found)
    else:
        waiting.set_exception(failure)


def _end(calls: "SimpleQueue[_Call | None]", thread: threading.Thread) -> None:
    calls.put(None)
    thread.join()


def _let_go(calls: "SimpleQueue[_Call | None]", at_exit: Callable[[], None]) -> None:
    calls.put(None)
    atexit.unregister(at_exit)
