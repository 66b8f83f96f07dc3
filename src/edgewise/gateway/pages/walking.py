"""The steps of a decision, one after the other, by the pure decision function. Asks nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgewise.errors import EdgewiseError
from edgewise.records import (
    Action,
    Attempt,
    Outcome,
    Policy,
    RequestFacts,
    Step,
    SystemState,
    TierState,
)
from edgewise.route import decide, location_of

_CALM = SystemState()


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What was decided, step by step."""

    steps: tuple[Step, ...]
    attempts: tuple[Attempt, ...]
    """What followed each step that asked a tier."""
    location: str | None
    """`None` where nobody answers, or where it can't be known."""
    unknown: str = ""
    """A tier that would be asked, and nobody knows what it would say."""
    refused: str = ""
    """Why there was no step."""


def replay(policy: Policy, facts: RequestFacts, attempts: Sequence[Attempt]) -> Walk:
    """Decide again on what the log has: the facts, and how each attempt ended.

    What the log does not have, the tiers' states, is taken as calm.
    """
    return _walk(policy, facts, {}, list(attempts), _CALM)


def foresee(
    policy: Policy,
    facts: RequestFacts,
    states: Mapping[str, TierState],
    confidence: Mapping[str, float],
    system: SystemState = _CALM,
) -> Walk:
    """Decide with confidences that are known; a tier without one is taken to answer in time."""
    attempts = [
        Attempt(
            tier=tier.name,
            outcome=Outcome.ANSWERED,
            latency_ms=states[tier.name].rtt_p50_ms if tier.name in states else 0.0,
            cost_usd=tier.usd(facts.input_tokens, facts.output_tokens),
            confidence=confidence.get(tier.name),
        )
        for tier in policy.tiers
    ]
    return _walk(policy, facts, states, attempts, system)


def _walk(
    policy: Policy,
    facts: RequestFacts,
    states: Mapping[str, TierState],
    known: list[Attempt],
    system: SystemState,
) -> Walk:
    steps: list[Step] = []
    tried: list[Attempt] = []
    location, unknown, refused = None, "", ""
    while True:
        try:
            step = decide(policy, facts, states, tried, 0.0, system)
        except EdgewiseError as failure:
            refused = failure.what
            break
        steps.append(step)
        if step.action is Action.ANSWER and step.tier is not None:
            reasons = [reason for one in steps for reason in one.reasons]
            location = location_of(policy, tried, step.tier, reasons)
        if step.action is not Action.ASK or step.tier is None:
            break
        found = next((one for one in known if one.tier == step.tier), None)
        if found is None:
            unknown = step.tier
            break
        known.remove(found)
        tried.append(found)
    return Walk(
        steps=tuple(steps),
        attempts=tuple(tried),
        location=location,
        unknown=unknown,
        refused=refused,
    )
