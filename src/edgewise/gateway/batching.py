"""The local model, asked by many at once: what waits when it gets free shares its next run."""

import asyncio
from collections import deque
from typing import TypeAlias

from edgewise.errors import DeadlineExceeded
from edgewise.records import Input, Prediction
from edgewise.route.tiers import LocalTier
from edgewise.runtimes import LocalModel

Asked: TypeAlias = "tuple[Input, asyncio.Future[Prediction]]"


class BatchingTier(LocalTier):
    """A bundle whose runs take up to `most` inputs. Made by the engine, used from its event loop.

    Nobody waits for company: an idle model runs at once, and a busy one takes together what came
    meanwhile, so that a run is never longer than that of `most` inputs. What its caller has given
    up, or whose time is over, is not run at all.
    """

    def __init__(self, name: str, model: LocalModel, *, most: int) -> None:
        super().__init__(name, model)
        self._most = most
        self._waiting: deque[Asked] = deque()
        self._turning: asyncio.Task[None] | None = None
        self.runs = 0

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        """Answer one input, alone or with others."""
        del request_id  # a model here has no memory of requests
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Prediction] = loop.create_future()
        self._waiting.append((one, answer))
        if self._turning is None or self._turning.done():
            self._turning = loop.create_task(self._turn())
        if timeout_ms is None:
            return await answer
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await answer
        except TimeoutError as late:
            what, hint = f"no answer within {timeout_ms:.0f} ms", "allow more time, or ask less"
            raise DeadlineExceeded(what, where=f"tier {self._name}", hint=hint) from late

    async def _turn(self) -> None:
        while self._waiting:
            batch: list[Asked] = []
            while self._waiting and len(batch) < self._most:
                one, answer = self._waiting.popleft()
                if not answer.done():
                    batch.append((one, answer))
            if batch:
                self.runs += 1
                await self._run(batch)

    async def _run(self, batch: list[Asked]) -> None:
        inputs = [one for one, _ in batch]
        try:
            found = await self._worker.run(self._predict, inputs)
        except Exception as failure:  # noqa: BLE001 - it is each caller's, who raises it
            if len(batch) > 1:  # one input's fault is not that of its company
                for pair in batch:
                    await self._run([pair])
            elif not batch[0][1].done():
                batch[0][1].set_exception(failure)
            return
        for (_, answer), prediction in zip(batch, found, strict=True):
            if not answer.done():
                answer.set_result(prediction)

    def _predict(self, inputs: list[Input]) -> list[Prediction]:
        if len(inputs) == 1:
            return [self.model.predict(inputs[0])]
        return self.model.predict_many(inputs, batch_size=len(inputs))
