"""The ASGI application: routes of OIP v2, `/predict` and health, over one opened bundle."""

import asyncio
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edgewise import __version__
from edgewise.errors import EdgewiseError, InvalidData, UsageError
from edgewise.records import Input, Prediction
from edgewise.runtimes import LocalModel

_MAX_BODY_BYTES = 8_000_000
_MAX_BATCH = 1024
_OUTPUTS = ("label", "probabilities")
_Z95 = 1.6448536269514722


class Delay:
    """Demo faults: a lognormal delay and a share of failures. Made by `build_app`."""

    def __init__(
        self, delay_ms: tuple[float, float] | None, fail_rate: float, rng: np.random.Generator
    ) -> None:
        self._delay_ms, self._fail_rate, self._rng = delay_ms, fail_rate, rng

    async def wait(self) -> bool:
        """Wait as drawn; say whether the request may go on."""
        if self._delay_ms is not None:
            mu, sigma = lognormal(*self._delay_ms)
            await asyncio.sleep(float(self._rng.lognormal(mu, sigma)) / 1000)
        return float(self._rng.random()) >= self._fail_rate


def lognormal(p50: float, p95: float) -> tuple[float, float]:
    """Give mu and sigma of the lognormal distribution with these quantiles."""
    return math.log(p50), math.log(p95 / p50) / _Z95


class Service:
    """Answers requests from one model, one batch at a time. Made by `build_app`."""

    def __init__(self, model: LocalModel, name: str, delay: Delay) -> None:
        self._model, self._name, self._delay = model, name, delay
        self._turn = asyncio.Lock()

    async def health(self, request: Request) -> JSONResponse:
        """Say that the server is alive and ready."""
        del request
        return JSONResponse({"live": True, "ready": True})

    async def server(self, request: Request) -> JSONResponse:
        """Give the server's metadata."""
        del request
        return JSONResponse({"name": "edgewise", "version": __version__, "extensions": []})

    async def metadata(self, request: Request) -> JSONResponse:
        """Give the model's metadata."""
        self._check_name(request)
        count = len(self._model.labels)
        text = self._model.manifest.task.takes_text
        takes = {"name": "text", "datatype": "BYTES", "shape": [-1]}
        if not text:
            takes = {"name": "image", "datatype": "FP32", "shape": [-1, -1, -1, -1]}
        gives = [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, count]},
        ]
        return JSONResponse(
            {
                "name": self._name,
                "versions": ["1"],
                "platform": "onnx_onnxv1",
                "inputs": [takes],
                "outputs": gives,
                "parameters": {"bundle_sha256": self._model.sha256},
            }
        )

    async def ready(self, request: Request) -> JSONResponse:
        """Say that the model is ready."""
        self._check_name(request)
        return JSONResponse({"name": self._name, "ready": True})

    async def infer(self, request: Request) -> JSONResponse:
        """Answer an OIP v2 inference request."""
        self._check_name(request)
        body = await _body(request)
        inputs, wanted = _oip_inputs(body), _oip_wanted(body)
        answers = await self._answer(inputs)
        flat = [value for answer in answers for value in answer.probabilities]
        outputs: list[dict[str, Any]] = [
            {
                "name": "label",
                "datatype": "BYTES",
                "shape": [len(answers)],
                "data": [a.label for a in answers],
            },
            {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": [len(answers), len(self._model.labels)],
                "data": flat,
                # The protocol has no place for names: a client can't know the order otherwise.
                "parameters": {"labels": json.dumps(self._model.labels)},
            },
        ]
        outputs = [one for one in outputs if one["name"] in wanted]
        answer = {"model_name": self._name, "model_version": "1", "outputs": outputs}
        if isinstance(body.get("id"), str):
            answer["id"] = body["id"]
        return JSONResponse(answer)

    async def predict(self, request: Request) -> JSONResponse:
        """Answer the plain JSON form: one input, or many under `inputs`."""
        body = await _body(request)
        many = body.get("inputs")
        if many is None:
            return JSONResponse(self._plain((await self._answer([body]))[0]))
        if not isinstance(many, list) or not all(isinstance(one, dict) for one in many):
            raise InvalidData(
                "`inputs` is no list of objects", where="body", hint='give [{"text": "…"}]'
            )
        return JSONResponse({"predictions": [self._plain(a) for a in await self._answer(many)]})

    async def _answer(self, inputs: Sequence[Input]) -> list[Prediction]:
        if not 0 < len(inputs) <= _MAX_BATCH:
            what = f"{len(inputs)} inputs"
            raise InvalidData(what, where="body", hint=f"give 1 to {_MAX_BATCH}")
        if any(isinstance(one.get("image"), str) for one in inputs):
            what, hint = "`image` is a path", "give the pixels: files of the server are not read"
            raise InvalidData(what, where="image", hint=hint)
        if not await self._delay.wait():
            raise Unavailable
        async with self._turn:
            return await run_in_threadpool(self._model.predict_many, inputs)

    def _plain(self, answer: Prediction) -> dict[str, Any]:
        shares = dict(zip(self._model.labels, answer.probabilities, strict=True))
        return {
            "prediction": answer.label,
            "label": answer.label,
            "confidence": answer.confidence,
            "probabilities": shares,
        }

    def _check_name(self, request: Request) -> None:
        if request.path_params["model"] not in (self._name, "default"):
            raise UnknownModel


class Unavailable(Exception):
    """The demo's failure: HTTP 503."""


class UnknownModel(Exception):
    """Another model was asked for: HTTP 404."""


class BodyTooLarge(Exception):
    """The body exceeds the bound: HTTP 413."""


def build_app(
    model: LocalModel,
    *,
    name: str,
    rng: np.random.Generator,
    delay_ms: tuple[float, float] | None = None,
    fail_rate: float = 0.0,
) -> Starlette:
    """Give the ASGI application over an opened bundle.

    Parameters
    ----------
    name
        The model's name in paths; `default` is understood too.
    delay_ms
        (p50, p95) of a lognormal delay a request, for demos.
    fail_rate
        Share of requests answered 503, for demos.
    """
    service = Service(model, name, Delay(delay_ms, fail_rate, rng))
    at = "/v2/models/{model}"
    routes = [
        Route("/healthz", service.health),
        Route("/readyz", service.health),
        Route("/v2", service.server),
        Route("/v2/health/live", service.health),
        Route("/v2/health/ready", service.health),
        Route("/predict", service.predict, methods=["POST"]),
    ]
    for prefix in (at, f"{at}/versions/1"):
        routes += [
            Route(prefix, service.metadata),
            Route(f"{prefix}/ready", service.ready),
            Route(f"{prefix}/infer", service.infer, methods=["POST"]),
        ]
    handlers: dict[Any, Any] = {
        EdgewiseError: _wrong,
        Unavailable: lambda *_: JSONResponse({"error": "unavailable"}, 503),
        UnknownModel: lambda *_: JSONResponse({"error": "no such model"}, 404),
        BodyTooLarge: lambda *_: JSONResponse({"error": f"more than {_MAX_BODY_BYTES} bytes"}, 413),
        ClientDisconnect: lambda *_: Response(status_code=400),
        404: lambda *_: JSONResponse({"error": "no such path"}, 404),
        500: lambda *_: JSONResponse({"error": "the server failed; its log says why"}, 500),
        405: lambda *_: JSONResponse({"error": "another method is needed"}, 405),
    }
    return Starlette(routes=routes, exception_handlers=handlers)


async def _wrong(_: Request, failure: Exception) -> JSONResponse:
    assert isinstance(failure, EdgewiseError)
    # What else can be wrong, such as the model, is no fault of who asks.
    status = 400 if isinstance(failure, InvalidData | UsageError) else 500
    return JSONResponse({"error": failure.what, "hint": failure.hint}, status)


async def _body(request: Request) -> dict[str, Any]:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > _MAX_BODY_BYTES:
            raise BodyTooLarge
    try:
        value = json.loads(received)
    except (ValueError, RecursionError) as wrong:
        raise InvalidData(
            "the body is no JSON", where="body", hint="send application/json"
        ) from wrong
    if not isinstance(value, dict):
        raise InvalidData("the body is no object", where="body", hint='send {"text": "…"}')
    return value


def _oip_inputs(body: dict[str, Any]) -> list[Input]:
    tensors = body.get("inputs")
    if not isinstance(tensors, list) or len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise InvalidData("not one input tensor", where="inputs", hint="give `text` or `image`")
    name, data, shape = (tensors[0].get(key) for key in ("name", "data", "shape"))
    if name not in ("text", "image") or not isinstance(data, list):
        what, hint = "the input tensor is neither text nor image", "see the model's metadata"
        raise InvalidData(what, where="inputs", hint=hint)
    try:
        # Elements may come flat or nested, in the order of the rows.
        kind = np.object_ if name == "text" else np.float32
        values: NDArray[Any] = np.asarray(data, dtype=kind).ravel()
        if not isinstance(shape, list) or any(one < 0 for one in shape):
            raise ValueError("no shape")
        values = values.reshape(shape)
    except (ValueError, TypeError, OverflowError) as wrong:
        hint = "give n texts" if name == "text" else "give n·h·w·c values"
        raise InvalidData("the data does not fit the shape", where=name, hint=hint) from wrong
    if name == "text":
        return [{"text": one} for one in values.ravel().tolist()]
    if values.ndim == 0:
        what, hint = "an image without dimensions", "give the shape [n, h, w, c]"
        raise InvalidData(what, where=name, hint=hint)
    return [{"image": one} for one in np.asarray(values)]


def _oip_wanted(body: dict[str, Any]) -> tuple[str, ...]:
    """Give the names of the outputs that a request asks for; without any, all."""
    asked = body.get("outputs") or [{"name": name} for name in _OUTPUTS]
    if not isinstance(asked, list) or not all(
        isinstance(one, dict) and one.get("name") in _OUTPUTS for one in asked
    ):
        what = "`outputs` is no list of the model's outputs"
        hint = "name `label`, `probabilities` or both, or leave it out"
        raise InvalidData(what, where="outputs", hint=hint)
    return tuple(one["name"] for one in asked)
