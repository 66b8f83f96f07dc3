"""The gateway asked by the clients that people have: OpenAI's, curl, and this project's own."""

import asyncio
import hashlib
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest
from gateways import Running, running

from edgewise.errors import RemoteError
from edgewise.gateway.embedding import EmbeddingTier
from edgewise.gateway.settings import CallerRules, Limits, Settings
from edgewise.gateway.upstream import FastLane
from edgewise.records import (
    Input,
    Policy,
    Prediction,
    PrivacyRules,
    Protocol,
    TierKind,
    TierPolicy,
)
from edgewise.route import HybridInferenceEngine
from edgewise.runtimes import ChatWire, LocalModel, RemoteModel, open_bundle
from edgewise.testing.models import tiny_text_bundle

pytestmark = pytest.mark.integration


class Far:
    """A far tier that is sure of itself."""

    remote = False
    ready = True

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        del timeout_ms, request_id
        sure = "positive" if "good" in str(one.get("text")) else "negative"
        return Prediction(sure, 0.99, (0.99, 0.01) if sure == "negative" else (0.01, 0.99))

    async def probe(self, timeout_ms: float) -> None: ...

    async def aclose(self) -> None: ...


POLICY = Policy(
    task="text-classification",
    labels=("negative", "positive"),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.5),
        TierPolicy(name="cloud", kind=TierKind.CLOUD, usd_per_request=0.002),
    ),
    privacy=PrivacyRules(detect=("email",), residency={"eu": ("edge",)}),
)


@pytest.fixture(scope="module")
def one() -> Iterator[Running]:
    def make(log: Any) -> HybridInferenceEngine:
        tiers = {"edge": Far(), "cloud": Far()}
        return HybridInferenceEngine(policy=POLICY, tiers=tiers, decision_log=log)

    with running(make, settings=Settings(limits=Limits(batch=8))) as made:
        yield made


@pytest.fixture(scope="module")
def client(one: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{one.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": text}], **more}


def test_openais_client_lists_models_and_reads_a_label(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**chat("good", logprobs=True))
    models = client.models.list()

    assert [model.id for model in models] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "edgewise"
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("positive", "stop")
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert choice.logprobs.content[0].logprob == pytest.approx(-0.01005, abs=1e-4)
    assert answer.usage is not None
    assert answer.usage.total_tokens == 2


def test_openais_client_reads_a_stream_to_its_end(client: openai.OpenAI) -> None:
    options = {"include_usage": True}
    stream = client.chat.completions.create(**chat("bad", stream=True, stream_options=options))

    chunks = list(stream)

    text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    assert text == "negative"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == 1


def test_openais_client_completes_a_text_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="tiny", prompt="good", logprobs=1)
    parts = list(client.completions.create(model="tiny", prompt=["bad"], stream=True))

    assert whole.choices[0].text == "positive"
    assert "".join(part.choices[0].text for part in parts) == "negative"


def test_openais_client_gets_its_own_errors(client: openai.OpenAI) -> None:
    for wrong in (
        chat("x", n=2),
        chat("x") | {"messages": []},
        chat("x") | {"messages": "x"},
        {"model": "tiny", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
    ):
        with pytest.raises(openai.BadRequestError) as bad:
            client.chat.completions.create(**wrong)
        assert bad.value.type == "invalid_request_error"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**chat("x") | {"model": "gpt-9"})
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="tiny", input="x")
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="tiny", prompt=["a", "b"])


def test_a_wrong_method_is_told_in_the_protocols_words(one: Running) -> None:
    openais = one.client.get("/v1/chat/completions")
    plain = one.client.get("/predict")

    assert openais.json()["error"]["message"] == "another method is needed"
    assert plain.json() == {"error": "another method is needed"}
    assert [answer.headers["allow"] for answer in (openais, plain)] == ["POST", "POST"]


def test_a_message_may_come_in_parts(client: openai.OpenAI) -> None:
    parts: Any = [{"type": "text", "text": "a good"}, {"type": "text", "text": "day"}]

    answer = client.chat.completions.create(
        model="default", messages=[{"role": "user", "content": parts}]
    )

    assert answer.choices[0].message.content == "positive"


@pytest.mark.parametrize("mark", [{"privacy_flag": True}, {"region": "eu"}])
def test_what_openais_client_marks_private_stays_near(
    client: openai.OpenAI, mark: dict[str, Any]
) -> None:
    far = {"x-edgewise-force-location": "cloud"}

    with pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(**chat("good"), extra_body=mark, extra_headers=far)
    with pytest.raises(openai.PermissionDeniedError):
        client.completions.create(
            model="tiny", prompt="good", extra_body=mark, extra_headers=far, stream=True
        )


def test_a_plain_client_sees_where_its_answer_came_from(one: Running) -> None:
    near = one.client.post("/predict", json={"text": "good"})
    far = one.client.post(
        "/predict", json={"text": "good"}, headers={"x-edgewise-force-location": "cloud"}
    )

    assert near.headers["x-edgewise-location"] == "edge"
    assert near.headers["x-edgewise-reasons"] == "nearest_first,confident"
    assert near.headers["x-edgewise-cost-usd"] == "0"
    assert far.headers["x-edgewise-location"] == "cloud"
    assert far.headers["x-edgewise-cost-usd"] == "0.002"
    assert len(near.headers["x-edgewise-request-id"]) == 32
    assert near.headers["x-edgewise-policy"] == one.gateway.engine.policy_version[:16]


@pytest.mark.parametrize("guard", [{"x-edgewise-privacy": "true"}, {"x-edgewise-region": "eu"}])
def test_a_header_keeps_a_request_near_and_none_lets_it_go(
    one: Running, guard: dict[str, str]
) -> None:
    forced = {"x-edgewise-force-location": "cloud", **guard}

    refused = one.client.post("/predict", json={"text": "good"}, headers=forced)
    widened = one.client.post(
        "/predict",
        json={"text": "good", "privacy_flag": True, "region": "eu"},
        headers={"x-edgewise-force-location": "cloud", "x-edgewise-privacy": "false"},
    )

    assert (refused.status_code, widened.status_code) == (403, 403)
    assert refused.headers["x-edgewise-error"] == "PrivacyViolation"


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({"x-edgewise-privacy": "perhaps"}, {"text": "a"}, "neither true nor false"),
        ({"x-edgewise-deadline-ms": "soon"}, {"text": "a"}, "is no time"),
        ({"x-edgewise-deadline-ms": "-1"}, {"text": "a"}, "is no time"),
        ({"x-edgewise-force-location": "moon"}, {"text": "a"}, "no tier is called `moon`"),
        ({"x-edgewise-region": "eu"}, {"text": "a", "region": "us"}, "differ"),
        ({}, {"inputs": [{"text": "a"}] * 9}, "9 inputs"),
        ({}, {"inputs": []}, "0 inputs"),
    ],
)
def test_what_a_header_or_a_batch_can_not_ask_is_400(
    one: Running, headers: dict[str, str], body: dict[str, Any], said: str
) -> None:
    answer = one.client.post("/predict", json=body, headers=headers)

    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert answer.json()["hint"]


def test_a_batch_is_answered_in_order_and_counted_together(one: Running) -> None:
    texts = ["good", "bad", "good"]

    answer = one.client.post(
        "/predict",
        json={"inputs": [{"text": text} for text in texts]},
        headers={"x-edgewise-force-location": "cloud"},
    )

    labels = [row["label"] for row in answer.json()["predictions"]]
    assert labels == ["positive", "negative", "positive"]
    assert answer.headers["x-edgewise-cost-usd"] == "0.006"


def test_metrics_and_the_latest_decisions_hold_no_payload(one: Running) -> None:
    one.client.post("/predict", json={"text": "good secret-word"})

    text = one.client.get("/metrics").text
    exemplars = one.client.get("/metrics", headers={"accept": "application/openmetrics-text"}).text

    assert 'edgewise_requests_total{route="predict",status="200"}' in text
    assert 'edgewise_decisions_total{location="edge"}' in text
    assert "# {request_id=" in exemplars
    latest = repr(list(one.gateway.decisions.latest))
    assert "secret-word" not in text + exemplars + latest


def test_curl_is_answered(one: Running) -> None:
    command = ["curl", "-sS", "--fail", "--json", '{"text":"good"}', f"{one.url}/predict"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)

    assert json.loads(done.stdout)["label"] == "positive"


def test_what_clients_of_triton_ask_for_is_there(one: Running) -> None:
    index = one.client.post("/v2/repository/index", json={}).json()
    config = one.client.get("/v2/models/tiny/config").json()
    stats = one.client.get("/v2/models/tiny/versions/1/stats").json()

    assert index == [{"name": "tiny", "version": "1", "state": "READY", "reason": ""}]
    assert config["input"] == [{"name": "text", "data_type": "TYPE_STRING", "dims": [-1]}]
    assert stats["model_stats"][0]["name"] == "tiny"
    squeezed = one.client.post(
        "/v2/models/tiny/infer", content=b"{}", headers={"content-encoding": "gzip"}
    )
    assert squeezed.status_code == 415
    cut = one.client.post(
        "/v2/models/tiny/infer",
        content=b"{}",
        headers={"inference-header-content-length": "9"},
    )
    assert cut.status_code == 400
    (counted,) = one.client.get("/v2/models/tiny/stats").json()["model_stats"]
    assert counted["inference_stats"]["fail"]["count"] >= 2
    assert counted["inference_count"] == counted["inference_stats"]["success"]["count"]


def test_keys_rates_and_budgets_belong_to_a_caller() -> None:
    digest = hashlib.sha256(b"k").hexdigest()
    caller = CallerRules(name="web", key_sha256=digest, requests_per_s=0.001, burst=1.0)

    def make(log: Any) -> HybridInferenceEngine:
        return HybridInferenceEngine(policy=POLICY, tiers={"edge": Far()}, decision_log=log)

    with running(make, settings=Settings(callers=(caller,))) as made:
        unknown = made.client.post("/predict", json={"text": "good"})
        key = {"authorization": "Bearer k"}
        known = made.client.post("/predict", json={"text": "good"}, headers=key)
        again = made.client.post("/predict", json={"text": "good"}, headers=key)
        alive = made.client.get("/healthz")
        hidden = made.client.get("/metrics")
        kept = made.gateway.decisions.latest[-1]

    statuses = [one.status_code for one in (unknown, known, again, alive, hidden)]
    assert statuses == [401, 200, 429, 200, 401]
    assert int(again.headers["retry-after"]) > 900
    assert kept.facts.caller == "web"


def test_a_bundle_that_embeds_answers_embeddings(tmp_path: Path) -> None:
    opened: list[LocalModel] = []

    def make(log: Any) -> HybridInferenceEngine:
        opened.append(open_bundle(tiny_text_bundle(tmp_path / "tiny")))
        tier = EmbeddingTier(opened[0])
        made.append(tier)
        policy = Policy(task="feature-extraction", labels=(), tiers=tier.policy().tiers)
        return HybridInferenceEngine(policy=policy, tiers={"edge": tier}, decision_log=log)

    made: list[EmbeddingTier] = []

    class Late:
        async def embed(self, inputs: Any, asked: Any) -> Any:
            return await made[0].embed(inputs, asked)

    few = Settings(limits=Limits(batch=2))
    with running(make, embeds=Late(), settings=few) as one:
        with openai.OpenAI(base_url=f"{one.url}/v1", api_key="none", max_retries=0) as client:
            floats = client.embeddings.create(model="tiny", input=["good", "bad"])
            packed = client.embeddings.create(model="tiny", input="good", encoding_format="float")
            unsaid = {"model": "tiny", "input": "good", "encoding_format": None, "dimensions": 2}
            nulls: Any = client.post("/embeddings", body=unsaid, cast_to=object)
            wrongs: list[dict[str, Any]] = [
                {"input": []},
                {"input": "x", "encoding_format": "i"},
                {"input": ["x"] * 3},
                {"input": "x", "dimensions": 1},
            ]
            for wrong in wrongs:
                with pytest.raises(openai.BadRequestError):
                    client.post("/embeddings", body={"model": "tiny", **wrong}, cast_to=object)
            with pytest.raises(openai.NotFoundError):
                client.embeddings.create(model="gpt-9", input="x")
        labels = one.client.post("/predict", json={"text": "good"})
        told = [
            one.client.post("/v1/embeddings", json={"input": "good"}, headers=headers)
            for headers in (
                {"x-edgewise-force-location": "edge", "x-edgewise-deadline-ms": "60000"},
                {"x-edgewise-force-location": "cloud"},
                {"x-edgewise-allow-late": "true"},
                {"x-edgewise-deadline-ms": "0.001"},
            )
        ]

    assert [answer.status_code for answer in told] == [200, 400, 400, 504]
    assert "no vectors within 0 ms" in told[3].json()["error"]["message"]
    assert [row.embedding for row in floats.data] == [[0.0, 1.0], [1.0, 0.0]]
    assert packed.data[0].embedding == nulls["data"][0]["embedding"] == [0.0, 1.0]
    assert floats.usage.prompt_tokens == 6
    assert labels.status_code == 400


@pytest.mark.parametrize("protocol", list(Protocol))
async def test_a_gateway_is_a_tier_of_another_over_the_fast_lane(
    one: Running, protocol: Protocol
) -> None:
    remote = RemoteModel(
        one.url,
        protocol=protocol,
        labels=POLICY.labels,
        lane=FastLane,
    )
    try:
        await remote.aprobe(2000)
        answers = [await remote.apredict({"text": text}) for text in ("good", "bad")]
    finally:
        await remote.aclose()

    assert [answer.label for answer in answers] == ["positive", "negative"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "the connection broke"),
        (b"SSH-2.0-x\r\n", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", "the connection broke"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n",
            "compressed",
        ),
        (b"HTTP/1.1 503 No\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n", "HTTP 503"),
        (
            b"HTTP/1.1 503 No\r\nretry-after: 1 Jan 2026 00:00:00 +"
            + b"9" * 20
            + b"\r\ncontent-length: 0\r\n\r\n",
            "HTTP 503",
        ),
        (b"HTTP/1.1 302 Go\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", "HTTP 302"),
    ],
)
async def test_an_endpoint_that_misbehaves_is_told_by_the_fast_lane_too(
    sent: bytes, said: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        remote = RemoteModel(f"http://127.0.0.1:{port}", lane=FastLane)
        with pytest.raises(RemoteError) as caught:
            await remote.apredict({"text": "x"})
        await remote.aclose()

    assert said in caught.value.what
    assert caught.value.retry_after_s == (7.0 if b"after: 7" in sent else None)


EVENT = b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\n'
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "the connection broke"),
        (b"SSH-2.0-x\r\n", "the connection broke"),
        (EVENTS + b"x: " + b"y" * 70_000 + b"\r\n\r\n", "the connection broke"),
        (EVENTS + b"content-length: 99\r\n\r\n" + EVENT, "the connection broke"),
        (EVENTS + b"\r\n" + EVENT, "the stream ended before its answer"),
        (b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno", "HTTP 503"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + EVENTS + b"\r\n" + EVENT + b"data: [DONE]\n\n", ""),
        (EVENTS + b"\r\n" + EVENT * 40_000 + b"data: [DONE]\n\n", ""),
    ],
)
async def test_a_stream_that_misbehaves_is_told_by_the_fast_lane_too(
    sent: bytes, said: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        remote = RemoteModel(f"http://127.0.0.1:{port}", wire=ChatWire(), lane=FastLane)
        told, text = "", ""
        try:
            async for piece in remote.astream({"prompt": "x"}):
                text += piece.text
        except RemoteError as failure:
            told = failure.what
        await remote.aclose()

    assert said in told
    assert bool(told) is bool(said)
    assert text == "hi" * sent.count(EVENT)


async def test_a_closed_port_can_not_be_reached_by_the_fast_lane() -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        remote = RemoteModel(f"http://127.0.0.1:{free.getsockname()[1]}", lane=FastLane)
        with pytest.raises(RemoteError) as caught:
            await remote.apredict({"text": "x"})
        await remote.aclose()

    assert caught.value.what.startswith("can't be reached")
