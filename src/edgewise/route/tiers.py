"""The tiers as the engine asks them: a local bundle in a worker thread, or an endpoint."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Protocol, runtime_checkable

from edgewise.errors import DeadlineExceeded
from edgewise.records import Input, Prediction, PrivacyRules, TextChunk
from edgewise.route.onward import onward
from edgewise.route.pace import Pace
from edgewise.route.worker import Worker
from edgewise.runtimes import LocalModel, RemoteModel, as_chunk

_TURN_AFTER = 4
"""Answers at once, after which the event loop gets its turn."""


class TierModel(Protocol):
    """A tier that can be asked. Any event loop may ask it; several calls may be under way.

    `ask` raises `DeadlineExceeded` when the answer is late, another `TierUnavailable` when the
    tier failed, and `InvalidData` when the input is at fault.
    """

    remote: bool
    """Whether its latency is the network's to tell."""
    ready: bool
    """Whether it can be asked at all, now."""

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        """Answer one input. The same request may be asked twice, under one id."""
        ...

    async def probe(self, timeout_ms: float) -> None:
        """See whether the tier is there; raises as `ask` does."""
        ...

    async def aclose(self) -> None:
        """Free what the current event loop holds."""
        ...


@runtime_checkable
class StreamingTier(TierModel, Protocol):
    """A tier whose answers come in pieces. Closing the iterator ends the tier's work."""

    def stream(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> AsyncGenerator[TextChunk, None]:
        """Answer one input in pieces; raises as `ask`, then or later.

        Parameters
        ----------
        timeout_ms
            For each wait; who asks bounds the whole.
        """
        ...


class _Streams(Protocol):
    def __call__(
        self, one: Input, timeout_ms: float | None, *, request_id: str
    ) -> AsyncGenerator[TextChunk, None]: ...


def stream_of(
    tier: TierModel, one: Input, timeout_ms: float | None, *, request_id: str
) -> AsyncGenerator[TextChunk, None]:
    """Give a tier's answer in pieces: in one where the tier knows no others."""
    # Not `isinstance`: of a protocol it looks through every member, at each request.
    stream: _Streams | None = getattr(tier, "stream", None)
    if stream is not None:
        return stream(one, timeout_ms, request_id=request_id)
    return _as_one(tier, one, timeout_ms, request_id)


async def _as_one(
    tier: TierModel, one: Input, timeout_ms: float | None, request_id: str
) -> AsyncGenerator[TextChunk, None]:
    yield as_chunk(await tier.ask(one, timeout_ms, request_id=request_id))


class LocalTier:
    """A bundle on this machine, run in one worker thread so that deadlines and calls go on.

    A call whose time is over is left to end by itself: a model can't be stopped midway. A model
    that answers before a thread would be awake is run on the event loop, which gets its turn after
    every few such calls.
    """

    remote = False
    ready = True

    def __init__(self, name: str, model: LocalModel) -> None:
        self.model = model
        self._name = name
        self._worker = Worker(f"tier {name}")
        self._pace = Pace(model.predict)
        self._at_once = 0

    def length(self, one: Input) -> int | None:
        """Count the tokens or pixels of an input that is likely to be asked next."""
        return self.model.read_ahead(one)

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        """Answer one input in the worker thread, or at once where that is sooner."""
        del request_id  # a model here has no memory of requests
        found = self._pace.at_once(one)
        if found is not None:
            self._at_once += 1
            if self._at_once % _TURN_AFTER == 0:
                await asyncio.sleep(0)
            return found
        answer = self._worker.run(self._pace, one)
        if timeout_ms is None:
            return await answer
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await answer
        except TimeoutError as late:
            what = f"no answer within {timeout_ms:.0f} ms"
            raise DeadlineExceeded(
                what, where=f"tier {self._name}", hint="allow more time, or use a smaller model"
            ) from late

    async def probe(self, timeout_ms: float) -> None:
        """Do nothing: what is in memory is there."""

    async def aclose(self) -> None:
        """Free the worker and the model, when the last call has ended."""
        await asyncio.to_thread(self._worker.close)
        self._pace.close()
        self.model.close()


class RemoteTier:
    """An endpoint. Connections belong to an event loop, so each loop that asks has its own.

    The first is prepared at once, so that the first request does not wait for it.

    Parameters
    ----------
    privacy
        Of the policy: the endpoint is told what a request says by their keys.
    """

    remote = True
    ready = True

    def __init__(
        self, connect: Callable[[], RemoteModel], privacy: PrivacyRules | None = None
    ) -> None:
        self._connect = connect
        self._privacy = PrivacyRules() if privacy is None else privacy
        self._spare: RemoteModel | None = connect()
        self._spare.prepare()
        self._models: dict[asyncio.AbstractEventLoop, RemoteModel] = {}

    def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Coroutine[Any, Any, Prediction]:
        """Answer one input over the network."""
        about = onward(self._privacy, one)
        return self._model().apredict(
            one, timeout_ms=timeout_ms, request_id=request_id, about=about
        )

    def stream(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> AsyncGenerator[TextChunk, None]:
        """Answer one input in pieces."""
        about = onward(self._privacy, one)
        return self._model().astream(one, timeout_ms=timeout_ms, request_id=request_id, about=about)

    async def probe(self, timeout_ms: float) -> None:
        """See whether the endpoint answers at all."""
        await self._model().aprobe(timeout_ms)

    async def aclose(self) -> None:
        """Close the connections of the current event loop."""
        model = self._models.pop(asyncio.get_running_loop(), None)
        if model is not None:
            await model.aclose()

    def _model(self) -> RemoteModel:
        loop = asyncio.get_running_loop()
        model = self._models.get(loop)
        if model is None:
            for gone in [one for one in self._models if one.is_closed()]:
                del self._models[gone]
            spare, self._spare = self._spare, None
            model = self._models[loop] = self._connect() if spare is None else spare
        return model
