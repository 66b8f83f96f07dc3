"""A bundle behind a real socket, asked by every protocol's client, and by clients that misbehave."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest

from edgewise import CloudInferenceClient
from edgewise.cli import main
from edgewise.errors import DeadlineExceeded, RemoteError
from edgewise.gateway.app import lognormal
from edgewise.records import Protocol
from edgewise.runtimes import RemoteModel, open_bundle
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

pytestmark = pytest.mark.integration


def start(bundle: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "edgewise", "serve", str(bundle), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ready: ")
    return process, line.removeprefix("ready: ").strip()


def stop(process: subprocess.Popen[str]) -> int:
    os.kill(process.pid, signal.SIGTERM)
    code = process.wait(timeout=20)
    assert process.stdout is not None
    process.stdout.close()
    return code


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


@pytest.mark.parametrize(
    "content",
    [b"no json", b"[]", b"{}", b'{"inputs": 3}', b'{"inputs": []}', b'{"text": 5}'],
)
def test_a_wrong_body_is_answered_400(url: str, content: bytes) -> None:
    for path in ("/predict", "/v2/models/tiny/infer"):
        answer = httpx2.post(url + path, content=content)
        assert answer.status_code == 400
        assert answer.json()["error"]


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
