"""Traces: a span for each request, and below it one for each call of a tier.

The door to OpenTelemetry. Calls are told when their request has ended, from the decision: those
that were raced follow each other here. Spans hold no payload.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from edgewise.gateway.app import Gateway
from edgewise.gateway.messages import Request, Response
from edgewise.gateway.settings import Traces
from edgewise.records import Attempt, Decision, Outcome

Handle = Callable[[Request], Awaitable[Response]]

_NS = 1_000_000_000
_READ = TraceContextTextMapPropagator()


def open_tracing(gateway: Gateway, rules: Traces, stack: ExitStack) -> Handle:
    """Trace a gateway as its settings say; the stack sends what is left when it closes."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - slow
        OTLPSpanExporter,
    )

    provider = new_provider(rules.share)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=rules.endpoint)))
    stack.callback(provider.shutdown)
    return Tracing(gateway, provider).handle


def new_provider(share: float) -> TracerProvider:
    """Give what makes spans of a share of the requests; a caller that traces decides itself."""
    return TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(share)),
        resource=Resource.create({"service.name": "edgewise-gateway"}),
        shutdown_on_exit=False,
    )


class Tracing:
    """Answers as the gateway does, and traces it."""

    def __init__(self, gateway: Gateway, provider: TracerProvider) -> None:
        self._handle, self._route_of = gateway.handle, gateway.route_of
        self._tracer = provider.get_tracer("edgewise.gateway")
        gateway.decisions.watchers.append(self.see)

    async def handle(self, request: Request) -> Response:
        """Answer a request within its span."""
        parent = _READ.extract(request.headers, context=context.Context())
        span = self._tracer.start_span(
            request.method,
            context=parent,
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": request.method, "url.path": request.path},
        )
        # Not taken off again: a stream ends in this task, and the next request sets its own.
        context.attach(trace.set_span_in_context(span, parent))
        try:
            response = await self._handle(request)
            span.set_attribute("http.response.status_code", response.status)
            route = self._route_of(request.path)
            if route:
                span.set_attribute("http.route", route)
                span.update_name(f"{request.method} {route}")
            if response.status >= 500:
                span.set_attribute("error.type", str(response.status))
                span.set_status(trace.StatusCode.ERROR)
        except BaseException:
            span.end()
            raise
        if response.parts is None:
            span.end()
        else:  # its decision is made when it ends
            response.parts = _Streamed(response.parts, span)
        return response

    def see(self, decision: Decision) -> None:
        """Tell a request's decision, and the calls behind it."""
        span = trace.get_current_span()
        if not span.get_span_context().is_valid:
            return
        span.set_attributes(
            {
                "edgewise.request_id": decision.request_id,
                "edgewise.location": decision.location or "none",
                "edgewise.reasons": [reason.value for reason in decision.reasons],
                "edgewise.policy_version": decision.policy_version,
                "edgewise.cost_usd": decision.cost_usd,
            }
        )
        at_ns = int((decision.at_s - decision.latency_ms / 1000) * _NS)
        for attempt in decision.attempts:
            end_ns = at_ns + int(attempt.latency_ms / 1000 * _NS)
            self._call(attempt, at_ns, end_ns)
            at_ns = end_ns

    def _call(self, attempt: Attempt, start_ns: int, end_ns: int) -> None:
        told: dict[str, Any] = {
            "edgewise.tier": attempt.tier,
            "edgewise.outcome": attempt.outcome.value,
            "edgewise.cost_usd": attempt.cost_usd,
        }
        name = f"ask {attempt.tier}"
        if attempt.confidence is not None:
            told["edgewise.confidence"] = attempt.confidence
        if attempt.usage is not None:
            name = f"chat {attempt.tier}"
            told["gen_ai.operation.name"] = "chat"
            told["gen_ai.provider.name"] = "edgewise"
            told["gen_ai.usage.input_tokens"] = attempt.usage.input_tokens
            told["gen_ai.usage.output_tokens"] = attempt.usage.output_tokens
        span = self._tracer.start_span(
            name, kind=trace.SpanKind.CLIENT, attributes=told, start_time=start_ns
        )
        if attempt.outcome in (Outcome.FAILED, Outcome.TIMED_OUT):
            span.set_attribute("error.type", attempt.error or attempt.outcome.value)
            span.set_status(trace.StatusCode.ERROR)
        span.end(end_ns)


class _Streamed:
    """A stream whose span ends with it."""

    def __init__(self, parts: AsyncIterator[bytes], span: trace.Span) -> None:
        self._parts, self._span = parts, span

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._parts.__anext__()

    async def aclose(self) -> None:
        """End the stream, and its span; a second call does nothing."""
        try:
            closing = getattr(self._parts, "aclose", None)
            if closing is not None:
                await closing()
        finally:
            if self._span.is_recording():
                self._span.end()
