"""Asks the application's judge how good two answers to one input are.

A judge is code that is not ours: whatever it does, the audit goes on, and what it does not say is
no evidence. Nothing of what it is given is kept.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from edgewise.records import Input, Prediction
from edgewise.route.worker import Worker

Qualities = tuple[float, float]
Judge = Callable[[Input, Prediction, Prediction], Qualities | Awaitable[Qualities]]
"""Says how good two answers to an input are, the nearest and the farthest tier's: 0 to 1 each.

A function, called in a thread, or a coroutine function. By the same measure as the certificate's.
"""
CUT_OFF = "CancelledError"
_STRANGE = "not two numbers from 0 to 1"


class Judging:
    """Calls a judge. Made and closed by the audit, used on its event loop.

    A coroutine function runs on the event loop; any other one in a thread, one call after another.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._is_async = _is_async(judge)
        self._worker = Worker("judge")

    async def qualities(
        self, one: Input, near: Prediction, far: Prediction, timeout_ms: float
    ) -> tuple[Qualities | None, str]:
        """Give how good both answers are; `None`, and how the judge failed, where it did.

        What it raised is told by its kind alone: its words may hold some of the input.
        """
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                found = await self._asked(one, near, far)
            edge_quality, far_quality = (float(quality) for quality in found)
        except Exception as failure:  # noqa: BLE001 - of the application's code; the audit tells it
            return None, type(failure).__name__
        if not (0.0 <= edge_quality <= 1.0 and 0.0 <= far_quality <= 1.0):
            return None, _STRANGE
        return (edge_quality, far_quality), ""

    async def aclose(self) -> None:
        """End the thread, after the call that is under way."""
        await asyncio.to_thread(self._worker.close)

    async def _asked(self, one: Input, near: Prediction, far: Prediction) -> Qualities:
        if self._is_async:
            found = self._judge(one, near, far)
        else:
            found = await self._worker.run(lambda given: self._judge(*given), (one, near, far))
        return await found if inspect.isawaitable(found) else found


def _is_async(judge: Judge) -> bool:
    return inspect.iscoroutinefunction(judge) or inspect.iscoroutinefunction(type(judge).__call__)
