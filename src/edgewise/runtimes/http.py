"""A model behind an endpoint, asked over HTTP: the door to `httpx2`."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from edgewise.errors import DeadlineExceeded, RemoteError, UsageError
from edgewise.records import Input, Prediction
from edgewise.records import Protocol as ProtocolName
from edgewise.runtimes.wire import find_wire

_MAX_BODY_BYTES = 16_000_000


class RemoteModel:
    """A remote tier. Connections are kept and reused; one object serves any number of callers.

    Made by the engine, the pipeline and `CloudInferenceClient`. The asynchronous face belongs to
    one event loop; the synchronous one to any thread. The API key is never shown.

    Parameters
    ----------
    endpoint
        A URL with or without the protocol's own path.
    labels
        In the order of the answer's probabilities; empty accepts any label.
    timeout_ms
        For calls that bring none.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        protocol: ProtocolName = ProtocolName.JSON,
        model: str = "",
        labels: tuple[str, ...] = (),
        api_key: str | None = None,
        timeout_ms: float = 10_000.0,
    ) -> None:
        self._wire = find_wire(protocol)
        self._labels = labels
        self._model = model
        self._timeout_ms = timeout_ms
        self._url = _join(endpoint, self._wire.path(model))
        self.where = _without_secrets(self._url)
        self._headers = {"content-type": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._async: Any = None
        self._sync: Any = None

    async def apredict(self, one: Input, *, timeout_ms: float | None = None) -> Prediction:
        """Answer one input.

        Raises
        ------
        DeadlineExceeded
            When the answer does not come in time.
        RemoteError
            When the endpoint can't be reached or answers nonsense.
        """
        return (await self.apredict_many([one], timeout_ms=timeout_ms))[0]

    async def apredict_many(
        self, inputs: Sequence[Input], *, timeout_ms: float | None = None
    ) -> list[Prediction]:
        """Answer inputs in order: in one call where the protocol takes many."""
        if not self._wire.batches and len(inputs) > 1:
            asked = [self.apredict_many([one], timeout_ms=timeout_ms) for one in inputs]
            return [answer[0] for answer in await asyncio.gather(*asked)]
        import httpx2  # noqa: PLC0415 - heavy

        if self._async is None:
            self._async = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=100))
        limit_ms = self._timeout_ms if timeout_ms is None else timeout_ms
        try:
            async with asyncio.timeout(limit_ms / 1000):
                answer = await self._async.post(
                    self._url, content=self._body(inputs), headers=self._headers, timeout=None
                )
        except TimeoutError as late:
            raise self._late(limit_ms) from late
        except httpx2.HTTPError as failure:
            raise self._unreachable(failure) from failure
        return self._read(answer, len(inputs))

    def predict(self, one: Input, *, timeout_ms: float | None = None) -> Prediction:
        """Answer one input, blocking."""
        return self.predict_many([one], timeout_ms=timeout_ms)[0]

    def predict_many(
        self, inputs: Sequence[Input], *, timeout_ms: float | None = None
    ) -> list[Prediction]:
        """Answer inputs in order, blocking."""
        if not self._wire.batches and len(inputs) > 1:
            return [self.predict(one, timeout_ms=timeout_ms) for one in inputs]
        import httpx2  # noqa: PLC0415 - heavy

        if self._sync is None:
            self._sync = httpx2.Client()
        limit_ms = self._timeout_ms if timeout_ms is None else timeout_ms
        try:
            answer = self._sync.post(
                self._url,
                content=self._body(inputs),
                headers=self._headers,
                timeout=limit_ms / 1000,
            )
        except httpx2.TimeoutException as late:
            raise self._late(limit_ms) from late
        except httpx2.HTTPError as failure:
            raise self._unreachable(failure) from failure
        return self._read(answer, len(inputs))

    async def aclose(self) -> None:
        """Close the connections of both faces."""
        if self._async is not None:
            client, self._async = self._async, None
            await client.aclose()
        self.close()

    def close(self) -> None:
        """Close the synchronous face's connections."""
        if self._sync is not None:
            client, self._sync = self._sync, None
            client.close()

    def _body(self, inputs: Sequence[Input]) -> bytes:
        return json.dumps(self._wire.encode(inputs, self._model, self._labels)).encode()

    def _read(self, answer: Any, n: int) -> list[Prediction]:
        status = answer.status_code
        if status != 200:
            hint = (
                "check the API key"
                if status in (401, 403)
                else "check the endpoint and its model's name"
            )
            raise RemoteError(f"answered HTTP {status}", where=self.where, hint=hint)
        if len(answer.content) > _MAX_BODY_BYTES:
            raise RemoteError(
                "the answer is too large", where=self.where, hint="ask with fewer inputs"
            )
        try:
            body = json.loads(answer.content)
        except ValueError as wrong:
            kind = answer.headers.get("content-type", "no content type").split(";")[0]
            what = f"the answer is no JSON ({kind})"
            hint = f"is it a {self._wire.name.value} endpoint? a web page answers HTML"
            raise RemoteError(what, where=self.where, hint=hint) from wrong
        try:
            return self._wire.decode(body, n, self._labels)
        except (ValueError, TypeError) as wrong:
            what = f"not an answer of protocol {self._wire.name.value}: {wrong}"
            raise RemoteError(what, where=self.where, hint="check protocol and labels") from wrong

    def _late(self, limit_ms: float) -> DeadlineExceeded:
        what = f"no answer within {limit_ms:.0f} ms"
        return DeadlineExceeded(
            what, where=self.where, hint="allow more time, or check the network"
        )

    def _unreachable(self, failure: Exception) -> RemoteError:
        what = f"can't be reached: {type(failure).__name__}"
        return RemoteError(what, where=self.where, hint="is it running, and is the URL right?")


def _join(endpoint: str, path: str) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        what = "not an http or https URL"
        raise UsageError(
            what, where=_without_secrets(endpoint), hint="write it like https://host/path"
        )
    if parts.path.rstrip("/").endswith(path):
        return endpoint
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path))


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
