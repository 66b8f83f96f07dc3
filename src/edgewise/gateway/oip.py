"""The Open Inference Protocol, version 2, over REST, with the binary tensor data extension."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgewise import __version__
from edgewise.errors import InvalidData
from edgewise.gateway.asking import Asked, Asking, decided, refuse_late
from edgewise.gateway.bodies import read_object, to_json
from edgewise.gateway.messages import Request, Response
from edgewise.gateway.refusing import Refusal
from edgewise.gateway.tensors import as_bytes, read_inputs
from edgewise.records import Task
from edgewise.route import InferenceResult

EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
_OUTPUTS = ("label", "probabilities")
_HEADER_LENGTH = "inference-header-content-length"
_MOST_DIGITS = 12


@dataclass(slots=True)
class Wanted:
    """One output that a request asks for."""

    name: str
    binary: bool


class Oip:
    """Answers `/v2`. Made by the gateway.

    Parameters
    ----------
    name
        The model's name in paths; `default` is understood too.
    """

    def __init__(self, asking: Asking, *, name: str, is_ready: Callable[[], bool]) -> None:
        self._asking = asking
        self._is_ready = is_ready
        self._counts = {"success": 0, "fail": 0}
        self.name = name

    def server(self) -> Response:
        """Give the server's metadata."""
        told = {"name": "edgewise", "version": __version__, "extensions": EXTENSIONS}
        return Response(body=to_json(told))

    def index(self) -> Response:
        """List the models, as a model repository does."""
        state = "READY" if self._is_ready() else "UNAVAILABLE"
        return Response(
            body=to_json([{"name": self.name, "version": "1", "state": state, "reason": ""}])
        )

    def ready(self) -> Response:
        """Say whether the model is ready."""
        is_ready = self._is_ready()
        told = {"name": self.name, "ready": is_ready}
        return Response(status=200 if is_ready else 503, body=to_json(told))

    def metadata(self) -> Response:
        """Give the model's metadata."""
        inputs, outputs = self._tensors()
        policy = self._asking.engine.policy
        told = {
            "name": self.name,
            "versions": ["1"],
            "platform": "onnx_onnxv1",
            "inputs": inputs,
            "outputs": outputs,
            "parameters": {
                "bundle_sha256": policy.bundle_sha256,
                "policy_version": self._asking.engine.policy_version,
                "labels": json.dumps(policy.labels),
            },
        }
        return Response(body=to_json(told))

    def config(self) -> Response:
        """Give the model's configuration in the form of Triton's extension."""
        inputs, outputs = self._tensors()

        def told(one: dict[str, Any]) -> dict[str, Any]:
            kind = "TYPE_STRING" if one["datatype"] == "BYTES" else f"TYPE_{one['datatype']}"
            return {"name": one["name"], "data_type": kind, "dims": one["shape"]}

        body = {
            "name": self.name,
            "platform": "onnxruntime_onnx",
            "backend": "edgewise",
            "max_batch_size": 0,
            "input": [told(one) for one in inputs],
            "output": [told(one) for one in outputs],
        }
        return Response(body=to_json(body))

    def state(self) -> dict[str, int]:
        """Give how many inferences there were."""
        return self._counts

    def take(self, state: Mapping[str, int]) -> None:
        """Add those of another process."""
        for name, count in state.items():
            self._counts[name] += count

    def stats(self, others: Iterable[Mapping[str, int]] = ()) -> Response:
        """Give how many inferences there were, in the form of Triton's extension.

        Parameters
        ----------
        others
            Those of the other processes on the port.
        """
        whole = dict(self._counts)
        for other in others:
            for name, count in other.items():
                whole[name] += count
        counts = {name: {"count": count, "ns": 0} for name, count in whole.items()}
        one = {
            "name": self.name,
            "version": "1",
            "inference_count": whole["success"],
            "execution_count": whole["success"],
            "inference_stats": counts,
        }
        return Response(body=to_json({"model_stats": [one]}))

    async def infer(self, request: Request, asked: Asked) -> Response:
        """Answer an inference request."""
        try:
            response = await self._infer(request, asked)
        except BaseException:
            self._counts["fail"] += 1
            raise
        self._counts["success"] += 1
        return response

    async def _infer(self, request: Request, asked: Asked) -> Response:
        refuse_late(asked, "an inference")
        body, blob = _parted(request)
        inputs = read_inputs(body, blob)
        wanted = _wanted(body)
        results = await self._asking.many(inputs, asked, _beside(body))
        answer: dict[str, Any] = {"model_name": self.name, "model_version": "1"}
        if isinstance(body.get("id"), str) and body["id"]:
            answer["id"] = body["id"]
        answer["outputs"], blobs = self._outputs(results, wanted)
        headers = decided(results)
        if not blobs:
            return Response(body=to_json(answer), headers=headers)
        head = to_json(answer)
        headers.append(("inference-header-content-length", str(len(head))))
        return Response(
            body=head + b"".join(blobs), kind="application/octet-stream", headers=headers
        )

    def _outputs(
        self, results: Sequence[InferenceResult], wanted: Sequence[Wanted]
    ) -> tuple[list[dict[str, Any]], list[bytes]]:
        labels = list(self._asking.engine.policy.labels)
        # Another policy, of a canary or of a moment ago, may have them in another order.
        whole = bool(labels) and all(one.probabilities.keys() == set(labels) for one in results)
        found, blobs = [], []
        for one in wanted:
            tensor: dict[str, Any]
            if one.name == "label":
                data: list[Any] = [result.label for result in results]
                tensor = {"name": "label", "datatype": "BYTES", "shape": [len(results)]}
            elif not whole:
                continue  # a remote tier told none: nothing is made up
            else:
                data = [result.probabilities[name] for result in results for name in labels]
                tensor = {"name": one.name, "datatype": "FP32"}
                tensor["shape"] = [len(results), len(labels)]
                # The protocol has no place for names: a client can't know the order otherwise.
                tensor["parameters"] = {"labels": json.dumps(labels)}
            if one.binary:
                blobs.append(as_bytes(tensor["datatype"], data))
                size = {"binary_data_size": len(blobs[-1])}
                tensor["parameters"] = {**tensor.get("parameters", {}), **size}
            else:
                tensor["data"] = data
            found.append(tensor)
        return found, blobs

    def _tensors(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        policy = self._asking.engine.policy
        takes = {"name": "text", "datatype": "BYTES", "shape": [-1]}
        if policy.task == Task.IMAGE_CLASSIFICATION.value:
            takes = {"name": "image", "datatype": "FP32", "shape": [-1, -1, -1, -1]}
        gives = [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(policy.labels)]},
        ]
        return [takes], gives


def _parted(request: Request) -> tuple[dict[str, Any], bytes]:
    """Part a body into its JSON and the bytes after it."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(415, "compressed bodies are not read", hint="send it as it is")
    told = request.headers.get(_HEADER_LENGTH)
    if told is None:
        return read_object(request.body), b""
    is_number = told.isascii() and told.isdigit() and len(told) <= _MOST_DIGITS
    if not is_number or int(told) > len(request.body):
        what = "`inference-header-content-length` is not the length of the JSON"
        raise InvalidData(what, where="body", hint="give a number of bytes")
    length = int(told)
    return read_object(request.body[:length]), request.body[length:]


def _beside(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the places where a request may say more of its one tensor."""
    places = (body, body.get("parameters"), body["inputs"][0].get("parameters"))
    return [one for one in places if isinstance(one, dict)]


def _wanted(body: dict[str, Any]) -> list[Wanted]:
    """Give the outputs that a request asks for; without any, all."""
    whole = _binary(body.get("parameters"), "binary_data_output", otherwise=False)
    asked = body.get("outputs") or [{"name": name} for name in _OUTPUTS]
    if not isinstance(asked, list) or not all(
        isinstance(one, dict) and one.get("name") in _OUTPUTS for one in asked
    ):
        what = "`outputs` is no list of the model's outputs"
        hint = "name `label`, `probabilities` or both, or leave it out"
        raise InvalidData(what, where="outputs", hint=hint)
    found = {
        one["name"]: Wanted(
            one["name"], _binary(one.get("parameters"), "binary_data", otherwise=whole)
        )
        for one in asked
    }
    return [found[name] for name in _OUTPUTS if name in found]


def _binary(parameters: Any, name: str, *, otherwise: bool) -> bool:
    said = parameters.get(name, otherwise) if isinstance(parameters, dict) else otherwise
    return said is True
