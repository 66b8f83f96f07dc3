"""A bundle that embeds, as the one tier of an engine."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from edgewise.errors import InvalidData
from edgewise.records import Input, Policy, Prediction, TierKind, TierPolicy
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

    async def embed(self, inputs: Sequence[Input]) -> tuple[list[list[float]], int]:
        """Give a vector a text, and the tokens of all."""
        loop = asyncio.get_running_loop()

        def work() -> tuple[list[list[float]], int]:
            vectors: list[list[float]] = self._model.embed(inputs).tolist()
            return vectors, sum(self._model.length(one) for one in inputs)

        return await loop.run_in_executor(self._worker, work)

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
