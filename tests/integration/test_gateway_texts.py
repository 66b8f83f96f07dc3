"""Text generation through the gateway, asked by OpenAI's client, over two text models."""

import json
import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from gateways import Running, running, served

from edgewise.gateway.rollout import Rollout
from edgewise.gateway.upstream import FastLane
from edgewise.observe import DecisionLog
from edgewise.records import (
    Policy,
    Price,
    PrivacyRules,
    Protocol,
    StreamRules,
    TierKind,
    TierPolicy,
    digest,
    write_json,
)
from edgewise.route import HybridInferenceEngine
from edgewise.testing.chats import ChatEndpoint, Saying

pytestmark = pytest.mark.integration
ASK: list[Any] = [{"role": "user", "content": "say something"}]
SURE = Saying(tokens=("near ", "is ", "sure ", "of ", "it"), logprobs=(-0.01,) * 5)
UNSURE = Saying(tokens=("near ", "is ", "not ", "so ", "sure"), logprobs=(-2.0,) * 5)
FAR = Saying(tokens=("far ", "knows"), logprobs=(-0.1, -0.1), cached_tokens=3)
CALLS = Saying(tokens=(), tool_calls=(("weather", '{"city": "Rome"}'),))
TOOLS: list[Any] = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
PRICE = Price(usd_per_million_tokens_in=1e6, usd_per_million_tokens_out=2e6)


def policy_of(near: ChatEndpoint, far: ChatEndpoint) -> Policy:
    edge = TierPolicy(
        name="edge",
        kind=TierKind.DEVICE,
        threshold=0.5,
        endpoint=near.url,
        protocol=Protocol.OPENAI,
        model="small",
    )
    cloud = TierPolicy(
        name="cloud",
        kind=TierKind.CLOUD,
        endpoint=far.url,
        protocol=Protocol.OPENAI,
        model="large",
        token_price=PRICE,
    )
    return Policy(
        task="text-generation",
        labels=(),
        tiers=(edge, cloud),
        stream=StreamRules(commit_after_tokens=2),
        privacy=PrivacyRules(detect=("email",)),
    )


@dataclass
class Pair:
    """A gateway with two text models behind it, and a client in front."""

    near: ChatEndpoint
    far: ChatEndpoint
    gateway: Running
    client: openai.OpenAI

    @property
    def decision(self) -> Any:
        return self.gateway.gateway.decisions.latest[-1]


@contextmanager
def pair(near: Saying | Sequence[Saying], far: Saying | Sequence[Saying] = FAR) -> Iterator[Pair]:
    scripts = [[one] if isinstance(one, Saying) else list(one) for one in (near, far)]
    with ChatEndpoint(scripts[0]) as here, ChatEndpoint(scripts[1]) as there:

        def make(log: Any) -> HybridInferenceEngine:
            policy = policy_of(here, there)
            return HybridInferenceEngine(policy=policy, decision_log=log, lane=FastLane)

        with (
            running(make, name="chat") as gateway,
            openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client,
        ):
            yield Pair(here, there, gateway, client)


def test_served_chat_streams_the_text_that_it_answers_whole(tmp_path: Path) -> None:
    with ChatEndpoint([SURE]) as near, ChatEndpoint([FAR]) as far:
        write_json(tmp_path / "policy.json", policy_of(near, far))
        log = tmp_path / "d.db"
        with (
            served(tmp_path / "policy.json", "--log", str(log)) as (process, url),
            openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
        ):
            whole = client.chat.completions.create(model="default", messages=ASK)
            pieces = list(
                client.chat.completions.create(model="default", messages=ASK, stream=True)
            )
            process.terminate()
            process.wait(20)

        said = "".join(one.choices[0].delta.content or "" for one in pieces)
        assert said == whole.choices[0].message.content == "near is sure of it"
        assert pieces[0].choices[0].delta.role == "assistant"
        assert [one.choices[0].finish_reason for one in pieces[-2:]] == [None, "stop"]
        with DecisionLog(log) as kept:
            assert kept.count() == 2


@pytest.mark.parametrize(
    ("near", "far"),
    [(SURE, FAR), (UNSURE, FAR), (CALLS, CALLS), (Saying(tokens=("é", "🙂", "")), FAR)],
)
def test_concatenated_stream_is_the_whole_answer(near: Saying, far: Saying) -> None:
    with pair(near, far) as one:
        ask: Any = {"model": "chat", "messages": ASK}

        whole = one.client.chat.completions.create(**ask)
        with one.client.chat.completions.stream(**ask) as stream:
            streamed = stream.get_final_completion()

        message, told = whole.choices[0], streamed.choices[0]
        assert bool(message.message.tool_calls) is (near is CALLS)
        assert (told.message.content or None) == (message.message.content or None)
        assert told.finish_reason == message.finish_reason
        calls, streamed_calls = message.message.tool_calls, told.message.tool_calls
        assert [x.function.arguments for x in calls or [] if x.type == "function"] == [
            x.function.arguments for x in streamed_calls or []
        ]


def test_a_call_of_a_custom_tool_is_handed_on_whole_and_in_pieces() -> None:
    calls = Saying(tokens=(), tool_calls=(("run", "print(1) # ana"),), custom=True)
    with pair(calls, calls) as one:
        ask: Any = {"model": "chat", "messages": ASK}

        whole = one.client.chat.completions.create(**ask).choices[0].message
        answer = one.gateway.client.post("/v1/chat/completions", json={**ask, "stream": True})

    expected = {"name": "run", "input": "print(1) # ana"}
    events = [x.removeprefix("data: ") for x in answer.text.splitlines() if x[:7] == "data: {"]
    deltas = [json.loads(x)["choices"][0]["delta"] for x in events]
    pieces = [x["tool_calls"][0] for x in deltas if "tool_calls" in x]
    assert whole.tool_calls is not None
    assert whole.tool_calls[0].type == "custom"
    assert whole.tool_calls[0].custom.model_dump() == expected
    assert (pieces[0]["type"], pieces[0]["custom"]["name"]) == ("custom", "run")
    assert "".join(x["custom"]["input"] for x in pieces) == expected["input"]


def test_a_refusal_is_told_as_one_and_may_be_sent_back() -> None:
    refuses = Saying(tokens=(), refusal=("I ", "can't."))
    with pair(refuses, refuses) as one:
        ask: Any = {"model": "chat", "messages": ASK}

        whole = one.client.chat.completions.create(**ask)
        with one.client.chat.completions.stream(**ask) as stream:
            streamed = stream.get_final_completion()
        text = one.client.completions.create(model="chat", prompt="hi")
        said: Any = whole.choices[0].message
        again = one.client.chat.completions.create(model="chat", messages=[*ASK, said, *ASK])

        assert (said.content, said.refusal) == (None, "I can't.")
        assert streamed.choices[0].message.refusal == "I can't."
        assert not streamed.choices[0].message.content
        assert text.choices[0].text == "I can't."
        assert again.choices[0].message.refusal == "I can't."
        assert one.far.bodies[-1]["messages"][1]["refusal"] == "I can't."


def test_unsure_edge_hands_on_to_the_cloud_and_the_headers_say_so() -> None:
    with pair(UNSURE) as one:
        raw = one.client.chat.completions.with_raw_response.create(model="chat", messages=ASK)

        usage = raw.parse().usage
        assert raw.parse().choices[0].message.content == "far knows"
        assert raw.headers["x-edgewise-location"] == "cloud_fallback"
        assert "low_confidence" in raw.headers["x-edgewise-reasons"]
        assert float(raw.headers["x-edgewise-cost-usd"]) == 7 + 2 * 2
        assert usage is not None
        assert (usage.prompt_tokens, usage.completion_tokens) == (7, 2)
        assert usage.prompt_tokens_details is not None
        assert usage.prompt_tokens_details.cached_tokens == 3


def test_stream_says_at_its_head_who_answers_and_at_its_end_what_it_cost() -> None:
    with pair(UNSURE) as one:
        ask = {"model": "chat", "messages": ASK, "stream": True}
        answer = one.gateway.client.post("/v1/chat/completions", json=ask)

        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["x-edgewise-location"] == "cloud_fallback"
        assert answer.headers["x-edgewise-request-id"] == one.decision.request_id
        assert "x-edgewise-cost-usd" not in answer.headers
        assert f": x-edgewise-cost-usd: {7 + 2 * 2}\n" in answer.text
        assert answer.text.endswith("data: [DONE]\n\n")


def test_stream_brings_usage_and_log_probabilities_where_they_are_asked_for() -> None:
    with pair(SURE) as one:
        pieces = list(
            one.client.chat.completions.create(
                model="chat",
                messages=ASK,
                stream=True,
                logprobs=True,
                stream_options={"include_usage": True},
            )
        )

        assert pieces[-1].usage is not None
        assert pieces[-1].usage.total_tokens == 7 + 5
        told = [x.choices[0].logprobs for x in pieces if x.choices and x.choices[0].logprobs]
        assert [one.content[0].logprob for one in told if one.content] == [-0.01] * 5


def test_options_and_tools_reach_the_model() -> None:
    with pair(CALLS, CALLS) as one:
        answer = one.client.chat.completions.create(
            model="chat",
            messages=[*ASK, {"role": "assistant", "content": "so?"}, *ASK],
            tools=TOOLS,
            tool_choice="auto",
            temperature=0.25,
            top_p=0.5,
            seed=11,
            stop=["END"],
            max_completion_tokens=33,
        )

        asked = one.near.bodies[0]
        sent = ("temperature", "top_p", "seed", "stop", "max_tokens", "tools", "tool_choice")
        expected = [0.25, 0.5, 11, ["END"], 33, TOOLS, "auto"]
        assert [asked[key] for key in sent] == expected
        assert asked["model"] == "small"
        assert len(asked["messages"]) == 3
        assert answer.choices[0].finish_reason == "tool_calls"


def test_numbers_and_words_reach_the_model_and_who_asks_does_not() -> None:
    with pair(SURE) as one:
        asked = {"model": "chat", "messages": ASK, "top_k": 7, "reasoning_effort": "low"}
        one.gateway.client.post(
            "/v1/chat/completions", json={**asked, "user": "ana", "metadata": {"a": "b"}}
        ).raise_for_status()
        wrong = one.gateway.client.post("/v1/chat/completions", json={**asked, "top_k": "x"})

        body = one.near.bodies[0]
        assert (body["top_k"], body["reasoning_effort"]) == (7, "low")
        assert not {"user", "metadata"} & set(body)
        assert wrong.status_code == 400
        assert "`top_k` can't be passed on" in wrong.text


def test_prompt_is_completed_whole_and_in_pieces() -> None:
    with pair(SURE) as one:
        whole = one.client.completions.create(model="chat", prompt="say", max_tokens=5)
        pieces = list(one.client.completions.create(model="chat", prompt="say", stream=True))

        assert one.near.bodies[0]["messages"] == [{"role": "user", "content": "say"}]
        assert one.near.bodies[0]["max_tokens"] == 5
        assert whole.choices[0].text == "near is sure of it"
        assert "".join(x.choices[0].text for x in pieces) == whole.choices[0].text


def test_first_pieces_arrive_while_the_model_still_works() -> None:
    with pair(Saying(hold_after=4)) as one:
        stream = one.client.chat.completions.create(
            model="chat",
            messages=ASK,
            stream=True,
            extra_headers={"x-edgewise-force-location": "edge"},
        )

        said = [next(stream).choices[0].delta.content for _ in range(3)]
        was_held = not one.near.let_go.is_set()
        one.near.let_go.set()

        assert said == ["", "Hello", ", "]
        assert was_held
        assert "".join(x.choices[0].delta.content or "" for x in stream) == "world!"


def test_client_that_leaves_a_stream_stops_the_model() -> None:
    with pair(Saying(hold_after=4)) as one:
        stream = one.client.chat.completions.create(model="chat", messages=ASK, stream=True)
        next(stream)
        one.near.held.wait(10)

        stream.close()

        assert one.near.client_left.wait(10)


def test_client_that_leaves_a_whole_answer_stops_the_model() -> None:
    with pair(Saying(hold_after=0)) as one:
        body = json.dumps({"model": "chat", "messages": ASK}).encode()
        place = urlsplit(one.gateway.url)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {place.netloc}\r\n"

        with socket.create_connection((place.hostname, place.port)) as client:
            client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            assert one.near.held.wait(10)

        assert one.near.client_left.wait(10)


def test_stream_that_breaks_off_is_told_in_its_last_event() -> None:
    with pair(Saying(break_after=4), FAR) as one:
        stream = one.client.chat.completions.create(model="chat", messages=ASK, stream=True)

        with pytest.raises(openai.APIError, match="broke off"):
            list(stream)

        assert one.decision.error == "AnswerBrokenOff"


@pytest.mark.parametrize("streams", [True, False])
def test_models_that_all_fail_are_a_status_and_no_stream(streams: bool) -> None:
    down = Saying(status=503)
    with pair(down, down) as one, pytest.raises(openai.InternalServerError) as failure:
        one.client.chat.completions.create(model="chat", messages=ASK, stream=streams)

    assert failure.value.status_code == 503


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(("told", "status"), [(400, 400), (422, 400), (413, 413)])
def test_what_the_last_model_refuses_is_the_callers_to_mend(
    told: int, status: int, streams: bool
) -> None:
    with (
        pair(Saying(status=401), Saying(status=told)) as one,
        pytest.raises(openai.APIStatusError, match="tier cloud refuses the request") as failure,
    ):
        one.client.chat.completions.create(model="chat", messages=ASK, stream=streams)

    assert failure.value.status_code == status
    assert "retry-after" not in failure.value.response.headers


@pytest.mark.parametrize("streams", [True, False])
def test_deadline_holds(streams: bool) -> None:
    with pair(Saying(hold_after=0), Saying(hold_after=0)) as one:
        with pytest.raises(openai.APIStatusError) as failure:
            one.client.chat.completions.create(
                model="chat",
                messages=ASK,
                stream=streams,
                extra_headers={"x-edgewise-deadline-ms": "300"},
            )

        assert failure.value.status_code == 504


@pytest.mark.parametrize("streams", [True, False])
def test_private_chat_stays_near(streams: bool) -> None:
    with pair(UNSURE) as one:
        ask: Any = {"model": "chat", "messages": ASK, "stream": streams}
        told = one.client.chat.completions.with_raw_response.create(
            **ask, extra_headers={"x-edgewise-privacy": "true"}
        )
        flagged = one.client.chat.completions.with_raw_response.create(
            **ask, extra_body={"privacy_flag": True}
        )

        assert told.headers["x-edgewise-location"] == "edge"
        assert flagged.headers["x-edgewise-location"] == "edge"
        assert not one.far.bodies
        with pytest.raises(openai.PermissionDeniedError):
            one.client.chat.completions.create(
                **ask,
                extra_headers={
                    "x-edgewise-privacy": "true",
                    "x-edgewise-force-location": "cloud",
                },
            )


def test_completion_can_not_come_late() -> None:
    with pair(SURE) as one, pytest.raises(openai.BadRequestError, match="can't come late") as wrong:
        one.client.chat.completions.create(
            model="chat", messages=ASK, extra_headers={"x-edgewise-allow-late": "true"}
        )

    assert "ask /predict" in wrong.value.message


def test_streams_keep_their_place_only_while_they_last() -> None:
    with pair(SURE) as one:
        list(one.client.chat.completions.create(model="chat", messages=ASK, stream=True))
        one.client.chat.completions.create(model="chat", messages=ASK)

        assert one.gateway.gateway.admission.in_flight == 0


def test_streams_of_a_canary_count_for_its_test() -> None:
    with pair([SURE, SURE, Saying(break_after=4)]) as one:
        staged = replace(policy_of(one.near, one.far), deadline_ms=9_000.0)

        async def open_engine(policy: Policy) -> HybridInferenceEngine:
            return HybridInferenceEngine(policy=policy)

        async def try_on() -> Rollout:
            gateway = one.gateway.gateway
            rollout = Rollout(
                gateway.engine,
                swap=gateway.engine.swap_policy,
                open_engine=open_engine,
                rng=random.Random(1),
                events=gateway.events,
            )
            gateway.roll_out(rollout)
            rollout.stage(staged)
            await rollout.try_on(1.0)
            return rollout

        ask: Any = {"model": "chat", "messages": ASK, "stream": True}
        rollout = one.gateway.call(try_on())
        stream = one.client.chat.completions.with_raw_response.create(**ask)
        versions = [stream.headers["x-edgewise-policy"]]
        list(stream.parse())
        list(one.client.chat.completions.create(**ask))
        with pytest.raises(openai.APIError, match="broke off"):
            list(one.client.chat.completions.create(**ask))

        assert versions == [digest(staged)[:16]]
        assert rollout.test.canary == [3, 1]
        one.gateway.call(rollout.stop())
