"""Asynchronous calls for callers that have no event loop."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Blocking:
    """An event loop in a thread of its own. Any thread may call `run`; nothing after `close`.

    Blocking sockets bound each wait, not their sum, so that an endpoint which sends a byte now and
    then holds its caller for ever. Here the loop's deadline ends the call.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._turn, name="edgewise-calls", daemon=True)
        self._thread.start()

    @property
    def lives_here(self) -> bool:
        """Say whether the thread is of this process: a fork does not take it along."""
        return self._process == os.getpid()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Give what a coroutine gives; an interrupt of the caller cancels it."""
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Let the thread end when what is under way has been given up."""
        if self.lives_here and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)

    def close(self) -> None:
        """End the thread."""
        self.stop()
        if self.lives_here:
            self._thread.join()

    def _turn(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left))
            self._loop.close()
