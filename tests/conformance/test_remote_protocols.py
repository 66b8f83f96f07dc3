"""Each remote protocol against the laws, over real sockets: our gateway, and OpenAI's form."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from edgewise.gateway.upstream import FastLane
from edgewise.records import Protocol
from edgewise.runtimes import WIRES, Lane, LocalModel, RemoteModel, Wire, open_bundle
from edgewise.runtimes.openai_wire import OpenAiWire
from edgewise.testing.endpoints import openai_endpoint
from edgewise.testing.models import tiny_text_bundle
from edgewise.testing.remotes import KEY, RemoteProtocolLaws

pytestmark = pytest.mark.integration

CARRIES_PROBABILITIES = {Protocol.JSON: True, Protocol.OIP: True, Protocol.OPENAI: False}


@contextmanager
def gateway(bundle: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "edgewise", "serve", str(bundle), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready: ")
        try:
            yield line.removeprefix("ready: ").strip()
        finally:
            os.kill(process.pid, signal.SIGTERM)
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("remote") / "tiny"
    return tiny_text_bundle(folder, ("positive", "other", "negative"))


@pytest.fixture(scope="module")
def local(bundle: Path) -> Iterator[LocalModel]:
    model = open_bundle(bundle)
    yield model
    model.close()


@pytest.fixture(scope="module")
def gateway_url(bundle: Path) -> Iterator[str]:
    with gateway(bundle) as url:
        yield url


@pytest.fixture(scope="module")
def openai_url(local: LocalModel) -> Iterator[str]:
    with openai_endpoint(local, name="tiny", api_key=KEY) as url:
        yield url


def test_every_protocol_has_a_server_to_be_tried_with() -> None:
    assert {wire.name for wire in WIRES} == set(CARRIES_PROBABILITIES)


class TestRemoteProtocols(RemoteProtocolLaws):
    @pytest.fixture(params=WIRES, ids=lambda wire: str(wire.name.value))
    def wire(self, request: pytest.FixtureRequest) -> Wire:
        found: Wire = request.param
        return found

    @pytest.fixture
    def endpoint(self, wire: Wire, gateway_url: str, openai_url: str) -> str:
        return openai_url if wire.name is Protocol.OPENAI else gateway_url

    @pytest.fixture
    def model_name(self) -> str:
        return "tiny"

    @pytest.fixture
    def carries_probabilities(self, wire: Wire) -> bool:
        return CARRIES_PROBABILITIES[wire.name]


class TestRemoteProtocolsOverTheFastLane(TestRemoteProtocols):
    def open_lane(self, url: str) -> Lane:
        return FastLane(url)


def test_openais_own_client_takes_our_endpoint_for_openai(openai_url: str) -> None:
    with openai.OpenAI(base_url=f"{openai_url}/v1", api_key=KEY, max_retries=0) as client:
        answer = client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "great"}], logprobs=True
        )
        with pytest.raises(openai.NotFoundError, match="no such model"):
            client.chat.completions.create(
                model="other", messages=[{"role": "user", "content": "x"}]
            )

    ChatCompletion.model_validate(answer.model_dump(), strict=False)
    assert answer.choices[0].message.content == "positive"
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert "".join(token.token for token in told.content) == "positive"


def test_openais_own_types_take_our_request() -> None:
    body = OpenAiWire().encode([{"text": "great"}], "tiny", ("no", "yes"))

    adapter = TypeAdapter(CompletionCreateParamsNonStreaming)
    taken = adapter.validate_python(body)

    assert set(body) <= set(CompletionCreateParamsNonStreaming.__annotations__) | set(taken)
    assert [one["role"] for one in body["messages"]] == ["system", "user"]


def test_a_wrong_key_is_told_as_such(openai_url: str) -> None:
    model = RemoteModel(openai_url, protocol=Protocol.OPENAI, model="tiny", api_key="sk-other")
    with pytest.raises(Exception, match="answered HTTP 401") as caught:
        model.predict({"text": "great"})
    model.close()

    assert "check the API key" in str(caught.value)
    assert "sk-other" not in str(caught.value)
