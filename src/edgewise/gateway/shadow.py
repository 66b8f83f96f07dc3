"""What another policy would have decided, on the same facts. Pure: nobody is asked."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewise.errors import EdgewiseError
from edgewise.records import (
    Action,
    Attempt,
    Decision,
    Outcome,
    Policy,
    Reason,
    TierState,
    digest,
)
from edgewise.route import decide, location_of

_UNKNOWN = "unknown"
_REFUSED = "refused"
_OUT = TierState(ready=False, retries_left=False)
_STATES = {
    Reason.NOT_LOADED: _OUT,
    Reason.CIRCUIT_OPEN: TierState(circuit_open=True, retries_left=False),
    Reason.TOLD_TO_WAIT: TierState(rest_ms=float("inf"), retries_left=False),
    Reason.BUSY: TierState(busy=True, retries_left=False),
    Reason.BUDGET_SPENT: TierState(budget_left=False, retries_left=False),
}
"""By why a tier was left alone, what it was like."""


class Shadow:
    """Compares a policy's decisions with those that were made. Made by the rollout.

    Confidences are those that the policy in service read. A tier that it left alone, as one whose
    circuit was open, is left alone by the other too. Where the other would have asked a tier
    that was not asked, what that tier would have said is unknown: then its place counts, as the
    one where the request would have gone, and its price as the policy has it. A call's tokens are
    those that it had, else those of another one for the request, else the most that it may have.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.compared = 0
        self.changed: Counter[tuple[str, str]] = Counter()
        self.cost_usd = [0.0, 0.0]
        self._tiers = {tier.name: tier for tier in policy.tiers}

    def see(self, decision: Decision, in_service: Policy | None = None) -> None:
        """Compare one decision; as `would`."""
        location, cost_usd = self.would(decision, in_service)
        self.compared += 1
        self.cost_usd[0] += decision.cost_usd
        self.cost_usd[1] += cost_usd
        was = decision.location or "none"
        if location != was:
            self.changed[(was, location)] += 1

    def would(self, decision: Decision, in_service: Policy | None = None) -> tuple[str, float]:
        """Give where a request would have been answered, and for how much.

        Parameters
        ----------
        in_service
            The policy that decided, which shows what tiers were left alone; without it, none.
        """
        out = {} if in_service is None else _left_alone(in_service, decision)
        way = _way_of(self.policy, decision, out)
        return way.location, sum(self._usd(tier, decision, known) for tier, known in way.asked)

    def _usd(self, tier: str, decision: Decision, known: Attempt | None) -> float:
        """Give what a call of a tier costs by this policy; one that failed for free, nothing."""
        if known is not None and known.outcome is Outcome.FAILED and not known.cost_usd:
            return 0.0
        told = [one.usage for one in (known, *decision.attempts) if one is not None and one.usage]
        if not told:
            facts = decision.facts
            return self._tiers[tier].usd(facts.input_tokens, facts.output_tokens)
        usage = told[0]
        return self._tiers[tier].usd(
            usage.input_tokens, usage.output_tokens, usage.cached_input_tokens
        )

    def report(self) -> dict[str, Any]:
        """Give what would have changed."""
        changes = [
            {"from": was, "to": location, "requests": count}
            for (was, location), count in self.changed.most_common()
        ]
        return {
            "policy_version": digest(self.policy),
            "compared": self.compared,
            "changed": sum(self.changed.values()),
            "changes": changes,
            "cost_usd": {"in_service": self.cost_usd[0], "shadow": self.cost_usd[1]},
        }


@dataclass(frozen=True, slots=True)
class _Way:
    """How a request goes by a policy. Made by `_way_of`."""

    location: str
    asked: list[tuple[str, Attempt | None]]
    """The last one has no attempt where nobody asked that tier then."""


def _way_of(policy: Policy, decision: Decision, out: Mapping[str, TierState]) -> _Way:
    """Follow a request as far as it is known what tiers said.

    Parameters
    ----------
    out
        Tiers that were left alone once they had said what is known of them.
    """
    known: dict[str, list[Attempt]] = {}
    for one in decision.attempts:
        known.setdefault(one.tier, []).append(one)
    tried: list[Attempt] = []
    asked: list[tuple[str, Attempt | None]] = []
    reasons: tuple[Reason, ...] = ()
    for _ in range(len(policy.tiers) * 2 + len(decision.attempts)):
        states = {name: state for name, state in out.items() if not known.get(name)}
        try:
            step = decide(policy, decision.facts, states, tried)
        except EdgewiseError:
            return _Way(_REFUSED, asked)
        tier, reasons = step.tier, (*reasons, *step.reasons)
        if step.action is Action.ANSWER and tier is not None:
            return _Way(location_of(policy, tried, tier, reasons), asked)
        if step.action is not Action.ASK or tier is None:
            return _Way("none", asked)
        if not known.get(tier):
            asked.append((tier, None))
            return _Way(location_of(policy, tried, tier, reasons), asked)
        tried.append(known[tier].pop(0))
        asked.append((tier, tried[-1]))
    return _Way(_UNKNOWN, asked)


def _left_alone(policy: Policy, decision: Decision) -> dict[str, TierState]:
    """Find the tiers that a policy would have asked had they been as always, and did not."""
    why = [_STATES[reason] for reason in decision.reasons if reason in _STATES]
    if not why and all(one.outcome is Outcome.ANSWERED for one in decision.attempts):
        return {}
    found: dict[str, TierState] = {}
    for _ in policy.tiers:
        asked = _way_of(policy, decision, found).asked
        if not asked or asked[-1][1] is not None or asked[-1][0] in found:
            break
        found[asked[-1][0]] = why[min(len(found), len(why) - 1)] if why else _OUT
    return found
