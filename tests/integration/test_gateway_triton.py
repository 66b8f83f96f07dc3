"""The gateway asked by Triton's own client, by JSON and by binary tensors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gateways import Running, running

from edgewise.route import HybridInferenceEngine
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.integration,
    # Its gevent is monkey about sockets that are closed by the collector.
    pytest.mark.filterwarnings("ignore"),
]


def engine(folder: Path) -> Any:
    return lambda log: HybridInferenceEngine(folder, decision_log=log)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Running]:
    with running(engine(tiny_text_bundle(tmp_path / "tiny"))) as made:
        yield made


def client_of(one: Running) -> Any:
    from tritonclient.http import InferenceServerClient  # noqa: PLC0415 - heavy

    return InferenceServerClient(one.url.removeprefix("http://"))


def test_tritons_client_finds_the_server_and_its_model(one: Running) -> None:
    client = client_of(one)

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "1")
    assert client.get_server_metadata()["name"] == "edgewise"
    assert client.get_model_metadata("tiny")["inputs"][0]["datatype"] == "BYTES"
    assert client.get_model_config("tiny")["backend"] == "edgewise"
    assert client.get_model_repository_index()[0]["state"] == "READY"
    assert client.get_inference_statistics("tiny")["model_stats"][0]["name"] == "tiny"


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_infers_texts(one: Running, binary: bool) -> None:
    from tritonclient.http import InferInput, InferRequestedOutput  # noqa: PLC0415 - heavy

    texts = np.array(["good great day", "bad", "naïve"], dtype=np.object_)
    given = InferInput("text", [3], "BYTES")
    given.set_data_from_numpy(texts, binary_data=binary)
    wanted = [InferRequestedOutput(name, binary_data=binary) for name in ("label", "probabilities")]

    answer = client_of(one).infer("tiny", [given], outputs=wanted, request_id="7")

    labels = [
        label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("label")
    ]
    assert labels[:2] == ["positive", "negative"]
    assert answer.as_numpy("probabilities").shape == (3, 2)
    assert answer.as_numpy("probabilities").dtype == np.float32
    assert answer.get_response()["id"] == "7"


def test_tritons_client_infers_pixels(tmp_path: Path) -> None:
    from tritonclient.http import InferInput  # noqa: PLC0415 - heavy

    pixels = np.ones((2, 4, 4, 3), dtype=np.float32)
    given = InferInput("image", list(pixels.shape), "FP32")
    given.set_data_from_numpy(pixels)
    with running(engine(tiny_image_bundle(tmp_path / "light")), name="light") as one:
        answer = client_of(one).infer("light", [given])

    assert [label.decode() for label in answer.as_numpy("label")] == ["bright", "bright"]


def test_tritons_client_reads_our_errors(one: Running) -> None:
    from tritonclient.http import InferInput  # noqa: PLC0415 - heavy
    from tritonclient.utils import InferenceServerException  # noqa: PLC0415 - heavy

    given = InferInput("pixels", [1], "BYTES")
    given.set_data_from_numpy(np.array(["x"], dtype=np.object_))

    with pytest.raises(InferenceServerException) as caught:
        client_of(one).infer("tiny", [given])

    assert "neither text nor image" in str(caught.value)
