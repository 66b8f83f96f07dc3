"""The engine: carries out what `decide` says, and logs each request's end."""

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, Self

from edgewise.errors import (
    DeadlineExceeded,
    EdgewiseError,
    InvalidData,
    InvalidModel,
    TierUnavailable,
    UsageError,
)
from edgewise.records import (
    Action,
    Attempt,
    Decision,
    Input,
    Outcome,
    Policy,
    Prediction,
    Reason,
    RequestFacts,
    Step,
    digest,
)
from edgewise.records import Protocol as RemoteProtocol
from edgewise.route.clock import Clock, SystemClock
from edgewise.route.decide import allowed_tiers, decide, expected_ms, location_of
from edgewise.route.facts import facts_of
from edgewise.route.network import TierMonitor
from edgewise.route.opening import Setup, open_tiers
from edgewise.route.result import InferenceResult
from edgewise.route.tiers import LocalTier, TierModel

_COSTS = (Outcome.ANSWERED, Outcome.TIMED_OUT, Outcome.CANCELLED)


class DecisionSink(Protocol):
    """Takes decisions. Called from the engine's thread; must return at once."""

    def append(self, decision: Decision) -> None:
        """Keep one decision."""


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

    Notes
    -----
    A remote attempt costs its tier's price when it was answered, timed out or was cancelled: the
    tier may have done the work. One that failed costs nothing.
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
    ) -> None:
        self._clock = SystemClock() if clock is None else clock
        setup = Setup(
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
        )
        self.policy, self._tiers = open_tiers(setup, self._clock, tiers)
        self.policy_version = digest(self.policy)
        self._by_name = {tier.name: tier for tier in self.policy.tiers}
        self._monitors = {
            tier.name: TierMonitor(
                tier,
                self.policy.breaker,
                remote=tier.name in self._tiers and self._tiers[tier.name].remote,
                ready=tier.name in self._tiers,
            )
            for tier in self.policy.tiers
        }
        locals_ = [tier for tier in self._tiers.values() if isinstance(tier, LocalTier)]
        self._length = locals_[0].model.length if locals_ else None
        self._certificate = _certificate(self.policy)
        self._log = decision_log
        self._runner: asyncio.Runner | None = None
        self._sync_lock = threading.Lock()
        self._closed = False

    async def predict(
        self, one: Input, force_location: str | None = None, deadline_ms: float | None = None
    ) -> InferenceResult:
        """Answer one input.

        Parameters
        ----------
        force_location
            Ask this tier alone: `edge`, `cloud` or a tier's name.
        deadline_ms
            Answer within this time, or say that it can't be done.

        Raises
        ------
        PrivacyViolation
            When `force_location` is outside the tiers that may see the request.
        DeadlineExceeded, TierUnavailable
            When no allowed tier answered, in time or at all.
        InvalidData, UsageError
            When the input or the call is wrong.
        """
        if self._closed:
            raise UsageError("the engine is closed", where="predict", hint="make another one")
        start_s = self._clock.now_s()
        facts = facts_of(
            self.policy,
            one,
            self._length,
            request_id=uuid.uuid4().hex,
            force_location=force_location,
            deadline_ms=deadline_ms,
        )
        run = _Run(facts, start_s)
        try:
            await self._carry_out(run, one)
            result = self._result(run)
        except BaseException as failure:
            run.error = type(failure).__name__
            raise
        finally:
            self._end(run)
        return result

    def predict_sync(
        self, one: Input, force_location: str | None = None, deadline_ms: float | None = None
    ) -> InferenceResult:
        """Answer one input, blocking; as `predict`, for programs without an event loop.

        Raises
        ------
        UsageError
            When an event loop runs in this thread.
        """
        _refuse_loop("predict_sync", "await engine.predict(...) instead")
        with self._sync_lock:
            if self._runner is None:
                self._runner = asyncio.Runner()
            return self._runner.run(self.predict(one, force_location, deadline_ms))

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
        if concurrency < 1:
            raise UsageError(f"not above 0: {concurrency}", where="concurrency", hint="give 8")
        found: list[InferenceResult | None] = [None] * len(inputs)
        waiting = iter(range(len(inputs)))

        async def work() -> None:
            for index in waiting:
                found[index] = await self.predict(inputs[index], force_location, deadline_ms)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(concurrency, len(inputs))):
                    group.create_task(work())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [one for one in found if one is not None]

    async def aclose(self) -> None:
        """Close the tiers. The decision log is its maker's to close."""
        self._closed = True
        for tier in self._tiers.values():
            await tier.aclose()
        runner, self._runner = self._runner, None
        if runner is not None:
            await asyncio.to_thread(self._close_runner, runner)

    def close(self) -> None:
        """Close the tiers, where no event loop runs."""
        _refuse_loop("close", "await engine.aclose() instead")
        with self._sync_lock:
            runner, self._runner = self._runner, None
            with contextlib.closing(runner or asyncio.Runner()) as last:
                last.run(self.aclose())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _carry_out(self, run: "_Run", one: Input) -> None:
        while True:
            now_s = self._clock.now_s()
            states = {name: monitor.state(now_s) for name, monitor in self._monitors.items()}
            elapsed_ms = (now_s - run.start_s) * 1000
            step = decide(self.policy, run.facts, states, run.attempts, elapsed_ms)
            run.steps.append(step)
            if step.action is not Action.ASK:
                return
            await self._ask(run, step, one)

    async def _ask(self, run: "_Run", step: Step, one: Input) -> None:
        name = step.tier or ""
        monitor = self._monitors[name]
        tier = self._by_name[name]
        call = monitor.begin()
        start_s = self._clock.now_s()
        outcome, confidence, error, innocent = Outcome.CANCELLED, None, "", False
        try:
            answer = await self._tiers[name].ask(one, step.timeout_ms)
            confidence = answer.confidence
            if answer.probabilities:
                confidence = tier.confidence(answer.probabilities)
            run.answers[name] = answer
            outcome = Outcome.ANSWERED
        except InvalidData as wrong:
            outcome, error, innocent = Outcome.FAILED, type(wrong).__name__, True
            if not run.answers:  # another tier could read it: then it is not the caller's fault
                raise
        except DeadlineExceeded as late:
            outcome, error = Outcome.TIMED_OUT, type(late).__name__
        except (TierUnavailable, InvalidModel) as failure:
            outcome, error = Outcome.FAILED, type(failure).__name__
        finally:
            now_s = self._clock.now_s()
            latency_ms = (now_s - start_s) * 1000
            if outcome is Outcome.ANSWERED:
                monitor.answered(call, latency_ms, now_s)
            elif outcome is Outcome.FAILED and not innocent:
                monitor.failed(call, now_s)
            elif outcome is Outcome.TIMED_OUT:
                p95_ms = expected_ms(tier, monitor.state(now_s), run.facts.input_length)[1]
                monitor.timed_out(call, latency_ms, p95_ms, now_s)
            else:
                monitor.abandoned(call)
            attempt = Attempt(
                tier=name,
                outcome=outcome,
                latency_ms=latency_ms,
                cost_usd=tier.usd_per_request if outcome in _COSTS else 0.0,
                confidence=confidence,
                error=error,
            )
            run.attempts.append(attempt)

    def _result(self, run: "_Run") -> InferenceResult:
        step = run.steps[-1]
        reasons = run.reasons()
        if step.action is Action.GIVE_UP or step.tier is None:
            raise _gave_up(run, reasons)
        answer = run.answers[step.tier]
        kept = next(one for one in run.attempts if one.tier == step.tier)
        run.location = location_of(self.policy, run.attempts, step.tier, reasons)
        run.confidence = kept.confidence
        labels = self.policy.labels
        return InferenceResult(
            prediction=answer.label,
            label=answer.label,
            confidence=kept.confidence or 0.0,
            latency_ms=(self._clock.now_s() - run.start_s) * 1000,
            cost=sum(one.cost_usd for one in run.attempts),
            location=run.location,
            probabilities=dict(zip(labels, answer.probabilities, strict=False)),
            reasons=tuple(reason.value for reason in reasons),
            policy_version=self.policy_version,
            certificate=self._certificate,
            request_id=run.facts.request_id,
            attempts=[{**asdict(one), "outcome": one.outcome.value} for one in run.attempts],
            steps=tuple(run.steps),
        )

    def _end(self, run: "_Run") -> None:
        if self._log is None:
            return
        certificate = self.policy.certificate
        decision = Decision(
            request_id=run.facts.request_id,
            at_s=self._clock.utc_s(),
            policy_version=self.policy_version,
            facts=run.facts,
            allowed=allowed_tiers(self.policy, run.facts),
            reasons=run.reasons(),
            attempts=tuple(run.attempts),
            location=run.location,
            latency_ms=(self._clock.now_s() - run.start_s) * 1000,
            cost_usd=sum(one.cost_usd for one in run.attempts),
            confidence=run.confidence,
            error=run.error,
            certificate_state="" if certificate is None else certificate.state.value,
        )
        self._log.append(decision)

    def _close_runner(self, runner: asyncio.Runner) -> None:
        async def close_remote() -> None:
            for tier in self._tiers.values():
                if tier.remote:
                    await tier.aclose()

        with self._sync_lock, contextlib.closing(runner):
            runner.run(close_remote())


class _Run:
    """One request on its way."""

    __slots__ = (
        "answers",
        "attempts",
        "confidence",
        "error",
        "facts",
        "location",
        "start_s",
        "steps",
    )

    def __init__(self, facts: RequestFacts, start_s: float) -> None:
        self.facts = facts
        self.start_s = start_s
        self.attempts: list[Attempt] = []
        self.steps: list[Step] = []
        self.answers: dict[str, Prediction] = {}
        self.location: str | None = None
        self.confidence: float | None = None
        self.error = ""

    def reasons(self) -> tuple[Reason, ...]:
        return tuple(dict.fromkeys(reason for step in self.steps for reason in step.reasons))


def _gave_up(run: _Run, reasons: tuple[Reason, ...]) -> EdgewiseError:
    why = ", ".join(reason.value for reason in reasons)
    where = f"request {run.facts.request_id}"
    timed_out = bool(run.attempts) and run.attempts[-1].outcome is Outcome.TIMED_OUT
    if Reason.DEADLINE_PASSED in reasons or timed_out:
        return DeadlineExceeded(
            f"no allowed tier answered in time: {why}", where=where, hint="allow more time"
        )
    if Reason.TOO_LARGE in reasons and not run.attempts:
        what = f"the input of {run.facts.input_bytes} bytes is too large: {why}"
        return InvalidData(what, where=where, hint="send less, or raise the tiers' max_input_bytes")
    tried = "; ".join(f"{one.tier}: {one.error or one.outcome.value}" for one in run.attempts)
    what = f"no allowed tier could answer ({tried or 'none was asked'}): {why}"
    hint = "check the tiers' endpoints, or try again when a circuit has closed"
    return TierUnavailable(what, where=where, hint=hint)


def _certificate(policy: Policy) -> dict[str, Any] | None:
    one = policy.certificate
    if one is None:
        return None
    return {
        "state": one.state.value,
        "threshold": one.threshold,
        "loss": one.loss.value,
        "alpha": one.alpha,
        "delta": one.delta,
        "bound": one.bound,
    }


def _refuse_loop(name: str, hint: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError("an event loop is running in this thread", where=name, hint=hint)
