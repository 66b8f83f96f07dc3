"""A remote text model over real sockets: whole, in pieces, broken off and given up."""

import asyncio
import contextlib

import pytest

from edgewise.errors import DeadlineExceeded, InvalidData, RemoteError, UsageError
from edgewise.records import Generation, TextChunk, ToolCall
from edgewise.runtimes import ChatWire, RemoteModel
from edgewise.runtimes.gathering import Gathered
from edgewise.runtimes.httpx_lane import HttpxLane
from edgewise.testing.chats import ChatEndpoint, Saying
from edgewise.testing.endpoints import RawEndpoint, Turn

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]
HI = {"prompt": "hi"}


def opened(endpoint: ChatEndpoint, *, timeout_ms: float = 20_000.0) -> RemoteModel:
    return RemoteModel(endpoint.url, wire=ChatWire(), model="m", timeout_ms=timeout_ms)


def lane_of(model: RemoteModel) -> HttpxLane:
    lane = model._opened()
    assert isinstance(lane, HttpxLane)
    return lane


async def gathered(model: RemoteModel, pieces: list[TextChunk]) -> Generation:
    found = Gathered()
    async for piece in model.astream(HI):
        pieces.append(piece)
        found.add(piece)
    return found.generation(0)


@pytest.mark.parametrize("streams", [True, False])
async def test_a_stream_put_together_is_the_whole_answer(streams: bool) -> None:
    saying = Saying(tool_calls=(("f", '{"a": "b"}'),), cached_tokens=3, streams=streams)
    pieces: list[TextChunk] = []
    with ChatEndpoint([saying]) as endpoint:
        model = opened(endpoint)
        streamed = await gathered(model, pieces)
        whole = (await model.apredict(HI)).generation
        await model.aclose()

    assert streamed == whole
    assert streamed.text == "Hello, world!"
    assert streamed.tool_calls == (ToolCall(call_id="call_0", name="f", arguments='{"a": "b"}'),)
    assert streamed.usage.cached_input_tokens == 3
    assert (len(pieces) > 4) is streams


async def test_a_stream_that_ended_leaves_its_connection_to_the_next() -> None:
    with ChatEndpoint() as endpoint:
        model = opened(endpoint)
        for _ in range(3):
            await gathered(model, [])
        open_connections = lane_of(model).connections
        await model.aclose()

    assert open_connections == 1


@pytest.mark.parametrize(
    ("saying", "what"),
    [
        (Saying(break_after=3), "the connection broke"),
        (Saying(fail_after=3), "the stream broke: the endpoint told of a failure"),
        (Saying(status=503), "answered HTTP 503"),
    ],
)
async def test_a_stream_that_fails_says_so(saying: Saying, what: str) -> None:
    pieces: list[TextChunk] = []
    with ChatEndpoint([saying]) as endpoint:
        model = opened(endpoint)
        with pytest.raises(RemoteError) as caught:
            await gathered(model, pieces)
        await model.aclose()

    assert what in caught.value.what
    assert caught.value.where == endpoint.url + "/v1/chat/completions"
    assert caught.value.hint
    assert [one.text for one in pieces] == (["Hello", ", "] if saying.status == 200 else [])


async def test_a_stream_that_stalls_is_given_up() -> None:
    with ChatEndpoint([Saying(hold_after=2)]) as endpoint:
        model = opened(endpoint, timeout_ms=150.0)
        with pytest.raises(DeadlineExceeded) as caught:
            await gathered(model, [])
        await model.aclose()
        assert await asyncio.to_thread(endpoint.client_left.wait, 10)

    assert caught.value.what == "no answer within 150 ms"


async def test_a_stream_that_is_closed_frees_the_connection_and_the_server() -> None:
    with ChatEndpoint([Saying(hold_after=2)]) as endpoint:
        model = opened(endpoint)
        stream = model.astream(HI)
        first = await anext(stream)
        await asyncio.to_thread(endpoint.held.wait, 10)
        await stream.aclose()
        left = await asyncio.to_thread(endpoint.client_left.wait, 10)
        open_connections = lane_of(model).connections
        await model.aclose()

    assert (first.text, left, open_connections) == ("Hello", True, 0)


async def test_a_classifier_has_no_streams() -> None:
    model = RemoteModel("http://127.0.0.1:9")
    with pytest.raises(UsageError) as caught:
        await anext(model.astream(HI))

    assert caught.value.what == "this protocol has no streams"
    assert caught.value.where == "http://127.0.0.1:9/predict"
    assert caught.value.hint == "stream text generation over protocol openai"


async def test_what_is_no_chat_is_not_sent() -> None:
    with ChatEndpoint() as endpoint:
        model = opened(endpoint)
        with pytest.raises(InvalidData, match="no `messages`"):
            await anext(model.astream({}))
        await model.aclose()

    assert endpoint.bodies == []


EVENTS = (("content-type", "text/event-stream"),)
PIECE = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
STREAMS = {
    "an end without a reason": (Turn(body=PIECE, headers=EVENTS), "the stream ended before"),
    "no JSON": (Turn(body=b"data: {\n\n", headers=EVENTS), "a piece that is no JSON"),
    "an endless hush": (
        Turn(body=b": " + b"hush" * 250_000 + b"\n", times=100, headers=EVENTS),
        "the answer is too large",
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        "an end without a reason",
        "no JSON",
        pytest.param("an endless hush", marks=pytest.mark.slow),
    ],
)
async def test_a_stream_that_is_none_is_told_as_such(name: str) -> None:
    turn, what = STREAMS[name]
    with RawEndpoint([turn]) as endpoint:
        model = RemoteModel(endpoint.url, wire=ChatWire(), timeout_ms=20_000.0)
        with pytest.raises(RemoteError) as caught:
            [piece async for piece in model.astream(HI)]
        await model.aclose()

    assert what in caught.value.what
    assert caught.value.where == endpoint.url + "/v1/chat/completions"
    assert caught.value.hint.startswith("try again")


async def test_an_endpoint_is_told_of_a_deadline_where_there_is_one() -> None:
    with ChatEndpoint() as endpoint:
        model = opened(endpoint)
        for timeout_ms in (None, 5_000.0, 0.2, 1e15):
            with contextlib.suppress(DeadlineExceeded):
                _ = [piece async for piece in model.astream(HI, timeout_ms=timeout_ms)]
        await model.apredict(HI)
        await model.aclose()
        found = [one.get("x-edgewise-deadline-ms") for one in endpoint.headers]

    assert found[:2] == [None, "5000"]
    assert {"999999999", "20000"} <= set(found)
    assert "0" not in found
