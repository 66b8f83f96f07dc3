"""The gateway against the Open Inference Protocol, version 2.

Paths and JSON names are those of kserve/open-inference-protocol,
`specification/protocol/inference_rest.md`; the schemas below write its `$objects` down.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import numpy as np
import pytest
from gateways import running

from edgewise.errors import InvalidModel
from edgewise.gateway.oip import EXTENSIONS
from edgewise.records import Input, Policy, Prediction, TierKind, TierPolicy
from edgewise.route import HybridInferenceEngine
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

TEXT, FLAG = {"type": "string"}, {"type": "boolean"}
SHAPE = {"type": "array", "items": {"type": "integer"}}
PARAMETERS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
TYPES = [
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]
DATATYPE = {"enum": TYPES}


def an_object(**required: Any) -> dict[str, Any]:
    properties = {**required, "parameters": PARAMETERS}
    return {"type": "object", "properties": properties, "required": list(required)}


def a_list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


TENSOR = an_object(name=TEXT, datatype=DATATYPE, shape=SHAPE)
SERVER = an_object(name=TEXT, version=TEXT, extensions={"type": "array", "items": TEXT})
PLATFORM = {"enum": ["tensorrt_plan", "tensorflow_graphdef", "tensorflow_savedmodel"]}
PLATFORM["enum"] += ["onnx_onnxv1", "pytorch_torchscript", "mxnet_mxnet", "caffe2_netdef"]
MODEL = an_object(
    name=TEXT,
    versions=a_list(TEXT),
    platform=PLATFORM,
    inputs=a_list(TENSOR),
    outputs=a_list(TENSOR),
)
OUTPUT = an_object(name=TEXT, shape=SHAPE, datatype=DATATYPE, data={"type": "array"})
ANSWER = an_object(model_name=TEXT, outputs=a_list(OUTPUT))
ERROR = an_object(error={"type": "string", "minLength": 1})
INFER = "/v2/models/tiny/infer"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tiny_text_bundle(tmp_path_factory.mktemp("oip") / "tiny", ("yes", "other", "no"))
    with running(lambda log: HybridInferenceEngine(folder, decision_log=log)) as one:
        yield one.client


def tensor(**changed: Any) -> dict[str, Any]:
    given = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["good", "bad"], **changed}
    return {key: value for key, value in given.items() if value is not None}


def check(answer: httpx2.Response, schema: dict[str, Any], status: int = 200) -> Any:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    jsonschema.validate(body, schema)
    return body


@pytest.mark.parametrize(
    ("path", "schema", "told"),
    [
        ("/v2/health/live", an_object(live=FLAG), {"live": True}),
        ("/v2/health/ready", an_object(live=FLAG), {"live": True, "ready": True}),
        ("/v2", SERVER, {"name": "edgewise", "extensions": EXTENSIONS}),
        ("/v2/models/tiny/ready", an_object(name=TEXT, ready=FLAG), {"name": "tiny"}),
        ("/v2/models/tiny/versions/1/ready", an_object(name=TEXT, ready=FLAG), {"ready": True}),
        ("/v2/models/tiny", MODEL, {"name": "tiny", "versions": ["1"]}),
        ("/v2/models/tiny/versions/1", MODEL, {"platform": "onnx_onnxv1"}),
    ],
)
def test_what_a_server_tells_is_as_specified(
    client: Any, path: str, schema: dict[str, Any], told: dict[str, Any]
) -> None:
    body = check(client.get(path), schema)

    assert {key: body[key] for key in told} == told


@pytest.mark.parametrize("path", [INFER, "/v2/models/tiny/versions/1/infer"])
def test_an_answer_is_as_specified_and_repeats_the_id(client: Any, path: str) -> None:
    asked = {"id": "42", "parameters": {"a": "b", "c": 1, "d": True}, "inputs": [tensor()]}
    asked["inputs"][0]["parameters"] = {"content_type": "str"}  # type: ignore[index]
    asked["outputs"] = [{"name": "probabilities", "parameters": {"binary_data": False}}]

    body = check(client.post(path, json=asked), ANSWER)

    assert (body["id"], body["model_name"]) == ("42", "tiny")
    (output,) = body["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == (
        "probabilities",
        "FP32",
        [2, 3],
    )
    assert len(output["data"]) == 6


def test_an_answer_without_an_id_has_none(client: Any) -> None:
    body = check(client.post(INFER, json={"inputs": [tensor()]}), ANSWER)

    assert "id" not in body
    assert [one["name"] for one in body["outputs"]] == ["label", "probabilities"]


@pytest.mark.parametrize(
    ("shape", "data"),
    [([2, 1], [["good"], ["bad"]]), ([2, 1], ["good", "bad"]), ([1, 2], ["good", "bad"])],
)
def test_tensors_come_nested_or_flat(client: Any, shape: list[int], data: list[Any]) -> None:
    body = check(client.post(INFER, json={"inputs": [tensor(shape=shape, data=data)]}), ANSWER)

    assert body["outputs"][0]["data"] == ["no", "yes"]


def test_the_order_of_the_probabilities_is_told(client: Any) -> None:
    body = check(client.post(INFER, json={"inputs": [tensor()]}), ANSWER)

    assert body["outputs"][1]["parameters"] == {"labels": '["yes", "other", "no"]'}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/other/ready", 404),
        ("GET", "/v2/models/tiny/versions/9", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("GET", INFER, 405),
        ("GET", "/v2/nowhere", 404),
    ],
)
def test_a_failure_has_an_error_object(client: Any, method: str, path: str, status: int) -> None:
    check(client.request(method, path), ERROR, status)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        {"inputs": [tensor(), tensor()]},
        {"inputs": [tensor(name="pixels")]},
        {"inputs": [tensor(data=None)]},
        {"inputs": [tensor(shape=None)]},
        {"inputs": [tensor(shape=[3])]},
        {"inputs": [tensor(shape=[-1])]},
        {"inputs": [tensor(shape=["2"])]},
        {"inputs": [tensor(shape=[0], data=[])]},
        {"inputs": [tensor(data=["good", 5])]},
        {"inputs": [tensor(data=["good", ["bad"]])]},
        {"inputs": [tensor(name="image", shape=[], data=[0.5])]},
        {"inputs": [tensor(name="image", data=[0.5, "x"])]},
        {"inputs": [tensor()], "outputs": 3},
        {"inputs": [tensor()], "outputs": ["label"]},
        {"inputs": [tensor()], "outputs": [{"name": "logits"}]},
        {"inputs": [tensor()], "outputs": [{"name": ["label"]}]},
    ],
)
def test_a_wrong_request_is_400_with_an_error_object(client: Any, body: dict[str, Any]) -> None:
    check(client.post(INFER, json=body), ERROR, 400)


@pytest.mark.parametrize("length", ["0" * 5000, "9" * 5000, "-1", "1e1", "\xb2"])
def test_a_length_of_the_json_that_is_none_is_400(client: Any, length: str) -> None:
    headers = {b"inference-header-content-length": length.encode("latin-1")}

    check(client.post(INFER, content=b"{}", headers=headers), ERROR, 400)


class Broken:
    """A tier that can't answer."""

    remote = False
    ready = True

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        del one, timeout_ms, request_id
        raise self._failure

    async def probe(self, timeout_ms: float) -> None: ...

    async def aclose(self) -> None: ...


@pytest.mark.parametrize(
    ("failure", "status", "told"),
    [
        (MemoryError("4 GiB"), 500, "the server failed; its log says why"),
        (
            InvalidModel("logits are not finite", hint="check the model"),
            503,
            "no allowed tier could answer (edge: InvalidModel): nearest_first, tier_failed, "
            "no_tier_left",
        ),
    ],
)
def test_a_failure_of_the_server_is_an_error_object_too(
    failure: Exception, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tier = TierPolicy(name="edge", kind=TierKind.DEVICE)
    policy = Policy(task="text-classification", labels=("no", "yes"), tiers=(tier,))

    def make(log: Any) -> HybridInferenceEngine:
        tiers = {"edge": Broken(failure)}
        return HybridInferenceEngine(policy=policy, tiers=tiers, decision_log=log)

    with running(make) as broken:
        answer = broken.client.post(INFER, json={"inputs": [tensor()]})

    assert check(answer, ERROR, status)["error"] == told
    assert ("MemoryError" in capsys.readouterr().err) is (status == 500)


def test_files_of_the_server_are_not_read(tmp_path: Path) -> None:
    folder = tiny_image_bundle(tmp_path / "light")
    picture = tmp_path / "private.npy"
    np.save(picture, np.ones((4, 4, 3), dtype=np.float32))

    with running(lambda log: HybridInferenceEngine(folder, decision_log=log)) as one:
        answers = [
            one.client.post("/predict", json={"image": str(picture)}),
            one.client.post("/predict", json={"inputs": [{"image": "/etc/hostname"}]}),
        ]

    for answer in answers:
        body = check(answer, ERROR, 400)
        assert body["error"] == "`image` is a path"
        assert "files of the server are not read" in body["hint"]
