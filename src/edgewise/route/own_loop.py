"""An event loop for programs that have none."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from edgewise.errors import UsageError

T = TypeVar("T")


class OwnLoop:
    """Runs one coroutine at a time, for callers that block. Made by the engine; any thread asks."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._lock = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end."""
        with self._lock:
            if self._runner is None:
                self._runner = asyncio.Runner()
            return self._runner.run(work)

    def run_last(self, work: Coroutine[Any, Any, object]) -> None:
        """Run to the end, and close the loop."""
        with self._lock, contextlib.closing(self._take() or asyncio.Runner()) as last:
            last.run(work)

    async def aclose(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Close the loop, where there is one, from another loop; do its last work before."""
        runner = self._take()
        if runner is not None:
            await asyncio.to_thread(self._end, runner, work)

    def _take(self) -> asyncio.Runner | None:
        runner, self._runner = self._runner, None
        return runner

    def _end(self, runner: asyncio.Runner, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        with self._lock, contextlib.closing(runner):
            runner.run(work())


def refuse_loop(name: str, hint: str) -> None:
    """Refuse to block where an event loop runs.

    Raises
    ------
    UsageError
        When one runs in this thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError("an event loop is running in this thread", where=name, hint=hint)
