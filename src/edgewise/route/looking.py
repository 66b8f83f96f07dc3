"""What a request would meet. It is not carried out: nothing leaves the device or is logged."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgewise.records import Policy, RequestFacts, SystemState, Task, TierState
from edgewise.route.calling import affordable, confidence_of
from edgewise.route.decide import allowed_tiers
from edgewise.route.running import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """All that `decide` reads of one input. Made by `HybridInferenceEngine.look`."""

    policy: Policy
    facts: RequestFacts
    states: Mapping[str, TierState]
    system: SystemState
    confidence: Mapping[str, float]
    """Of the tiers on this machine that could be asked without a price."""


async def look_at(run: Run, now_s: float, system: SystemState) -> Sight:
    """Look at a request that was accepted; asks the tiers in this process alone."""
    serving, facts = run.serving, run.facts
    states = affordable(run, dict(serving.states(now_s)))
    found: dict[str, float] = {}
    allowed = allowed_tiers(serving.policy, facts)
    if serving.policy.task != Task.TEXT_GENERATION.value:
        for name, model in serving.tiers.items():
            if model.remote or not model.ready or name not in allowed:
                continue
            tier, one = serving.by_name[name], run.one
            found[name] = confidence_of(tier, await model.ask(one, None), facts.input_length)
    return Sight(policy=serving.policy, facts=facts, states=states, system=system, confidence=found)
