"""Chats against their laws, over real sockets."""

from collections.abc import AsyncIterator

import openai
import pytest

from edgewise.gateway.upstream import FastLane
from edgewise.runtimes import ChatWire, Lane, RemoteModel
from edgewise.testing.chat_laws import ChatEndpointLaws, ChatFaultLaws
from edgewise.testing.chats import ChatEndpoint, Saying

pytestmark = pytest.mark.integration


def said(body: dict[str, int]) -> Saying:
    tokens = ("Blue", " is", " a", " colour")[: body["max_tokens"]]
    return Saying(tokens=tokens)


class TestFakeEndpoint(ChatEndpointLaws):
    @pytest.fixture
    async def model(self) -> AsyncIterator[RemoteModel]:
        with ChatEndpoint(answer=said) as endpoint:
            model = RemoteModel(endpoint.url, wire=ChatWire(), model="m")
            yield model
            await model.aclose()


class TestFakeEndpointOverTheFastLane(ChatEndpointLaws):
    @pytest.fixture
    async def model(self) -> AsyncIterator[RemoteModel]:
        with ChatEndpoint(answer=said) as endpoint:
            model = RemoteModel(endpoint.url, wire=ChatWire(), model="m", lane=FastLane)
            yield model
            await model.aclose()


class TestFaults(ChatFaultLaws):
    pass


class TestFaultsOverTheFastLane(ChatFaultLaws):
    def open_lane(self, url: str) -> Lane:
        return FastLane(url)


def test_openais_own_client_reads_our_endpoint_for_chats() -> None:
    saying = Saying(tool_calls=(("f", "{}"),), cached_tokens=2)
    with (
        ChatEndpoint([saying]) as endpoint,
        openai.OpenAI(base_url=f"{endpoint.url}/v1", api_key="k", max_retries=0) as client,
    ):
        stream = client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "hi"}],
            logprobs=True,
            stream=True,
            stream_options={"include_usage": True},
        )
        pieces = list(stream)

    text = "".join(one.choices[0].delta.content or "" for one in pieces if one.choices)
    assert text == "Hello, world!"
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.completion_tokens == 4
