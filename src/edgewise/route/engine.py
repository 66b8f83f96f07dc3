"""The engine: one policy in service, and what each request is given and leaves behind."""

import asyncio
import contextlib
import random  # noqa: TID251 - only the type of the rng that is handed in
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from edgewise.errors import UsageError
from edgewise.records import (
    Action,
    AuditState,
    DeviceState,
    Input,
    Policy,
    Task,
    TextChunk,
)
from edgewise.records import Protocol as RemoteProtocol
from edgewise.route.allowance import Allowance
from edgewise.route.answering import LateAnswering
from edgewise.route.auditing import Auditor, audit_with
from edgewise.route.breaker import CircuitState
from edgewise.route.carrying import Carrier
from edgewise.route.clock import Clock, SystemClock
from edgewise.route.conditions import Conditions
from edgewise.route.device import read_device
from edgewise.route.facts import Asked, as_asked, facts_of
from edgewise.route.judging import Judge
from edgewise.route.looking import Outlook
from edgewise.route.many import in_order
from edgewise.route.opening import Setup
from edgewise.route.own_loop import OwnLoop, refuse_loop
from edgewise.route.probing import Prober
from edgewise.route.result import InferenceResult
from edgewise.route.running import Run
from edgewise.route.serving import Serving, closed_on_failure, serve_first, serve_next
from edgewise.route.storing import QUEUED, Store
from edgewise.route.streaming import AnswerStream, Streamer
from edgewise.route.telling import DecisionSink, decision_of, result_of, told
from edgewise.route.tiers import LocalTier, TierModel
from edgewise.route.watching import InputWatch, Watching
from edgewise.runtimes import Lane, LocalModel


class HybridInferenceEngine:
    """Answers each request where the policy says, and falls back in either direction.

    Made by the application, closed by it (`async with`, `with`, `aclose`, `close`). One engine
    serves any number of concurrent calls of one event loop.

    Parameters
    ----------
    edge_model_path
        A bundle's directory, or an `.onnx` file with its labels. By default `bundle` beside the
        policy's file.
    cloud_endpoint
        URL of the cloud; with a policy, it replaces that of its farthest tier.
    edge_threshold_ms
        An edge whose expected p95 for an input exceeds it is not the first choice. A text model
        without a profile is measured when the engine is made.
    confidence_threshold
        Keep the edge's answer from this confidence on, 0.85 by default. Not with a policy.
    policy
        What `edgewise run` made: `policy.json`, or the record.
    cloud_protocol
        `json`, `oip` or `openai`; a policy says its own.
    labels
        Of an `.onnx` file, or of the cloud where there is no edge.
    edge_threads
        Of the edge's model; by default those that a bundle's manifest names.
    decision_log
        Gets one `Decision` for each request that passed the check of its input.
    deadline_ms
        For requests that bring none.
    tiers
        Models by tier name, for tiers that the application makes itself; with a `Policy`, and
        instead of what bundle and endpoints give.
    wait_for_edge
        `False` opens the bundle in the background, waiting for it to be there; until then other
        tiers answer where privacy allows, and results say `not_loaded`.
    read_device
        Gives the device's state, for the policy's rules over it.
    rng
        For the jitter of waits before retries.
    lane
        Gives what carries calls to a remote tier's URL; by default `httpx2` does.
    local
        Gives the tier of an opened bundle.
    auditor
        Watches the certificate where the policy has `audit` rules; its maker closes it, after the
        engine. Such as `edgewise.observe.Auditor`.
    judge
        Tells the auditor how good answers are, so that texts can be audited: see `route.Judge`.
    drift
        Watches inputs by the policy's `drift` rules. Such as `edgewise.observe.DriftWatch`.

    Notes
    -----
    A remote attempt costs its tier's price unless it is certain that no work was done for it.
    """

    def __init__(  # noqa: PLR0913 - the public contract: each argument is a user's word
        self,
        edge_model_path: str | Path | None = None,
        cloud_endpoint: str | None = None,
        edge_threshold_ms: float | None = None,
        confidence_threshold: float | None = None,
        *,
        policy: Policy | str | Path | None = None,
        cloud_protocol: RemoteProtocol | str = "json",
        cloud_api_key: str | None = None,
        labels: Sequence[str] = (),
        decision_log: DecisionSink | None = None,
        edge_threads: int | None = None,
        deadline_ms: float | None = None,
        clock: Clock | None = None,
        tiers: Mapping[str, TierModel] | None = None,
        wait_for_edge: bool = True,
        read_device: Callable[[], DeviceState] = read_device,
        rng: random.Random | None = None,
        lane: Callable[[str], Lane] | None = None,
        local: Callable[[str, LocalModel], LocalTier] = LocalTier,
        auditor: Auditor | None = None,
        judge: Judge | None = None,
        drift: InputWatch | None = None,
    ) -> None:
        self._clock = SystemClock() if clock is None else clock
        self._setup = Setup(
            edge_model_path=edge_model_path,
            cloud_endpoint=cloud_endpoint,
            edge_threshold_ms=edge_threshold_ms,
            confidence_threshold=confidence_threshold,
            policy=policy,
            cloud_protocol=cloud_protocol,
            cloud_api_key=cloud_api_key,
            labels=labels,
            edge_threads=edge_threads,
            deadline_ms=deadline_ms,
            wait_for_edge=wait_for_edge,
            lane=lane,
            local=local,
        )
        self._serving = serve_first(self._setup, self._clock, tiers)
        hedges = Allowance(share=0.0)  # a policy in service says how many
        rng = random.Random() if rng is None else rng
        stores = self.policy.offline is not None
        self._conditions = Conditions(self._clock, hedges, read_device, queue_open=stores)
        self._carrier = Carrier(self._clock, rng, hedges, self._conditions.system)
        self._streamer = Streamer(self._clock, rng, self._conditions.system)
        self._prober = Prober(self._clock)
        with closed_on_failure(self._serving, own=tiers is None):
            self._audits = audit_with(auditor, judge, self._carrier, self._clock, self._leave)
            if self._audits is not None:
                self._audits.begin(self._serving)
            self._store = self._open_store()
        self._conditions.audits = self._audits
        self._conditions.serve(self.policy)
        self._inputs = Watching(drift, self._serving)
        self._log = decision_log
        self._own_loop = OwnLoop()
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()
        self._swapping = asyncio.Lock()

    @property
    def clock(self) -> Clock:
        """Give the clock that it was made with."""
        return self._clock

    @property
    def policy(self) -> Policy:
        """Give the policy in service."""
        return self._serving.policy

    @property
    def policy_version(self) -> str:
        """Give its version: the digest."""
        return self._serving.version

    @property
    def audit(self) -> AuditState | None:
        """Give what the audit knows of the certificate; `None` without an auditor."""
        return None if self._audits is None else self._audits.state

    def circuits(self) -> dict[str, CircuitState]:
        """Give the state of each tier's circuit."""
        now_s = self._clock.now_s()
        return {name: one.circuit(now_s) for name, one in self._serving.monitors.items()}

    def outlook(self) -> Outlook:
        """Give what decisions are made from at this moment, without making one."""
        system = self._conditions.system
        return Outlook(self._serving, self._clock, self._accept, self._leave, system)

    async def swap_policy(
        self,
        policy: Policy | str | Path,
        *,
        edge_model_path: str | Path | None = None,
        tiers: Mapping[str, TierModel] | None = None,
    ) -> str:
        """Put another policy in service without dropping a request; gives the version before.

        Requests under way end under the policy that they began with. The bundle is opened beside
        the old one, off the event loop, and checked before anything changes: when that fails, the
        old policy goes on.

        Raises
        ------
        EdgewiseError
            What is wrong with the policy or its bundle.
        """
        path = self._setup.edge_model_path if edge_model_path is None else edge_model_path
        if isinstance(policy, str | Path) and edge_model_path is None:
            path = None  # the bundle beside the policy's file
        setup = replace(self._setup, policy=policy, edge_model_path=path, confidence_threshold=None)
        async with self._swapping:
            return await self._exchange(setup, tiers)

    async def _exchange(self, setup: Setup, tiers: Mapping[str, TierModel] | None) -> str:
        if self._closed:
            raise UsageError("the engine is closed", where="swap_policy", hint="make another one")
        before, audits = self._serving, self._audits
        begin = None if audits is None else audits.begin
        self._serving = await serve_next(before, setup, tiers, begin, clock=self._clock)
        self._setup = setup
        self._inputs.begin(self._serving)
        self._conditions.serve(self.policy)
        self._watch(self._serving)
        if before.in_flight == 0:
            await before.aclose(keep=self._serving)
        return before.version

    async def predict(
        self,
        one: Input,
        force_location: str | None = None,
        deadline_ms: float | None = None,
        *,
        idempotent: bool = True,
        allow_late: bool = False,
        caller: str = "",
    ) -> InferenceResult:
        """Answer one input.

        Parameters
        ----------
        force_location
            Ask this tier alone: `edge`, `cloud` or a tier's name.
        deadline_ms
            Answer within this time, or say that it can't be done.
        idempotent
            `False` where two answers to one request would do harm: then nothing is retried,
            raced or stored.
        allow_late
            Where no tier can give a good answer now, store the request: the result's location is
            `queued`, and `late_answer` gives the answer once it is there. Needs a policy with
            `offline` rules.
        caller
            Whose budget pays, where the policy has one.

        Raises
        ------
        PrivacyViolation
            When `force_location` is outside the tiers that may see the request, or the request
            holds personal data for which the policy says `refuse`.
        DeadlineExceeded, TierUnavailable
            When no allowed tier answered, in time or at all.
        InvalidData, UsageError
            When the input or the call is wrong.
        """
        asked = Asked(
            force_location=force_location,
            deadline_ms=deadline_ms,
            idempotent=idempotent,
            allow_late=allow_late,
            caller=caller,
        )
        run = self._accept(one, asked)
        try:
            await self._carrier.carry(run)
            if (last := run.steps[-1]).tier is None and last.action is Action.QUEUE:
                await self._opened_store().keep(run)
                return told(run, self._clock.now_s())
            result = result_of(run, self._clock.now_s())
        except BaseException as failure:
            run.error = type(failure).__name__
            raise
        finally:
            self._leave(run.serving)  # first: a log may fail
            if run.location != QUEUED:  # its decision is logged when it has ended
                self._end(run)
        return result

    def stream(
        self,
        one: Input,
        force_location: str | None = None,
        deadline_ms: float | None = None,
        *,
        idempotent: bool = True,
        caller: str = "",
    ) -> AnswerStream:
        """Answer a chat in pieces as they come: `async for piece in engine.stream(one)`.

        The policy's `stream` rules say when pieces are handed out that a farther tier could still
        replace. The iteration raises as `predict` does; what fails after a piece was handed out
        is `AnswerBrokenOff`, or `DeadlineExceeded` where the answer is not whole in time.
        """
        asked = Asked(
            force_location=force_location,
            deadline_ms=deadline_ms,
            idempotent=idempotent,
            caller=caller,
        )
        return AnswerStream(lambda stream: self._pieces(one, asked, stream))

    async def _pieces(
        self, one: Input, asked: Asked, stream: AnswerStream
    ) -> AsyncGenerator[TextChunk, None]:
        if self.policy.task != Task.TEXT_GENERATION.value:
            hint = "ask `predict`, or give a policy whose task is text-generation"
            raise UsageError("only text comes in pieces", where="stream", hint=hint)
        run = self._accept(one, asked)
        stream.begin(lambda: result_of(run, self._clock.now_s()))
        try:
            async with contextlib.aclosing(self._streamer.carry(run)) as pieces:
                async for piece in pieces:
                    yield piece
            stream.end(result_of(run, self._clock.now_s()))
        except BaseException as failure:
            run.error = type(failure).__name__
            raise
        finally:
            self._leave(run.serving)
            self._end(run)

    def _accept(self, one: Input, asked: Asked) -> Run:
        """Check a request and count it; from here on it ends in one logged decision."""
        if self._closed:
            raise UsageError("the engine is closed", where="predict", hint="make another one")
        start_s = self._clock.now_s()
        serving = self._serving
        self._conditions.note(start_s)
        one = as_asked(serving.policy, one)
        facts = facts_of(serving.policy, one, serving.length, asked, serving.gain)
        run = Run(serving, facts, one, start_s)
        serving.in_flight += 1
        self._watch(serving)
        return run

    async def late_answer(
        self, request_id: str, *, caller: str | None = None
    ) -> Mapping[str, Any] | None:
        """Give the answer of a request that was queued, once; `None` while it waits.

        It holds what an `InferenceResult` holds as a mapping. After a restart, ids that have an
        answer are in `late_answers`. For a `caller` another's answer was never there.

        Raises
        ------
        TierUnavailable
            When it ended without an answer: expired, rejected or given up.
        UsageError
            When the policy has no offline rules, or no such request was stored.
        """
        self._watch(self._serving)
        return await self._opened_store().take(request_id, caller)

    def late_answers(self) -> list[str]:
        """Give the ids of queued requests whose answers nobody has taken, the oldest first."""
        return self._opened_store().answered()

    def predict_sync(
        self, one: Input, force_location: str | None = None, deadline_ms: float | None = None
    ) -> InferenceResult:
        """Answer one input, blocking; as `predict`, for programs without an event loop.

        Raises
        ------
        UsageError
            When an event loop runs in this thread.
        """
        refuse_loop("predict_sync", "await engine.predict(...) instead")
        return self._own_loop.run(self.predict(one, force_location, deadline_ms))

    async def predict_many(
        self,
        inputs: Sequence[Input],
        *,
        concurrency: int = 8,
        force_location: str | None = None,
        deadline_ms: float | None = None,
    ) -> list[InferenceResult]:
        """Answer inputs, several at a time, in their order.

        The first failure ends the rest and is raised.
        """
        return await in_order(
            lambda one: self.predict(one, force_location, deadline_ms), inputs, concurrency
        )

    async def aclose(self) -> None:
        """Close the tiers. The decision log is its maker's to close."""
        self._closed = True
        async with self._swapping:  # what one under way opens is closed with the rest
            await self._prober.aclose()
            if self._audits is not None:
                await self._audits.aclose()
            if self._store is not None:
                await self._store.aclose()
            self._conditions.close()
            await self._serving.aclose()
            await asyncio.gather(*self._closing, return_exceptions=True)
            await self._own_loop.aclose(self._serving.aclose_remote)

    def close(self) -> None:
        """Close the tiers, where no event loop runs."""
        refuse_loop("close", "await engine.aclose() instead")
        self._own_loop.run_last(self.aclose())

    async def __aenter__(self) -> Self:
        self._watch(self._serving)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self, serving: Serving) -> None:
        """Look after the tiers and what waits for them, on the running event loop."""
        self._prober.watch(serving)
        if self._store is not None:
            self._store.watch(serving)

    def _open_store(self) -> Store | None:
        rules = self.policy.offline
        if rules is None:
            return None
        late = LateAnswering(
            self._carrier, self._clock, lambda: self._serving, self._leave, self._end
        )
        return Store(rules, self._serving, self._clock, late.answer, late.log_unanswered)

    def _opened_store(self) -> Store:
        if self._store is None:
            hint = "give the policy `offline` rules"
            raise UsageError("nothing is ever queued here", where="late_answer", hint=hint)
        return self._store

    def _leave(self, serving: Serving) -> None:
        """Note that a request has ended; after the last one under an old policy its tiers close.

        Nobody waits for that: a model that hangs would hold up the request's answer.
        """
        serving.in_flight -= 1
        if serving is not self._serving and serving.in_flight == 0:
            closing = asyncio.get_running_loop().create_task(serving.aclose(keep=self._serving))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _end(self, run: Run) -> None:
        if self._audits is not None and not run.error:
            self._audits.note(run)
        self._inputs.note(run, self._clock.utc_s())
        if self._log is not None:
            self._log.append(decision_of(run, self._clock.now_s(), self._clock.utc_s()))
