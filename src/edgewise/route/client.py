"""A client for one endpoint, with retries that can't pile up."""

import random  # noqa: TID251 - only the type of the rng that is handed in
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, Self

from edgewise.errors import DeadlineExceeded, RemoteError, UsageError
from edgewise.records import Input, Prediction, Protocol, TextChunk
from edgewise.route.allowance import Allowance
from edgewise.route.clock import Clock, SystemClock
from edgewise.route.facts import new_request_id
from edgewise.runtimes import ChatWire, RemoteModel

_WORTH_RETRYING = (408, 425, 429)


class CloudInferenceClient:
    """Asks one endpoint. Made and closed by the application (`with`, `async with`).

    All tries of a call have one `idempotency-key`: an endpoint that knows it does the work once.

    Over `openai` an input with `text` is classified, and one with `messages` or `prompt` is
    answered with text; `stream` and `astream` give that in pieces.

    Parameters
    ----------
    api_endpoint
        URL, with or without the protocol's own path.
    protocol
        `json` (POST `/predict`), `oip` or `openai`.
    labels
        In the order of the answer's probabilities; empty accepts any label, and gives none back.
    timeout_ms
        For each try. Also the longest that an endpoint's `Retry-After` is waited for: where it
        asks for more, its failure is raised at once, with `retry_after_s`.
    retries
        Most tries after the first one, within `budget`.
    budget
        Shared by clients of one endpoint, where there are several.
    rng
        For the jitter of the waits between tries.
    """

    def __init__(  # noqa: PLR0913 - the public contract
        self,
        api_endpoint: str,
        api_key: str | None = None,
        protocol: Protocol | str = "json",
        *,
        model: str = "",
        labels: Sequence[str] = (),
        timeout_ms: float = 10_000.0,
        retries: int = 2,
        budget: Allowance | None = None,
        rng: random.Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        try:
            spoken = Protocol(protocol)
        except ValueError as unknown:
            hint = f"one of: {', '.join(one.value for one in Protocol)}"
            what = f"no protocol is called `{protocol}`"
            raise UsageError(what, where="protocol", hint=hint) from unknown
        self._labels = tuple(labels)
        self._model = RemoteModel(
            api_endpoint,
            protocol=spoken,
            model=model,
            labels=self._labels,
            api_key=api_key,
            timeout_ms=timeout_ms,
        )
        self._chat = None
        if spoken is Protocol.OPENAI:
            self._chat = RemoteModel(
                api_endpoint,
                model=model,
                api_key=api_key,
                timeout_ms=timeout_ms,
                wire=ChatWire(logprobs=False),
            )
        self._timeout_ms = timeout_ms
        self._retries = retries
        self._budget = Allowance() if budget is None else budget
        self._rng = random.Random() if rng is None else rng
        self._clock = SystemClock() if clock is None else clock

    def predict(self, input_data: Input) -> dict[str, Any]:
        """Answer one input.

        Returns
        -------
        dict
            `prediction`, `label`, `confidence`, `probabilities` by label, `latency_ms`, `tries`,
            and of a chat `generation`, the record.

        Raises
        ------
        DeadlineExceeded, RemoteError
            What the last try failed with.
        """
        start_s = self._clock.now_s()
        self._budget.deposit()
        tries, request_id = 1, new_request_id()
        while True:
            try:
                answer = self._asked(input_data).predict(input_data, request_id=request_id)
            except (DeadlineExceeded, RemoteError) as failure:
                if not self._may_retry(failure, tries):
                    raise
                self._clock.wait(self._pause_s(failure, tries))
                tries += 1
            else:
                return self._told(answer, start_s, tries)

    async def apredict(self, input_data: Input) -> dict[str, Any]:
        """Answer one input; as `predict`, within an event loop."""
        start_s = self._clock.now_s()
        self._budget.deposit()
        tries, request_id = 1, new_request_id()
        while True:
            try:
                answer = await self._asked(input_data).apredict(input_data, request_id=request_id)
            except (DeadlineExceeded, RemoteError) as failure:
                if not self._may_retry(failure, tries):
                    raise
                await self._clock.await_(self._pause_s(failure, tries))
                tries += 1
            else:
                return self._told(answer, start_s, tries)

    def stream(self, input_data: Input) -> Generator[TextChunk, None, None]:
        """Answer a chat in pieces as they come; closing the iterator ends the call.

        Retried only before the first piece.

        Raises
        ------
        DeadlineExceeded, RemoteError
            What the last try failed with, or when the answer breaks off.
        UsageError
            When the protocol has no streams.
        """
        model = self._chats()
        self._budget.deposit()
        tries, begun, request_id = 1, False, new_request_id()
        while True:
            try:
                with closing(model.stream(input_data, request_id=request_id)) as pieces:
                    for piece in pieces:
                        begun = True
                        yield piece
                    return
            except (DeadlineExceeded, RemoteError) as failure:
                if begun or not self._may_retry(failure, tries):
                    raise
                self._clock.wait(self._pause_s(failure, tries))
                tries += 1

    async def astream(self, input_data: Input) -> AsyncGenerator[TextChunk, None]:
        """Answer a chat in pieces; as `stream`, within an event loop."""
        model = self._chats()
        self._budget.deposit()
        tries, begun, request_id = 1, False, new_request_id()
        while True:
            try:
                async with aclosing(model.astream(input_data, request_id=request_id)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                    return
            except (DeadlineExceeded, RemoteError) as failure:
                if begun or not self._may_retry(failure, tries):
                    raise
                await self._clock.await_(self._pause_s(failure, tries))
                tries += 1

    def close(self) -> None:
        """Close the connections of `predict` and `stream`."""
        for model in self._models():
            model.close()

    async def aclose(self) -> None:
        """Close all connections."""
        for model in self._models():
            await model.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _models(self) -> list[RemoteModel]:
        return [self._model] if self._chat is None else [self._model, self._chat]

    def _asked(self, input_data: Input) -> RemoteModel:
        """Give the model for an input: over `openai`, a chat has another than a text."""
        if self._chat is None or not isinstance(input_data, Mapping):
            return self._model
        return self._chat if "messages" in input_data or "prompt" in input_data else self._model

    def _chats(self) -> RemoteModel:
        if self._chat is None:
            hint = "stream text generation over protocol openai"
            raise UsageError("this protocol has no streams", where="stream", hint=hint)
        return self._chat

    def _may_retry(self, failure: DeadlineExceeded | RemoteError, tries: int) -> bool:
        return (
            tries <= self._retries
            and _is_passing(failure)
            and _asked_s(failure) * 1000 <= self._timeout_ms
            and self._budget.withdraw()
        )

    def _pause_s(self, failure: DeadlineExceeded | RemoteError, tries: int) -> float:
        # Full jitter: uniform below an exponential, so that clients do not come back together.
        return _asked_s(failure) + self._rng.uniform(0.0, min(2.0, 0.05 * 2.0**tries))

    def _told(self, answer: Prediction, start_s: float, tries: int) -> dict[str, Any]:
        found = {
            "prediction": answer.label,
            "label": answer.label,
            "confidence": answer.confidence,
            "probabilities": dict(zip(self._labels, answer.probabilities, strict=False)),
            "latency_ms": (self._clock.now_s() - start_s) * 1000,
            "tries": tries,
        }
        return found if answer.generation is None else {**found, "generation": answer.generation}


def _is_passing(failure: DeadlineExceeded | RemoteError) -> bool:
    """Say whether the same call may succeed later: not where the endpoint refused or babbled."""
    status = None if isinstance(failure, DeadlineExceeded) else failure.status
    return status is None or status >= 500 or status in _WORTH_RETRYING


def _asked_s(failure: DeadlineExceeded | RemoteError) -> float:
    """Give how long the endpoint asked to be left alone."""
    told_s = None if isinstance(failure, DeadlineExceeded) else failure.retry_after_s
    return 0.0 if told_s is None else told_s
