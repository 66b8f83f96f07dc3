"""A bundle that embeds, as the one tier of an engine."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from edgewise.errors import DeadlineExceeded, InvalidData
from edgewise.gateway.asking import Asked
from edgewise.records import Input, Policy, Prediction, TierKind, TierPolicy
from edgewise.route.decide import resolve_location
from edgewise.runtimes import LocalModel


class EmbeddingTier:
    """Gives texts their vectors, in a worker thread. Made by `serve`, closed by the engine."""

    remote = False
    ready = True

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="edgewise-embedding")

    def policy(self) -> Policy:
        """Give a policy of this tier alone."""
        tier = TierPolicy(name="edge", kind=TierKind.DEVICE)
        return Policy(task=self._model.manifest.task.value, labels=(), tiers=(tier,))

    async def embed(self, inputs: Sequence[Input], asked: Asked) -> tuple[list[list[float]], int]:
        """Give a vector a text, and the tokens of all.

        Raises
        ------
        DeadlineExceeded
            When they are not there in time.
        UsageError
            When another tier is asked for.
        """
        if asked.force_location is not None:
            resolve_location(self.policy(), asked.force_location)
        loop, deadline_ms = asyncio.get_running_loop(), asked.deadline_ms
        limit_s = None if deadline_ms is None else deadline_ms / 1000

        def work() -> tuple[list[list[float]], int]:
            vectors: list[list[float]] = self._model.embed(inputs).tolist()
            return vectors, sum(self._model.length(one) for one in inputs)

        try:
            async with asyncio.timeout(limit_s):
                return await loop.run_in_executor(self._worker, work)
        except TimeoutError as late:
            what, hint = f"no vectors within {deadline_ms:.0f} ms", "allow more time, or send less"
            raise DeadlineExceeded(what, where="embeddings", hint=hint) from late

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        """Refuse: vectors are no prediction."""
        del one, timeout_ms, request_id
        what = "the model gives vectors, and no labels"
        raise InvalidData(what, where="input", hint="ask /v1/embeddings")

    async def probe(self, timeout_ms: float) -> None:
        """Do nothing: what is in memory is there."""

    async def aclose(self) -> None:
        """Free the worker and the model."""
        self._worker.shutdown(wait=True)
        self._model.close()
