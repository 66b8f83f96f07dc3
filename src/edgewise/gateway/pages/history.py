"""What the dashboard remembers of decisions: sums, the last quarter of an hour, latencies."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from edgewise.errors import InvalidData
from edgewise.records import Decision, Outcome, Policy

BUCKET_S = 10
_BUCKETS = 90
_LATENCIES = 500
_SET_BACK_S = 60
"""Decisions are seen as they end: one that much older is of a clock that was set back."""
_SUMS = ("decisions", "failed", "spent_usd", "compared_usd", "cloud_usd", "kept_near")
# Looked up once: see `route/candidates.py`.
_ANSWERED, _FAILURES = Outcome.ANSWERED, (Outcome.FAILED, Outcome.TIMED_OUT)
_UNREADABLE = InvalidData.__name__
"""The input's fault, not the tier's."""


class Bucket:
    """The decisions of ten seconds. Made by `History`."""

    __slots__ = ("e_value", "failed", "locations", "reasons", "start_s")

    def __init__(self, start_s: int, e_value: float | None) -> None:
        self.start_s = start_s
        self.e_value = e_value
        self.failed = 0
        self.locations: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def told(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {
            "at_s": self.start_s,
            "failed": self.failed,
            "locations": dict(self.locations),
            "reasons": dict(self.reasons),
            "e_value": self.e_value,
        }


class Calls:
    """What is known of one tier's calls. Made by `History`."""

    __slots__ = ("failed", "latencies_ms", "number")

    def __init__(self, most: int) -> None:
        self.number = 0
        self.failed = 0
        self.latencies_ms: deque[float] = deque(maxlen=most)


class History:
    """Sees each decision once. Made by `attach`, used from the gateway's event loop.

    Parameters
    ----------
    policy
        Gives the policy in service: its farthest tier's price is what always-cloud pays.
    e_value
        Gives the evidence against the certificate at this moment, where something audits.
    """

    def __init__(
        self, policy: Callable[[], Policy], e_value: Callable[[], float | None] = lambda: None
    ) -> None:
        self._policy, self._e_value = policy, e_value
        self._most_latencies = _LATENCIES
        self.buckets: deque[Bucket] = deque(maxlen=_BUCKETS)
        self.locations: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.calls: dict[str, Calls] = {}
        self.decisions = 0
        self.failed = 0
        self.spent_usd = 0.0
        self.compared_usd = 0.0
        """Of that, what requests cost that always-cloud could have answered."""
        self.cloud_usd = 0.0
        self.kept_near = 0
        """Requests that may not reach the farthest tier: always-cloud could not answer them."""

    def see(self, decision: Decision) -> None:
        """Count one decision."""
        start_s = int(decision.at_s // BUCKET_S) * BUCKET_S
        while self.buckets and self.buckets[-1].start_s > start_s + _SET_BACK_S:
            self.buckets.pop()  # of a clock that was ahead
        if not self.buckets or self.buckets[-1].start_s < start_s:
            self.buckets.append(Bucket(start_s, self._e_value()))
        bucket = self.buckets[-1]  # what ended a moment too late counts in the newest
        self.decisions += 1
        if decision.location is None:
            self.failed += 1
            bucket.failed += 1
        else:
            self.locations[decision.location] += 1
            bucket.locations[decision.location] += 1
        for reason in decision.reasons:
            code = reason._value_
            self.reasons[code] += 1
            bucket.reasons[code] += 1
        for attempt in decision.attempts:
            calls = self.calls_of(attempt.tier)
            calls.number += 1
            if attempt.outcome in _FAILURES and attempt.error != _UNREADABLE:
                calls.failed += 1
            if attempt.outcome is _ANSWERED:
                calls.latencies_ms.append(attempt.latency_ms)
        self._pay(decision)

    def calls_of(self, tier: str) -> Calls:
        """Give what is known of a tier's calls, from the first one on."""
        calls = self.calls.get(tier)
        if calls is None:
            calls = self.calls[tier] = Calls(self._most_latencies)
        return calls

    def over_time(self, now_s: float) -> list[dict[str, Any]]:
        """Give each ten seconds of the last quarter of an hour, without requests too.

        It begins with the first that had one; where nothing was decided, the evidence stays.
        """
        end_s = int(now_s // BUCKET_S) * BUCKET_S
        known = {one.start_s: one for one in self.buckets if one.start_s <= end_s}
        start_s = max(min(known, default=end_s + BUCKET_S), end_s - (_BUCKETS - 1) * BUCKET_S)
        e_value = next(
            (known[at].e_value for at in sorted(known, reverse=True) if at < start_s), None
        )
        found = []
        for at_s in range(start_s, end_s + 1, BUCKET_S):
            bucket = known.get(at_s) or Bucket(at_s, e_value)
            e_value = bucket.e_value
            found.append(bucket.told())
        return found

    def state(self) -> dict[str, Any]:
        """Give all of it, as JSON has it."""
        return {
            "sums": [getattr(self, name) for name in _SUMS],
            "locations": dict(self.locations),
            "reasons": dict(self.reasons),
            "calls": {
                tier: [one.number, one.failed, list(one.latencies_ms)]
                for tier, one in self.calls.items()
            },
            "buckets": [one.told() for one in self.buckets],
        }

    def take(self, state: dict[str, Any]) -> None:
        """Add what another process remembers."""
        for name, value in zip(_SUMS, state["sums"], strict=True):
            setattr(self, name, getattr(self, name) + value)
        self.locations.update(state["locations"])
        self.reasons.update(state["reasons"])
        for tier, (number, wrong, latencies_ms) in state["calls"].items():
            calls = self.calls_of(tier)
            calls.number += number
            calls.failed += wrong
            calls.latencies_ms.extend(latencies_ms)
        by_start = {one.start_s: one for one in self.buckets}
        for told in state["buckets"]:
            bucket = by_start.setdefault(told["at_s"], Bucket(told["at_s"], told["e_value"]))
            bucket.failed += told["failed"]
            bucket.locations.update(told["locations"])
            bucket.reasons.update(told["reasons"])
        self.buckets = deque((by_start[at] for at in sorted(by_start)), maxlen=_BUCKETS)

    def whole(self, others: Iterable[dict[str, Any]]) -> "History":
        """Give what this process and others remember together."""
        states = [self.state(), *others]
        if len(states) == 1:
            return self
        made = History(self._policy, self._e_value)
        made._most_latencies = _LATENCIES * len(states)
        for state in states:
            made.take(state)
        return made

    def _pay(self, decision: Decision) -> None:
        self.spent_usd += decision.cost_usd
        farthest = self._policy().tiers[-1]
        if farthest.name not in decision.allowed:
            self.kept_near += 1
            return
        self.compared_usd += decision.cost_usd
        facts = decision.facts
        known = [one.usage for one in decision.attempts if one.usage is not None]
        tokens = (
            (known[-1].input_tokens, known[-1].output_tokens)
            if known
            else (facts.input_tokens, facts.output_tokens)
        )
        self.cloud_usd += farthest.usd(*tokens)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Give the smallest value that this share of the values does not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
