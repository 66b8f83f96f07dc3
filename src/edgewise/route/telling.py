"""What a request that has ended tells: its caller the result, the log the decision."""

from dataclasses import asdict, fields
from operator import attrgetter
from typing import Any, Protocol

from edgewise.records import LATE_TAG, Action, Attempt, Decision, Generation, Outcome, TokenUsage
from edgewise.route.decide import allowed_tiers, location_of
from edgewise.route.giving_up import gave_up
from edgewise.route.result import InferenceResult
from edgewise.route.running import Run

_ATTEMPT_KEYS = tuple(one.name for one in fields(Attempt))
_attempt_values = attrgetter(*_ATTEMPT_KEYS)
_USAGE_KEYS = tuple(one.name for one in fields(TokenUsage))


# Members that each answer asks for: see `candidates.py`.
_GIVE_UP, _ANSWERED = Action.GIVE_UP, Outcome.ANSWERED


class DecisionSink(Protocol):
    """Takes decisions. Called from the engine's thread; must return at once."""

    def append(self, decision: Decision) -> None:
        """Keep one decision."""


def result_of(run: Run, now_s: float) -> InferenceResult:
    """Give the answer that stands, or raise why there is none.

    Raises
    ------
    EdgewiseError
        When the request was given up.
    """
    step = run.steps[-1]
    reasons = run.reasons()
    if step.action is _GIVE_UP or step.tier is None:
        raise gave_up(run, reasons)
    answer = run.answers[step.tier]
    kept = next(one for one in run.attempts if one.tier == step.tier and one.outcome is _ANSWERED)
    run.location = location_of(run.serving.policy, run.attempts, step.tier, reasons)
    run.confidence = kept.confidence
    labels = run.serving.policy.labels
    probabilities = dict(zip(labels, answer.probabilities, strict=False))
    generation = None
    if answer.generation is not None:
        generation = _told_generation(answer.generation, kept.usage)
    return told(run, now_s, answer.label, probabilities, generation)


def told(
    run: Run,
    now_s: float,
    label: str = "",
    probabilities: dict[str, float] | None = None,
    generation: dict[str, Any] | None = None,
) -> InferenceResult:
    """Give the result of a run whose location is known; without a label, one that waits."""
    return InferenceResult(
        prediction=label,
        label=label,
        confidence=run.confidence or 0.0,
        latency_ms=(now_s - run.start_s) * 1000,
        cost=sum([one.cost_usd for one in run.attempts]),
        location=run.location or "",
        probabilities={} if probabilities is None else probabilities,
        reasons=tuple([reason._value_ for reason in run.reasons()]),
        policy_version=run.serving.version,
        certificate=run.serving.certificate,
        warnings=run.serving.warnings,
        request_id=run.facts.request_id,
        attempts=[_told_attempt(one) for one in run.attempts],
        generation=generation,
        steps=tuple(run.steps),
    )


def _told_generation(found: Generation, usage: TokenUsage | None) -> dict[str, Any]:
    return {
        "finish_reason": found.finish_reason,
        "usage": _told_usage(usage or found.usage),
        "logprob": found.logprob,
        "mean_logprob": found.mean_logprob,
        "tool_calls": [asdict(one) for one in found.tool_calls],
        "refusal": found.refusal,
    }


def _told_attempt(one: Attempt) -> dict[str, Any]:
    # Not `asdict`: its deep copy costs 30 microseconds an attempt.
    found = dict(zip(_ATTEMPT_KEYS, _attempt_values(one), strict=True))
    found["outcome"] = one.outcome._value_
    found["usage"] = None if one.usage is None else _told_usage(one.usage)
    return found


def _told_usage(usage: TokenUsage) -> dict[str, Any]:
    return {name: getattr(usage, name) for name in _USAGE_KEYS}


def decision_of(run: Run, now_s: float, utc_s: float) -> Decision:
    """Give the one decision that a request leaves in the log."""
    policy = run.serving.policy
    certificate = run.serving.certificate
    return Decision(
        request_id=run.facts.request_id,
        at_s=utc_s,
        policy_version=run.serving.version,
        facts=run.facts,
        allowed=run.steps[0].allowed if run.steps else allowed_tiers(policy, run.facts),
        reasons=run.reasons(),
        attempts=tuple(run.attempts),
        location=run.location,
        latency_ms=(now_s - run.start_s) * 1000,
        cost_usd=sum([one.cost_usd for one in run.attempts]),
        confidence=run.confidence,
        error=run.error,
        certificate_state="" if certificate is None else certificate["state"],
        tags=(*run.serving.warnings, LATE_TAG) if run.late else run.serving.warnings,
    )
