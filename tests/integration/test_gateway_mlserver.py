"""A real MLServer as the gateway's cloud, by the Open Inference Protocol.

Its requirements do not go together with those of the heavy tests, so it lives in an environment of
its own: `make test-heavy` makes `.venv-mlserver`, and `MLSERVER` names another program.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from gateways import next_event, served

from edgewise.records import Policy, Protocol, TierKind, TierPolicy, write_json
from edgewise.runtimes import open_bundle
from edgewise.testing.models import tiny_text_bundle

pytestmark = [pytest.mark.heavy, pytest.mark.integration]
PROGRAM = os.environ.get("MLSERVER", str(Path(__file__).parents[2] / ".venv-mlserver/bin/mlserver"))
MODEL = """
from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceResponse, ResponseOutput


class Words(MLModel):
    async def predict(self, payload):
        texts = StringCodec.decode_input(payload.inputs[0])
        if "break" in texts:
            raise RuntimeError("the model broke")
        shares = [0.97 if "cloudy" in one else 0.06 for one in texts]
        label = StringCodec.encode_output(
            "label", ["positive" if one > 0.5 else "negative" for one in shares]
        )
        probabilities = ResponseOutput(
            name="probabilities",
            shape=[len(texts), 2],
            datatype="FP64",
            data=[value for one in shares for value in (1.0 - one, one)],
        )
        return InferenceResponse(model_name=self.name, outputs=[label, probabilities])
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlserver")
    ports = {name: free_port() for name in ("http_port", "grpc_port", "metrics_port")}
    whole = {**ports, "host": "127.0.0.1", "parallel_workers": 0, "debug": False}
    (folder / "settings.json").write_text(json.dumps(whole))
    (folder / "words.py").write_text(MODEL)
    model = {"name": "words", "implementation": "words.Words"}
    (folder / "model-settings.json").write_text(json.dumps(model))
    assert Path(PROGRAM).exists(), f"no {PROGRAM}: `make test-heavy` makes it"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([PROGRAM, "start", str(folder)], stdout=log, stderr=log)
        url = f"http://127.0.0.1:{ports['http_port']}"
        try:
            while not is_ready(url):
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.2)  # an end before it is ready fails here
            yield url
        finally:
            process.terminate()
            process.wait(30)


def is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/v2/models/words/ready").status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.fixture(scope="module")
def run(mlserver: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a run whose edge keeps nothing, and whose cloud is MLServer."""
    folder = tmp_path_factory.mktemp("run")
    opened = open_bundle(tiny_text_bundle(folder / "bundle"))
    edge = TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=1.0)
    cloud = TierPolicy(
        name="cloud",
        kind=TierKind.CLOUD,
        endpoint=mlserver,
        protocol=Protocol.OIP,
        model="words",
        rtt_p50_ms=5.0,
        rtt_p95_ms=50.0,
    )
    policy = Policy(
        task="text-classification",
        labels=opened.labels,
        tiers=(edge, cloud),
        bundle_sha256=opened.sha256,
    )
    opened.close()
    write_json(folder / "policy.json", policy)
    return folder


def test_what_the_edge_does_not_keep_mlserver_answers(run: Path) -> None:
    with served(run) as (_, url), httpx2.Client(base_url=url, timeout=30.0) as client:
        one = client.post("/predict", json={"text": "cloudy"})
        forced = client.post(
            "/predict", json={"text": "grand"}, headers={"x-edgewise-force-location": "cloud"}
        )
        private = client.post("/predict", json={"text": "cloudy", "privacy_flag": True})

    assert one.json()["label"] == "positive"
    assert one.json()["confidence"] == pytest.approx(0.97)
    assert one.headers["x-edgewise-location"] == "cloud_fallback"
    assert forced.json()["probabilities"] == pytest.approx({"negative": 0.94, "positive": 0.06})
    assert private.headers["x-edgewise-location"] == "edge"


def test_an_oip_client_of_the_gateway_gets_mlservers_answers_in_order(run: Path) -> None:
    texts = ["cloudy", "rain", "cloudy again"]
    body = {"inputs": [{"name": "text", "shape": [3], "datatype": "BYTES", "data": texts}]}
    with served(run) as (_, url):
        answer = httpx2.post(f"{url}/v2/models/default/infer", json=body, timeout=30.0).json()

    outputs = {one["name"]: one["data"] for one in answer["outputs"]}
    assert outputs["label"] == ["positive", "negative", "positive"]
    assert outputs["probabilities"] == pytest.approx([0.03, 0.97, 0.94, 0.06, 0.03, 0.97])


def test_where_mlserver_fails_the_edge_answers_and_the_gateway_says_so(run: Path) -> None:
    with served(run) as (process, url):
        answer = httpx2.post(f"{url}/predict", json={"text": "break"}, timeout=30.0)
        failed = next_event(process, "tier_failed")

    assert answer.status_code == 200
    assert answer.headers["x-edgewise-location"] == "edge_fallback"
    assert failed["tier"] == "cloud"
    assert "the model broke" not in str(failed) + answer.text


def test_mlservers_own_client_infers_from_the_gateway(run: Path, tmp_path: Path) -> None:
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["cloudy", "rain"]}
    asked, found = tmp_path / "asked.jsonl", tmp_path / "found.jsonl"
    asked.write_text(f"{json.dumps({'inputs': [tensor]})}\n" * 3)
    with served(run) as (_, url):
        command = [PROGRAM, "infer", "--url", url.removeprefix("http://"), "--transport", "rest"]
        command += ["--model-name", "default", "--workers", "1"]
        command += ["--input-data-path", str(asked), "--output-data-path", str(found)]
        subprocess.run(command, capture_output=True, timeout=120, check=True)

    answers = [json.loads(line) for line in found.read_text().splitlines()]
    outputs = [{one["name"]: one["data"] for one in answer["outputs"]} for answer in answers]
    assert [one["label"] for one in outputs] == [["positive", "negative"]] * 3
    assert outputs[0]["probabilities"] == pytest.approx([0.03, 0.97, 0.94, 0.06])
