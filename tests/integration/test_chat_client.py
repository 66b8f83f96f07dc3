"""The client of one endpoint, for chats: whole and in pieces, blocking and not."""

import pytest

from edgewise import CloudInferenceClient
from edgewise.errors import RemoteError, UsageError
from edgewise.testing.chats import ChatEndpoint, Saying
from edgewise.testing.route import FakeClock

pytestmark = pytest.mark.integration
ASK = {"messages": [{"role": "user", "content": "say something"}], "temperature": 0}
TEXT = "Hello, world!"


def client_of(endpoint: ChatEndpoint) -> CloudInferenceClient:
    return CloudInferenceClient(endpoint.url, "key", "openai", model="m", clock=FakeClock())


def test_a_chat_is_answered_whole_and_in_pieces() -> None:
    with ChatEndpoint() as endpoint, client_of(endpoint) as client:
        whole = client.predict({**ASK, "logprobs": True})
        pieces = [piece.text for piece in client.stream(ASK)]

    assert whole["prediction"] == TEXT
    assert whole["generation"].usage.output_tokens == 4
    assert whole["generation"].mean_logprob == pytest.approx(-0.1)
    assert "".join(pieces) == TEXT
    assert pieces[0] == "Hello"
    assert "logprobs" not in endpoint.bodies[1]
    assert endpoint.headers[0]["authorization"] == "Bearer key"


async def test_a_chat_is_answered_whole_and_in_pieces_within_an_event_loop() -> None:
    with ChatEndpoint() as endpoint:
        async with client_of(endpoint) as client:
            whole = await client.apredict({"prompt": "hi"})
            pieces = [piece.text async for piece in client.astream(ASK)]

    assert whole["prediction"] == "".join(pieces) == TEXT


async def test_a_stream_is_tried_again_before_its_first_piece() -> None:
    script = [Saying(status=503), Saying(), Saying(status=429), Saying()]
    with ChatEndpoint(script) as endpoint:
        async with client_of(endpoint) as client:
            within = [piece.text async for piece in client.astream(ASK)]
        with client_of(endpoint) as client:
            blocking = [piece.text for piece in client.stream(ASK)]

    assert "".join(within) == "".join(blocking) == TEXT
    keys = [headers["idempotency-key"] for headers in endpoint.headers]
    assert keys[0] == keys[1] != keys[2] == keys[3]


async def test_a_stream_that_broke_off_is_not_tried_again() -> None:
    with ChatEndpoint([Saying(break_after=3)]) as endpoint:
        with client_of(endpoint) as client, pytest.raises(RemoteError) as blocking:
            list(client.stream(ASK))
        async with client_of(endpoint) as client:
            with pytest.raises(RemoteError) as within:
                [piece async for piece in client.astream(ASK)]

    assert len(endpoint.bodies) == 2
    assert blocking.value.what.startswith("the connection broke")
    assert within.value.what.startswith("the connection broke")


def test_a_stream_that_is_left_ends_the_call() -> None:
    with ChatEndpoint([Saying(hold_after=2)]) as endpoint, client_of(endpoint) as client:
        stream = client.stream(ASK)
        first = next(stream)
        endpoint.held.wait(10)
        stream.close()
        left = endpoint.client_left.wait(10)

    assert (first.text, left) == ("Hello", True)


def test_other_protocols_have_no_streams() -> None:
    with (
        CloudInferenceClient("http://127.0.0.1:9") as client,
        pytest.raises(UsageError) as caught,
    ):
        next(client.stream(ASK))

    assert (caught.value.what, caught.value.where) == ("this protocol has no streams", "stream")
    assert caught.value.hint == "stream text generation over protocol openai"


def test_a_text_is_still_classified() -> None:
    labels = ("yes", "no")
    with (
        ChatEndpoint([Saying(tokens=("yes",))]) as endpoint,
        CloudInferenceClient(endpoint.url, protocol="openai", labels=labels) as client,
    ):
        answer = client.predict({"text": "is it?"})

    assert (answer["label"], "generation" in answer) == ("yes", False)
    assert endpoint.bodies[0]["messages"][0]["role"] == "system"
