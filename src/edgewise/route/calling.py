"""One tier asked for one request: money set aside, its monitor told, an attempt left behind."""

import contextlib
import random  # noqa: TID251 - only the type of the rng that is handed in
from dataclasses import replace

from edgewise.errors import EdgewiseError, InvalidData, RemoteError, StorageError
from edgewise.records import (
    Attempt,
    Outcome,
    Prediction,
    Reason,
    RequestFacts,
    Step,
    TierPolicy,
    TierState,
    TokenUsage,
)
from edgewise.route.budget import Reservation
from edgewise.route.candidates import expected_ms
from edgewise.route.clock import Clock
from edgewise.route.running import Run

_COSTS = (Outcome.ANSWERED, Outcome.TIMED_OUT, Outcome.CANCELLED)
_ANSWERED, _RETRY = Outcome.ANSWERED, Reason.RETRY  # see `candidates.py`
_PASSING_STATUS = (408, 425, 429)
_BYTES_PER_TOKEN = 4


class Call:
    """A call that is under way. Made by `begin`, ended once by `end`."""

    __slots__ = ("_clock", "_number", "_reserved", "_run", "start_s", "tier")

    def __init__(
        self, run: Run, tier: TierPolicy, clock: Clock, reserved: Reservation | None, *, retry: bool
    ) -> None:
        self.tier = tier
        self.start_s = clock.now_s()
        self._run = run
        self._clock = clock
        self._reserved = reserved
        self._number = run.serving.monitors[tier.name].begin(self.start_s, retry=retry)

    def end(
        self,
        outcome: Outcome,
        *,
        confidence: float | None = None,
        failure: EdgewiseError | None = None,
        usage: TokenUsage | None = None,
    ) -> Attempt:
        """Give what the call was, settle its price and tell its tier's monitor.

        Parameters
        ----------
        usage
            Tokens that the tier worked on, as far as it is known.
        """
        run, tier, now_s = self._run, self.tier, self._clock.now_s()
        attempt = Attempt(
            tier=tier.name,
            outcome=outcome,
            latency_ms=(now_s - self.start_s) * 1000,
            cost_usd=_cost_usd(tier, run.facts, usage, worked=_worked(outcome, failure)),
            confidence=confidence,
            error="" if failure is None else type(failure).__name__,
            passing=_is_passing(failure),
            usage=usage,
        )
        run.failure = failure or run.failure
        budget = run.serving.budget
        if budget is not None and self._reserved is not None:
            # What a call cost beyond its reservation counts in memory where the disk is full.
            with contextlib.suppress(StorageError):
                budget.settle(self._reserved, attempt.cost_usd)
        _tell(run, attempt, self._number, failure, now_s)
        return attempt


def begin(run: Run, step: Step, clock: Clock) -> Call | None:
    """Set money aside and begin a call; `None` where there is none for it, or no place now.

    Between the decision and this others may have begun: then the decision is asked again.
    """
    tier, budget = run.serving.by_name[step.tier or ""], run.serving.budget
    if not run.serving.monitors[tier.name].takes(clock.now_s()):
        return None
    reserved = None
    if budget is not None:
        most_usd = most_usd_of(tier, run.facts)
        if most_usd:
            reserved = budget.reserve(run.facts.caller, most_usd)
            if reserved is None:
                run.broke.add(tier.name)
                return None
    return Call(run, tier, clock, reserved, retry=_RETRY in step.reasons)


def may_try(run: Run, step: Step) -> bool:
    """Say whether a step may go on: a retry needs one of its tier's budget, and takes it here.

    Before its pause: of many that fail at once, those without a budget need not wait for it.
    """
    return _RETRY not in step.reasons or run.serving.monitors[step.tier or ""].take_retry()


async def pause(step: Step, clock: Clock, rng: random.Random) -> float | None:
    """Wait as a step says before it asks; give what is left of its time, in milliseconds."""
    timeout_ms = step.timeout_ms
    if not (step.pause_ms or step.jitter_ms):
        return timeout_ms
    pause_ms = step.pause_ms + rng.uniform(0.0, step.jitter_ms)
    await clock.await_(pause_ms / 1000)
    return None if timeout_ms is None else max(1.0, timeout_ms - pause_ms)


def confidence_of(tier: TierPolicy, answer: Prediction, input_length: int) -> float:
    """Give the calibrated confidence of a tier's answer."""
    if answer.probabilities:
        return tier.confidence(answer.probabilities, energy=answer.energy, length=input_length)
    found = answer.generation
    if found is not None and tier.text_confidence is not None:
        return tier.text_confidence(found.logprobs, found.first_margin)
    return answer.confidence


def usage_of(answer: Prediction, facts: RequestFacts) -> TokenUsage | None:
    """Give the tokens of an answer, estimated where the tier told none."""
    found = answer.generation
    if found is None or not found.usage.estimated:
        return None if found is None else found.usage
    said = found.text + found.refusal
    written = -(-len(said.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)
    return TokenUsage(
        input_tokens=estimated_input_tokens(facts),
        output_tokens=max(written, found.usage.output_tokens),
        estimated=True,
    )


def estimated_input_tokens(facts: RequestFacts) -> int:
    """Estimate the tokens of an input, of which the facts know the most that they can be."""
    return -(-facts.input_tokens // _BYTES_PER_TOKEN)


def most_usd_of(tier: TierPolicy, facts: RequestFacts) -> float:
    """Give the most that a call of a tier can cost."""
    return tier.usd(facts.input_tokens, facts.output_tokens)


def affordable(run: Run, states: dict[str, TierState]) -> dict[str, TierState]:
    """Mark the tiers whose price the caller's budget does not hold."""
    budget = run.serving.budget
    if budget is None:
        return states
    left_usd = budget.left_usd(run.facts.caller)
    for name, tier in run.serving.by_name.items():
        usd = most_usd_of(tier, run.facts)
        if usd and (usd > left_usd or name in run.broke):
            states[name] = replace(states[name], budget_left=False)
    return states


def _cost_usd(
    tier: TierPolicy, facts: RequestFacts, usage: TokenUsage | None, *, worked: bool
) -> float:
    """Give what a call cost: by its tokens where they are known, else the most that it can."""
    if usage is not None:
        return tier.usd(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)
    return most_usd_of(tier, facts) if worked else 0.0


def _worked(outcome: Outcome, failure: EdgewiseError | None) -> bool:
    """Say whether a call may be charged: unless it is certain that no work was done."""
    served = isinstance(failure, RemoteError) and failure.maybe_served
    return outcome in _COSTS or served


def _tell(
    run: Run, attempt: Attempt, call: int, failure: EdgewiseError | None, now_s: float
) -> None:
    """Tell a tier's monitor how a call ended."""
    monitor, facts = run.serving.monitors[attempt.tier], run.facts
    outcome, latency_ms, sent = attempt.outcome, attempt.latency_ms, facts.input_bytes
    if outcome is _ANSWERED:
        monitor.answered(call, latency_ms, now_s, sent)
    elif outcome is Outcome.TIMED_OUT:
        tier = run.serving.by_name[attempt.tier]
        p95_ms = expected_ms(tier, monitor.state(now_s), facts.input_length, sent)[1]
        monitor.timed_out(call, latency_ms, p95_ms, now_s, sent)
    elif outcome is Outcome.FAILED and not _blames_request(failure):
        remote = failure if isinstance(failure, RemoteError) else None
        told_s = None if remote is None else remote.retry_after_s
        spoke = remote is not None and remote.status is not None
        monitor.failed(call, now_s, retry_after_s=told_s, spoke=spoke)
    else:
        monitor.abandoned(call, latency_ms, now_s, sent)


def _blames_request(failure: EdgewiseError | None) -> bool:
    """Say whether the request is at fault: who sends such may not close a tier to all others."""
    if isinstance(failure, RemoteError):
        return failure.blames_request
    return isinstance(failure, InvalidData)


def _is_passing(failure: EdgewiseError | None) -> bool:
    """Say whether the same call may succeed a moment later: not where it was refused or babbled."""
    if not isinstance(failure, RemoteError):
        return False
    status = failure.status
    return status is None or status >= 500 or status in _PASSING_STATUS
