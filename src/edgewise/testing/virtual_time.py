"""An event loop whose time is virtual: sleeping takes none, and the order of events is exact.

For code that waits, races and gives up. A thread is waited for only where nothing else can happen.
"""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from edgewise.errors import DeadlineExceeded, EdgewiseError
from edgewise.records import Input, Prediction

T = TypeVar("T")
_THREAD_S = 2.0
"""Real time that a thread has to end."""


class _Selector(selectors.DefaultSelector):
    """Goes on to the next event at once."""

    passed_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            found = super().select(_THREAD_S)
            if not found:
                raise RuntimeError("everything waits, and nothing is left that could end it")
            return found
        self.passed_s += max(0.0, timeout)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that starts at 0 and never really waits."""

    def __init__(self) -> None:
        self._instant = _Selector()
        super().__init__(self._instant)

    def time(self) -> float:
        """Give the virtual time."""
        return self._instant.passed_s


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class LoopClock:
    """The clock of the running loop."""

    def now_s(self) -> float:
        """Give the loop's time."""
        return asyncio.get_running_loop().time() if _is_running() else 0.0

    def utc_s(self) -> float:
        """Give the loop's time as seconds since 1970."""
        return 1.7e9 + self.now_s()

    def wait(self, duration_s: float) -> None:
        """Refuse where the loop runs, which it would stop; another thread waits in real time."""
        if not _is_running():
            time.sleep(duration_s)
            return
        raise AssertionError(f"blocking for {duration_s} s would stop virtual time")

    async def await_(self, duration_s: float) -> None:
        """Let time pass."""
        await asyncio.sleep(duration_s)


class TimedTier:
    """A tier whose calls take the time that its script says; the last turn is for all later.

    Parameters
    ----------
    script
        Pairs of milliseconds and what then happens: an answer, or an error to raise.
    """

    def __init__(
        self, *script: tuple[float, Prediction | EdgewiseError], remote: bool = True
    ) -> None:
        self.remote = remote
        self.ready = True
        self.script = list(script)
        self.asked: list[Input] = []
        self.ids: list[str] = []
        self.probes = 0
        self.under_way = 0
        self.cancelled = 0
        self.closed = False

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        """Do the next turn of the script."""
        self.asked.append(one)
        self.ids.append(request_id)
        return await self._turn(timeout_ms)

    async def probe(self, timeout_ms: float) -> None:
        """Do the next turn of the script, and drop its answer."""
        self.probes += 1
        await self._turn(timeout_ms)

    async def aclose(self) -> None:
        """Note it."""
        self.closed = True

    async def _turn(self, timeout_ms: float | None) -> Prediction:
        takes_ms, end = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.under_way += 1
        try:
            if timeout_ms is not None and takes_ms > timeout_ms:
                await asyncio.sleep(timeout_ms / 1000)
                what = f"no answer within {timeout_ms:.0f} ms"
                raise DeadlineExceeded(what, where="timed tier", hint="allow more time")
            await asyncio.sleep(takes_ms / 1000)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        if isinstance(end, EdgewiseError):
            raise end
        return end


def _is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
