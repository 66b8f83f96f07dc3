"""What another policy would have decided, on the same facts. Pure: nobody is asked."""

from collections import Counter
from typing import Any

from edgewise.errors import EdgewiseError
from edgewise.records import Action, Attempt, Decision, Outcome, Policy, digest
from edgewise.route import decide, location_of

_UNKNOWN = "unknown"
_REFUSED = "refused"


class Shadow:
    """Compares a policy's decisions with those that were made. Made by the rollout.

    Confidences are those that the policy in service read. Where the other would have asked a tier
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

    def see(self, decision: Decision) -> None:
        """Compare one decision."""
        location, cost_usd = self.would(decision)
        self.compared += 1
        self.cost_usd[0] += decision.cost_usd
        self.cost_usd[1] += cost_usd
        was = decision.location or "none"
        if location != was:
            self.changed[(was, location)] += 1

    def would(self, decision: Decision) -> tuple[str, float]:
        """Give where a request would have been answered, and for how much."""
        known = {one.tier: one for one in decision.attempts}
        tried: list[Attempt] = []
        cost_usd = 0.0
        for _ in range(len(self.policy.tiers) * 2 + 1):
            try:
                step = decide(self.policy, decision.facts, {}, tried)
            except EdgewiseError:
                return _REFUSED, cost_usd
            tier = step.tier
            if step.action is Action.ANSWER and tier is not None:
                return location_of(self.policy, tried, tier, step.reasons), cost_usd
            if step.action is not Action.ASK or tier is None:
                return "none", cost_usd
            cost_usd += self._usd(tier, decision, known.get(tier))
            if tier not in known:
                return location_of(self.policy, tried, tier, step.reasons), cost_usd
            tried.append(known.pop(tier))
        return _UNKNOWN, cost_usd

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
