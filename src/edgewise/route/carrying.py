"""Carries out the steps of one request: asks tiers, waits, races the late.

A step may start a race. What was started goes on while the decision is asked again, so that a
deferral to a tier that already works on the request waits for it and does not ask twice. When the
decision has ended, what still runs is cancelled; its connection is freed.
"""

import asyncio
import random  # noqa: TID251 - only the type of the rng that is handed in
from collections.abc import Callable
from dataclasses import replace

from edgewise.errors import (
    DeadlineExceeded,
    EdgewiseError,
    InvalidData,
    InvalidModel,
    RemoteError,
    TierUnavailable,
)
from edgewise.records import (
    Action,
    Attempt,
    Hedge,
    Input,
    Outcome,
    Prediction,
    Reason,
    RequestFacts,
    Step,
    SystemState,
    TierKind,
    TierPolicy,
    TierState,
)
from edgewise.route.allowance import Allowance
from edgewise.route.candidates import expected_ms
from edgewise.route.clock import Clock
from edgewise.route.decide import decide
from edgewise.route.privacy import Redacted, redact, restore
from edgewise.route.serving import Serving

_COSTS = (Outcome.ANSWERED, Outcome.TIMED_OUT, Outcome.CANCELLED)
_ANSWERED = (Outcome.ANSWERED,)
_PASSING_STATUS = (408, 425, 429)


class Run:
    """One request on its way."""

    __slots__ = (
        "answers",
        "attempts",
        "broke",
        "confidence",
        "ended",
        "error",
        "facts",
        "failure",
        "hidden",
        "location",
        "one",
        "racing",
        "serving",
        "start_s",
        "steps",
    )

    def __init__(self, serving: Serving, facts: RequestFacts, one: Input, start_s: float) -> None:
        self.serving = serving
        self.facts = facts
        self.one = one
        self.broke: set[str] = set()
        """Tiers that no money could be reserved for."""
        self.failure: EdgewiseError | None = None
        """How the last attempt that failed did."""
        self.hidden: Redacted | None = None
        """The input as tiers beyond the device see it, where that is another."""
        self.start_s = start_s
        self.attempts: list[Attempt] = []
        self.ended: list[Attempt] = []
        """Attempts that the decision has not heard of yet."""
        self.steps: list[Step] = []
        self.answers: dict[str, Prediction] = {}
        self.racing: dict[asyncio.Task[None], str] = {}
        self.location: str | None = None
        self.confidence: float | None = None
        self.error = ""

    def reasons(self) -> tuple[Reason, ...]:
        """Give the reasons of all steps, each once."""
        return tuple(dict.fromkeys(reason for step in self.steps for reason in step.reasons))

    def input_for(self, tier: TierPolicy) -> Input:
        """Give the input as a tier may see it: on the device as it is, elsewhere redacted."""
        if not self.facts.redacted or tier.kind is TierKind.DEVICE:
            return self.one
        if self.hidden is None:
            self.hidden = redact(self.one, self.facts.redacted)
        sent: Input = self.hidden.input
        return sent

    def restored(self, answer: Prediction, tier: TierPolicy) -> Prediction:
        """Give an answer with the data back in place of its placeholders."""
        if self.hidden is None or tier.kind is TierKind.DEVICE:
            return answer
        return replace(answer, label=restore(answer.label, self.hidden.mapping))

    def take_ended(self) -> None:
        """Tell the decision what ended: answers last, the farthest tier's the last of them."""
        if len(self.ended) > 1:
            order = list(self.serving.by_name)
            self.ended.sort(key=lambda one: (one.outcome in _ANSWERED, order.index(one.tier)))
        self.attempts.extend(self.ended)
        self.ended.clear()


class Carrier:
    """Carries requests to their ends. Made by the engine, used from its event loop.

    Parameters
    ----------
    system
        Gives what holds for all tiers at a moment.
    rng
        For the jitter of waits before retries.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        hedges: Allowance,
        system: Callable[[], SystemState],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._hedges = hedges
        self._system = system

    async def carry(self, run: Run) -> None:
        """Do what `decide` says until it says to end; the last step is then in `run.steps`.

        Raises
        ------
        InvalidData
            When the only tier that looked at the input can't read it.
        """
        serving = run.serving
        self._hedges.deposit()
        try:
            while True:
                now_s = self._clock.now_s()
                elapsed_ms = (now_s - run.start_s) * 1000
                step = decide(
                    serving.policy,
                    run.facts,
                    _affordable(run, serving.states(now_s)),
                    run.attempts,
                    elapsed_ms,
                    self._system(),
                )
                run.steps.append(step)
                if step.action is not Action.ASK:
                    return
                if step.hedge is None and not run.racing:
                    await self._attempt(run, step)
                else:
                    await self._race(run, step)
                run.take_ended()
        finally:
            if run.racing:
                await _stop(run)
            run.take_ended()

    async def _race(self, run: Run, step: Step) -> None:
        """Ask a tier, and its hedge when it is late."""
        if step.tier not in run.racing.values():
            self._start(run, step)
        hedge = step.hedge
        done = await _first(run, None if hedge is None else hedge.after_ms)
        if not done and hedge is not None:
            if hedge.tier not in run.racing.values() and self._hedges.withdraw():
                raced = _raced(step, hedge)
                run.steps.append(raced)
                self._start(run, raced)
            done = await _first(run, None)
        for task in done:
            del run.racing[task]
            task.result()

    def _start(self, run: Run, step: Step) -> None:
        task = asyncio.create_task(self._attempt(run, step))
        run.racing[task] = step.tier or ""

    async def _attempt(self, run: Run, step: Step) -> None:
        """Ask a tier once, and tell its monitor how that ended."""
        name, serving = step.tier or "", run.serving
        tier, monitor = serving.by_name[name], serving.monitors[name]
        timeout_ms = step.timeout_ms
        if step.pause_ms or step.jitter_ms:
            pause_ms = step.pause_ms + self._rng.uniform(0.0, step.jitter_ms)
            await self._clock.await_(pause_ms / 1000)
            if timeout_ms is not None:
                timeout_ms = max(1.0, timeout_ms - pause_ms)
        reserved = None
        if serving.budget is not None and tier.usd_per_request:
            reserved = serving.budget.reserve(run.facts.caller, tier.usd_per_request)
            if reserved is None:
                run.broke.add(name)
                return
        start_s = self._clock.now_s()
        call = monitor.begin(start_s, retry=Reason.RETRY in step.reasons)
        outcome, confidence = Outcome.CANCELLED, None
        failure: EdgewiseError | None = None
        try:
            answer = await serving.tiers[name].ask(
                run.input_for(tier), timeout_ms, request_id=run.facts.request_id
            )
            answer = run.restored(answer, tier)
            confidence = answer.confidence
            if answer.probabilities:
                confidence = tier.confidence(
                    answer.probabilities, energy=answer.energy, length=run.facts.input_length
                )
            run.answers[name] = answer
            outcome = Outcome.ANSWERED
        except DeadlineExceeded as late:
            outcome, failure = Outcome.TIMED_OUT, late
        except (TierUnavailable, InvalidModel, InvalidData) as wrong:
            outcome, failure = Outcome.FAILED, wrong
            # Another tier could read it: then it is not the caller's fault.
            if isinstance(wrong, InvalidData) and not run.answers:
                raise
        finally:
            now_s = self._clock.now_s()
            attempt = Attempt(
                tier=name,
                outcome=outcome,
                latency_ms=(now_s - start_s) * 1000,
                cost_usd=tier.usd_per_request if _costs(outcome, failure) else 0.0,
                confidence=confidence,
                error="" if failure is None else type(failure).__name__,
                passing=_is_passing(failure),
            )
            run.ended.append(attempt)
            run.failure = failure or run.failure
            if serving.budget is not None and reserved is not None:
                serving.budget.settle(reserved, attempt.cost_usd)
            _tell(run, attempt, call, failure, now_s)


def _affordable(run: Run, states: dict[str, TierState]) -> dict[str, TierState]:
    """Mark the tiers whose price the caller's budget does not hold."""
    budget = run.serving.budget
    if budget is None:
        return states
    left_usd = budget.left_usd(run.facts.caller)
    for name, tier in run.serving.by_name.items():
        if tier.usd_per_request and (tier.usd_per_request > left_usd or name in run.broke):
            states[name] = replace(states[name], budget_left=False)
    return states


def _tell(
    run: Run, attempt: Attempt, call: int, failure: EdgewiseError | None, now_s: float
) -> None:
    """Tell a tier's monitor how a call ended."""
    monitor, facts = run.serving.monitors[attempt.tier], run.facts
    outcome, latency_ms, sent = attempt.outcome, attempt.latency_ms, facts.input_bytes
    if outcome is Outcome.ANSWERED:
        monitor.answered(call, latency_ms, now_s, sent)
    elif outcome is Outcome.TIMED_OUT:
        tier = run.serving.by_name[attempt.tier]
        p95_ms = expected_ms(tier, monitor.state(now_s), facts.input_length, sent)[1]
        monitor.timed_out(call, latency_ms, p95_ms, now_s, sent)
    elif outcome is Outcome.FAILED and not isinstance(failure, InvalidData):
        told_s = failure.retry_after_s if isinstance(failure, RemoteError) else None
        monitor.failed(call, now_s, retry_after_s=told_s)
    else:
        monitor.abandoned(call, latency_ms, now_s, sent)


def _costs(outcome: Outcome, failure: EdgewiseError | None) -> bool:
    """Say whether an attempt may be charged: unless it is certain that no work was done."""
    served = isinstance(failure, RemoteError) and failure.maybe_served
    return outcome in _COSTS or served


def _is_passing(failure: EdgewiseError | None) -> bool:
    """Say whether the same call may succeed a moment later: not where it was refused or babbled."""
    if not isinstance(failure, RemoteError):
        return False
    status = failure.status
    return status is None or status >= 500 or status in _PASSING_STATUS


def _raced(step: Step, hedge: Hedge) -> Step:
    """Give the step that asks the hedge, within what is left of the first one's time."""
    left_ms = None if step.timeout_ms is None else step.timeout_ms - hedge.after_ms
    return Step(
        action=Action.ASK,
        tier=hedge.tier,
        allowed=step.allowed,
        reasons=(Reason.HEDGED,),
        timeout_ms=left_ms,
    )


async def _first(run: Run, timeout_ms: float | None) -> set[asyncio.Task[None]]:
    timeout_s = None if timeout_ms is None else timeout_ms / 1000
    done, _ = await asyncio.wait(run.racing, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    return done


async def _stop(run: Run) -> None:
    """Cancel what still runs, and wait until its connection is free."""
    for task in run.racing:
        task.cancel()
    await asyncio.gather(*run.racing, return_exceptions=True)
    run.racing.clear()
