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
        self._tiers = [(tier.name, tier) for tier in policy.tiers]
        self._thresholds = {tier.name: tier.threshold for tier in policy.tiers}
        self._steps: dict[Hashable, Step] = {}
        self._system: SystemState | None = None
        self._system_kind: Hashable = None

    def kind_of(self, facts: RequestFacts) -> Hashable:
        """Give what of a request moves a comparison; `None` where its numbers do by themselves."""
        if not self.remembers or facts.deadline_ms is not None or facts.gain is not None:
            return None
        return (
            facts.private,
            facts.detected,
            facts.redacted,
            facts.refused,
            facts.region,
            facts.force_location,
            facts.allow_late,
            facts.idempotent,
            *(facts.input_bytes > tier.max_input_bytes for _, tier in self._tiers),
        )

    def step(
        self,
        facts: RequestFacts,
        states: Mapping[str, TierState],
        attempts: Sequence[Attempt] = (),
        elapsed_ms: float = 0.0,
        system: SystemState = _CALM,
    ) -> Step:
        """Give what `decide` gives."""
        return self.step_of(self.kind_of(facts), facts, states, attempts, elapsed_ms, system)

    def step_of(
        self,
        kind: Hashable,
        facts: RequestFacts,
        states: Mapping[str, TierState],
        attempts: Sequence[Attempt],
        elapsed_ms: float,
        system: SystemState,
    ) -> Step:
        """Give what `decide` gives, to a request whose kind is known."""
        if kind is None:
            return decide(self.policy, facts, states, attempts, elapsed_ms, system)
        if system is not self._system:
            self._system, self._system_kind = system, self._of_system(system)
        key: list[Hashable] = [kind, self._system_kind]
        for name, tier in self._tiers:
            state = states.get(name)
            if state is not None and state.rest_ms > 0.0:
                return decide(self.policy, facts, states, attempts, elapsed_ms, system)
            key.append(_of_tier(tier, state, facts))
        for one in attempts:
            key += (one.tier, one.outcome._value_, one.passing, self._reached(one, system))
        asked = tuple(key)
        found = self._steps.get(asked)
        if found is None:
            found = decide(self.policy, facts, states, attempts, elapsed_ms, system)
            if len(self._steps) < _MOST:
                self._steps[asked] = found
        return found

    def _of_system(self, system: SystemState) -> Hashable:
        return (
            tuple(rule.holds(system.device) for rule in self.policy.device),
            system.certificate_void,
            system.threshold,
            system.hedges_left,
            system.queue_open,
        )

    def _reached(self, one: Attempt, system: SystemState) -> Hashable:
        """Say whether an answer's confidence reaches the threshold, and a void certificate's."""
        threshold = self._thresholds.get(one.tier)
        if one.confidence is None or threshold is None:
            return None
        raised = threshold if system.threshold is None else max(threshold, system.threshold)
        return (one.confidence >= threshold) + 2 * (one.confidence >= raised)


def _of_tier(tier: TierPolicy, state: TierState | None, facts: RequestFacts) -> int:
    slow = False
    if tier.latency_limit_ms is not None:
        p95_ms = expected_ms(tier, state, facts.input_length, facts.input_bytes)[1]
        slow = p95_ms > tier.latency_limit_ms
    if state is None:
        return -1 - slow
    return (
        slow
        + 2 * state.ready
        + 4 * state.circuit_open
        + 8 * state.busy
        + 16 * state.budget_left
        + 32 * state.retries_left
    )
