"""Spans of requests and of the calls behind them, by the SDK's own exporter in memory."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from edgewise.errors import RemoteError
from edgewise.gateway import Settings
from edgewise.gateway.app import Gateway
from edgewise.gateway.counting import Counting, Decisions
from edgewise.gateway.messages import Request
from edgewise.gateway.server import _handle
from edgewise.gateway.settings import Traces
from edgewise.gateway.tracing import Tracing, new_provider
from edgewise.records import (
    Generation,
    Input,
    OfflineRules,
    Policy,
    Prediction,
    TierKind,
    TierPolicy,
    TokenUsage,
)
from edgewise.route import HybridInferenceEngine

SECRET = "hunter2-of-the-payload"
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Tier:
    """A tier that answers, or fails."""

    ready = True

    def __init__(self, answer: Prediction | None, *, remote: bool, fails: int = 0) -> None:
        self._answer, self.remote, self._fails = answer, remote, fails

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        del one, timeout_ms, request_id
        self._fails -= 1
        if self._answer is None or self._fails >= 0:
            raise RemoteError("answered HTTP 404", status=404)
        return self._answer

    async def probe(self, timeout_ms: float) -> None: ...

    async def aclose(self) -> None: ...


YES = Prediction("yes", 0.5, (0.5, 0.5))


@contextmanager
def traced(
    far: Prediction | None,
    *,
    share: float = 1.0,
    task: str = "text-classification",
    offline: OfflineRules | None = None,
) -> Iterator[tuple[Any, InMemorySpanExporter]]:
    """Trace a gateway whose near tier is never sure."""
    policy = Policy(
        task=task,
        labels=("no", "yes") if task == "text-classification" else (),
        tiers=(
            TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.9),
            TierPolicy(
                name="cloud", kind=TierKind.CLOUD, usd_per_request=0.01, endpoint="http://a"
            ),
        ),
        offline=offline,
    )
    decisions = Decisions(Counting(), None)
    near = None if task == "text-generation" else YES
    cloud = Tier(far, remote=True, fails=0 if offline is None else 1)
    engine = HybridInferenceEngine(
        policy=policy,
        tiers={"edge": Tier(near, remote=False), "cloud": cloud},
        decision_log=decisions,
    )
    gateway = Gateway(engine, name="tiny", settings=Settings(), decisions=decisions)
    kept, provider = InMemorySpanExporter(), new_provider(share)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    yield Tracing(gateway, provider).handle, kept


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def asks(path: str = "/predict", **headers: str) -> Request:
    body = msgspec.json.encode({"text": SECRET})
    return Request(method="POST", path=path, headers={"host": "localhost", **headers}, body=body)


async def test_a_request_is_a_span_with_its_calls_below() -> None:
    with traced(Prediction("yes", 0.9, (0.1, 0.9))) as (handle, kept):
        await handle(asks())
    edge, cloud, request = kept.get_finished_spans()

    assert [one.name for one in (request, edge, cloud)] == [
        "POST /predict",
        "ask edge",
        "ask cloud",
    ]
    assert request.kind is SpanKind.SERVER
    assert told(request)["http.response.status_code"] == 200
    assert told(request)["edgewise.location"] == "cloud_fallback"
    assert "low_confidence" in told(request)["edgewise.reasons"]
    for one in (edge, cloud):
        assert one.parent is not None
        assert request.context is not None
        assert one.parent.span_id == request.context.span_id
        assert one.kind is SpanKind.CLIENT
    assert (edge.end_time or 0) <= (cloud.start_time or 0)
    assert SECRET not in "".join(one.to_json() for one in kept.get_finished_spans())


async def test_what_fails_is_an_error_by_its_class() -> None:
    with traced(None) as (handle, kept):
        await handle(asks(**{"x-edgewise-force-location": "cloud"}))
    cloud, request = kept.get_finished_spans()

    assert told(cloud)["error.type"] == "RemoteError"
    assert cloud.status.status_code is StatusCode.ERROR
    assert request.status.status_code is StatusCode.ERROR
    assert told(request)["error.type"].startswith("5")


async def test_tokens_are_told_by_the_conventions_of_generative_models() -> None:
    usage = TokenUsage(input_tokens=7, output_tokens=3)
    said = Generation(text="Hi", finish_reason="stop", usage=usage)
    answer = Prediction("Hi", 0.9, (), generation=said)
    with traced(answer, task="text-generation") as (handle, kept):
        await handle(asks(**{"x-edgewise-force-location": "cloud"}))

    cloud = kept.get_finished_spans()[0]
    assert cloud.name == "chat cloud"
    assert told(cloud)["gen_ai.operation.name"] == "chat"
    assert told(cloud)["gen_ai.usage.input_tokens"] == 7
    assert told(cloud)["gen_ai.usage.output_tokens"] == 3


async def test_a_streams_span_lasts_until_its_end_and_tells_of_its_decision() -> None:
    usage = TokenUsage(input_tokens=7, output_tokens=3)
    answer = Prediction("hi", 0.9, (), generation=Generation(text="hi", usage=usage))
    request = asks("/v1/chat/completions", **{"x-edgewise-force-location": "cloud"})
    request.body = msgspec.json.encode(
        {"messages": [{"role": "user", "content": SECRET}], "stream": True}
    )
    with traced(answer, task="text-generation") as (handle, kept):
        response = await handle(request)
        early = kept.get_finished_spans()
        sent = b"".join([part async for part in response.parts])
        await response.parts.aclose()
        await response.parts.aclose()
    cloud, whole = kept.get_finished_spans()

    assert b'"content":"hi"' in sent
    assert early == ()
    assert told(whole)["edgewise.location"] == "cloud"
    assert whole.name == "POST /v1/chat/completions"
    assert told(cloud)["gen_ai.usage.output_tokens"] == 3


async def test_a_callers_trace_goes_on_and_decides_for_itself() -> None:
    with traced(YES, share=0.0) as (handle, kept):
        await handle(asks())
        assert kept.get_finished_spans() == ()
        await handle(asks(traceparent=f"00-{TRACE}-b7ad6b7169203331-01"))

    assert {f"{one.context.trace_id:x}" for one in kept.get_finished_spans()} == {TRACE.lstrip("0")}


async def test_what_was_stored_is_sent_outside_of_the_trace_of_a_request(tmp_path: Path) -> None:
    rules = OfflineRules(path=str(tmp_path / "queue"))
    with traced(Prediction("yes", 0.9, (0.1, 0.9)), offline=rules) as (handle, kept):
        gateway = handle.__self__._handle.__self__
        async with gateway.engine:
            response = await handle(asks(**{"x-edgewise-allow-late": "true"}))
            while not gateway.decisions.latest:
                await asyncio.sleep(0.01)
    (span,) = kept.get_finished_spans()

    assert response.status == 202
    assert gateway.decisions.latest[0].location == "cloud"
    assert (span.name, "edgewise.location" in told(span)) == ("POST /predict", False)


async def test_a_path_that_is_not_there_gives_no_name_to_its_span() -> None:
    with traced(YES) as (handle, kept):
        await handle(asks("/no/such/path"))

    assert kept.get_finished_spans()[0].name == "POST"


async def test_a_path_with_an_id_has_the_name_of_its_kind() -> None:
    with traced(YES) as (handle, kept):
        await handle(Request(method="GET", path="/late/abc", headers={"host": "localhost"}))

    (span,) = kept.get_finished_spans()
    assert span.name == "GET /late/{id}"
    assert told(span)["http.route"] == "/late/{id}"
    assert told(span)["url.path"] == "/late/abc"


def test_nothing_is_traced_unless_the_settings_say_so() -> None:
    with traced(YES) as (handle, _):
        gateway = handle.__self__._handle.__self__
    with ExitStack() as stack:
        assert _handle(gateway, Settings(), stack) == gateway.handle
        wanted = Settings(traces=Traces(endpoint="http://127.0.0.1:9/v1/traces", share=0.0))
        assert _handle(gateway, wanted, stack) != gateway.handle


@pytest.mark.parametrize(
    ("given", "what"),
    [({"endpoint": "ftp://a"}, "http or https"), ({"endpoint": "http://a", "share": 2}, "0 to 1")],
)
def test_settings_of_traces_are_checked(given: dict[str, Any], what: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=what):
        msgspec.convert(given, Traces)
