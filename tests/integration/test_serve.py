"""A bundle behind a real socket, asked by each protocol's client and by clients that misbehave."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from gateways import troubles
from serving import start, start_json, stop

from edgewise import CloudInferenceClient
from edgewise.cli import main
from edgewise.errors import DeadlineExceeded, RemoteError
from edgewise.gateway.faults import lognormal
from edgewise.records import Protocol
from edgewise.runtimes import RemoteModel, open_bundle
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_bundle(tmp_path_factory.mktemp("served") / "tiny")


@pytest.fixture(scope="module")
def url(bundle: Path) -> Iterator[str]:
    process, where = start(bundle)
    yield where
    stop(process)


@pytest.mark.parametrize("protocol", [Protocol.JSON, Protocol.OIP])
def test_a_remote_answer_equals_the_local_one(bundle: Path, url: str, protocol: Protocol) -> None:
    texts = [{"text": text} for text in ("good great day", "bad", "", "awful good bad")]
    local = open_bundle(bundle)
    remote = RemoteModel(url, protocol=protocol, labels=local.labels)

    near, far = local.predict_many(texts), remote.predict_many(texts)
    remote.close()

    assert [a.label for a in far] == [a.label for a in near]
    for a, b in zip(near, far, strict=True):
        assert b.probabilities == pytest.approx(a.probabilities)


async def test_the_asynchronous_face_gives_the_same(url: str) -> None:
    remote = RemoteModel(url, protocol=Protocol.OIP, labels=("negative", "positive"))
    try:
        assert (await remote.apredict({"text": "great"})).label == "positive"
    finally:
        await remote.aclose()


def test_as_json_it_says_once_what_answers_where(bundle: Path) -> None:
    process, line = start_json(bundle)
    told = json.loads(line)

    try:
        answer = httpx2.get(f"{told['address']}/v2/models/{told['model']}")
    finally:
        stop(process)

    assert set(told) == {"schema_version", "address", "model", "pid"}
    assert told["pid"] == process.pid
    assert answer.status_code == 200
    assert answer.json()["name"] == told["model"]


def test_the_public_client_gives_a_mapping(url: str) -> None:
    with CloudInferenceClient(url) as client:
        assert client.predict({"text": "awful"})["prediction"] == "negative"


def test_oip_metadata_health_and_names(url: str) -> None:
    assert httpx2.get(f"{url}/v2").json()["name"] == "edgewise"
    for path in (
        "/healthz",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/tiny/ready",
    ):
        assert httpx2.get(url + path).status_code == 200
    metadata = httpx2.get(f"{url}/v2/models/tiny/versions/1").json()
    assert metadata["inputs"][0]["datatype"] == "BYTES"
    assert httpx2.get(f"{url}/v2/models/other").status_code == 404
    assert httpx2.get(f"{url}/nowhere").status_code == 404
    assert httpx2.get(f"{url}/predict").status_code == 405


def test_oip_gives_the_outputs_that_were_asked(url: str) -> None:
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["good"]}
    body = {"id": "7", "inputs": [tensor], "outputs": [{"name": "label"}]}

    answer = httpx2.post(f"{url}/v2/models/tiny/infer", json=body).json()

    assert answer["id"] == "7"
    assert [one["name"] for one in answer["outputs"]] == ["label"]


@pytest.fixture(scope="module")
def image_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, where = start(tiny_image_bundle(tmp_path_factory.mktemp("served") / "light"))
    yield where
    stop(process)


@pytest.mark.parametrize(
    "content",
    [
        b"no json",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"inputs": 3}',
        b'{"inputs": []}',
        b'{"text": 5}',
        b'{"text": "half a pair: \\ud800"}',
        b"[" * 100_000,
        b'{"text":' * 100_000,
    ],
)
def test_a_wrong_body_is_answered_400(url: str, content: bytes) -> None:
    for path in ("/predict", "/v2/models/tiny/infer"):
        answer = httpx2.post(url + path, content=content)
        assert answer.status_code == 400
        assert answer.json()["error"]


@pytest.mark.parametrize(
    "outputs", [5, "label", {"name": "label"}, [5], [{"name": "loss"}], [{"name": ["label"]}]]
)
def test_outputs_that_are_not_the_models_are_answered_400(url: str, outputs: Any) -> None:
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["good"]}

    answer = httpx2.post(
        f"{url}/v2/models/tiny/infer", json={"inputs": [tensor], "outputs": outputs}
    )

    assert answer.status_code == 400
    assert answer.json() == {
        "error": "`outputs` is no list of the model's outputs",
        "hint": "name `label`, `probabilities` or both, or leave it out",
    }


@pytest.mark.parametrize("outputs", [None, []])
def test_no_outputs_asked_are_all_outputs(url: str, outputs: Any) -> None:
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["good"]}

    answer = httpx2.post(
        f"{url}/v2/models/tiny/infer", json={"inputs": [tensor], "outputs": outputs}
    ).json()

    assert [one["name"] for one in answer["outputs"]] == ["label", "probabilities"]


@pytest.mark.parametrize(
    "tensor",
    [
        {"name": "pixels", "shape": [1, 4, 4, 3], "data": [1.0] * 48},
        {"name": "image", "shape": None, "data": [1.0] * 48},
        {"name": "image", "shape": [1, 4, 4, 3], "data": "1.0"},
        {"name": "image", "shape": [], "data": [1.0]},
        {"name": "image", "shape": [48], "data": [1.0] * 48},
        {"name": "image", "shape": [4, 4, 3], "data": [1.0] * 48},
        {"name": "image", "shape": [-1, -1], "data": [1.0] * 48},
        {"name": "image", "shape": [1, 4, 4, 3.5], "data": [1.0] * 48},
        {"name": "image", "shape": [2, 4, 4, 3], "data": [1.0] * 48},
        {"name": "image", "shape": [1, 4, 4, 3], "data": [2.0] * 48},
        {"name": "image", "shape": [1, 4, 4, 3], "data": [10**400] * 48},
        {"name": "image", "shape": [1, 4, 4, 3], "data": ["bright"] * 48},
        {"name": "image", "shape": [1, 4, 4, 3], "data": [float("nan")] * 48},
        {"name": "text", "shape": [1], "data": ["good"]},
    ],
)
def test_a_wrong_image_tensor_is_answered_400(image_url: str, tensor: dict[str, Any]) -> None:
    body = json.dumps({"inputs": [{"datatype": "FP32", **tensor}]})

    answer = httpx2.post(f"{image_url}/v2/models/light/infer", content=body.encode())

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert answer.json()["hint"]


def test_the_model_says_that_it_takes_images(image_url: str) -> None:
    inputs = httpx2.get(f"{image_url}/v2/models/light").json()["inputs"]

    assert inputs == [{"name": "image", "datatype": "FP32", "shape": [-1, -1, -1, -1]}]


def test_pixels_are_taken_as_plain_json(image_url: str) -> None:
    white = [[[255] * 3] * 4] * 4

    answer = httpx2.post(f"{image_url}/predict", json={"image": white}).json()

    assert answer["label"] == "bright"


def test_a_client_can_not_make_the_server_open_a_file(image_url: str, tmp_path: Path) -> None:
    there, absent = tmp_path / "white.npy", tmp_path / "absent.npy"
    np.save(there, np.full((4, 4, 3), 255, dtype=np.uint8))

    answers = [
        httpx2.post(f"{image_url}/predict", json={"inputs": [{"image": str(path)}]})
        for path in (there, absent)
    ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].json() == answers[1].json()
    assert "pixels" in answers[0].json()["hint"]


def test_a_client_that_hangs_up_does_no_harm(bundle: Path) -> None:
    process, url = start(bundle)
    host, port = url.removeprefix("http://").split(":")
    try:
        for sent in (b"", b"POST", b"POST /predict HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"):
            with socket.create_connection((host, int(port))) as client:
                client.sendall(sent)
        answer = httpx2.post(f"{url}/predict", json={"text": "good"})
    finally:
        stop(process)

    assert answer.status_code == 200


def test_a_huge_body_is_answered_413(url: str) -> None:
    assert httpx2.post(f"{url}/predict", content=b" " * 9_000_000).status_code == 413


def test_failures_and_delays_are_those_asked_for(bundle: Path) -> None:
    process, url = start(bundle, "--fail-rate", "1", "--delay-ms", "30,60")
    try:
        model = RemoteModel(url)
        with pytest.raises(RemoteError) as caught:
            model.predict({"text": "good"})
        with pytest.raises(DeadlineExceeded) as late:
            model.predict({"text": "good"}, timeout_ms=1)
        model.close()
    finally:
        assert stop(process) in (0, -signal.SIGTERM)

    assert "HTTP 503" in caught.value.what
    assert "1 ms" in late.value.what


def test_a_closed_port_and_a_taken_one_are_named(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", str(bundle), "--port", str(port)]) == 1
    assert "the port is in use" in capsys.readouterr().err

    model = RemoteModel(f"http://user:secret@127.0.0.1:{port}", api_key="hunter2")
    with pytest.raises(RemoteError) as caught:
        model.predict({"text": "x"})
    model.close()
    assert "can't be reached" in caught.value.what
    assert "secret" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)


def test_an_image_bundle_answers_by_oip(tmp_path: Path) -> None:
    folder = tiny_image_bundle(tmp_path / "light")
    process, url = start(folder)
    try:
        model = RemoteModel(url, protocol=Protocol.OIP, labels=("dark", "bright"))
        found = model.predict({"image": np.ones((4, 4, 3), dtype=np.float32)})
        model.close()
    finally:
        stop(process)

    assert found.label == "bright"


def test_delays_have_the_quantiles_asked_for() -> None:
    mu, sigma = lognormal(60, 180)

    drawn = np.random.default_rng(0).lognormal(mu, sigma, 200_000)

    assert np.quantile(drawn, [0.5, 0.95]) == pytest.approx([60, 180], rel=0.02)


@pytest.mark.parametrize(
    ("sent", "codes"), [(signal.SIGTERM, (0, -signal.SIGTERM)), (signal.SIGINT, (0,))]
)
def test_a_server_that_is_told_to_stop_ends_in_words(
    bundle: Path, sent: signal.Signals, codes: tuple[int, ...]
) -> None:
    process, url = start(bundle)

    process.send_signal(sent)
    _, errors = process.communicate(timeout=20)

    assert process.returncode in codes
    assert troubles(errors) == []
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/healthz")
