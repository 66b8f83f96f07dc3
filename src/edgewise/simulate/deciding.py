"""The live decision, remembered: the same question is asked of `decide` once.

Most of what a request and the tiers are like moves no comparison in `decide`. What does is the
key: flags, whether the input is too large or a tier too slow for it, whether a tier is up, how
attempts ended and whether their confidence reached the threshold. Where a policy or a request
brings in numbers that matter by themselves (a deadline, hedges, groups that share load, a
pre-router's gain, a rest that a tier asked for), nothing is remembered. That both give the same
step is a law in `tests/laws/test_simulated_decision.py`.
"""

from collections.abc import Hashable, Mapping, Sequence

from edgewise.records import Attempt, Policy, RequestFacts, Step, SystemState, TierPolicy, TierState
from edgewise.route.candidates import expected_ms
from edgewise.route.decide import decide

_CALM = SystemState()
_MOST = 100_000


class Decider:
    """Asks `decide`, or remembers what it said. Made by a simulation, for one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.remembers = not (
            policy.deadline_ms is not None
            or policy.hedge is not None
            or any(tier.group for tier in policy.tiers)
        )
        self._by_name = {tier.name: tier for tier in policy.tiers}
        self._steps: dict[Hashable, Step] = {}

    def step(
        self,
        facts: RequestFacts,
        states: Mapping[str, TierState],
        attempts: Sequence[Attempt] = (),
        elapsed_ms: float = 0.0,
        system: SystemState = _CALM,
    ) -> Step:
        """Give what `decide` gives."""
        if not self.remembers or facts.deadline_ms is not None or facts.gain is not None:
            return decide(self.policy, facts, states, attempts, elapsed_ms, system)
        tiers: list[Hashable] = []
        for tier in self.policy.tiers:
            state = states.get(tier.name)
            if state is not None and state.rest_ms > 0.0:
                return decide(self.policy, facts, states, attempts, elapsed_ms, system)
            tiers.append(_of_tier(tier, state, facts))
        key = (
            _of_request(facts),
            tuple(tiers),
            tuple(self._of_attempt(one, system) for one in attempts),
            system,
        )
        found = self._steps.get(key)
        if found is None:
            found = decide(self.policy, facts, states, attempts, elapsed_ms, system)
            if len(self._steps) < _MOST:
                self._steps[key] = found
        return found

    def _of_attempt(self, one: Attempt, system: SystemState) -> Hashable:
        tier = self._by_name.get(one.tier)
        reached: Hashable = None
        threshold = None if tier is None else tier.threshold
        if one.confidence is not None and threshold is not None:
            raised = threshold if system.threshold is None else max(threshold, system.threshold)
            reached = (one.confidence >= threshold, one.confidence >= raised)
        return one.tier, one.outcome, one.passing, reached


def _of_request(facts: RequestFacts) -> Hashable:
    return (
        facts.private,
        facts.detected,
        facts.redacted,
        facts.refused,
        facts.region,
        facts.force_location,
        facts.allow_late,
        facts.idempotent,
    )


def _of_tier(tier: TierPolicy, state: TierState | None, facts: RequestFacts) -> Hashable:
    slow = False
    if tier.latency_limit_ms is not None:
        p95_ms = expected_ms(tier, state, facts.input_length, facts.input_bytes)[1]
        slow = p95_ms > tier.latency_limit_ms
    large = facts.input_bytes > tier.max_input_bytes
    if state is None:
        return large, slow
    return (
        large,
        slow,
        state.ready,
        state.circuit_open,
        state.busy,
        state.budget_left,
        state.retries_left,
    )
