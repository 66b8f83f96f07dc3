"""The decision: pure, so that live traffic and simulation run the same code.

`decide` reads a policy, the facts of one request, the state of each tier and what was tried, and
gives the next step. The engine carries the step out and asks again until it is told to answer or
to give up. No clock, no chance, no I/O.

The order: force → privacy set → feasibility → availability → nearest first, unless it is too slow
→ deferral → fallback, farther first, then nearer → give up.
"""

from collections.abc import Mapping, Sequence

from edgewise.errors import PrivacyViolation, UsageError
from edgewise.records import (
    Action,
    Attempt,
    Outcome,
    Policy,
    Reason,
    RequestFacts,
    Step,
    TierKind,
    TierPolicy,
    TierState,
)

_NO_TIME_MS = 0.001  # less than any call takes; what rounding leaves of a deadline is no time
_WHY_LOCATION_FELL_BACK = (Reason.CIRCUIT_OPEN, Reason.NOT_LOADED)


def decide(
    policy: Policy,
    facts: RequestFacts,
    states: Mapping[str, TierState],
    attempts: Sequence[Attempt] = (),
    elapsed_ms: float = 0.0,
) -> Step:
    """Give the next step for a request.

    Parameters
    ----------
    states
        By tier name; a tier that is absent is taken as ready, with the policy's round trip.
    attempts
        What was tried for this request, in order; no tier is asked twice.
    elapsed_ms
        Since the request was accepted.

    Raises
    ------
    UsageError
        When the forced tier does not exist.
    PrivacyViolation
        When the forced tier is outside the privacy set.
    """
    allowed = allowed_tiers(policy, facts)
    forced = _forced_tier(policy, facts, allowed)
    request = _Request(policy, facts, states, attempts, elapsed_ms, allowed, forced)
    if not attempts:
        return _first(request)
    last = attempts[-1]
    if last.outcome is Outcome.ANSWERED:
        return _after_answer(request, last)
    return _after_failure(request)


def allowed_tiers(policy: Policy, facts: RequestFacts) -> tuple[str, ...]:
    """Give the privacy set, from near to far: what the flag, the detectors and residency leave."""
    if facts.private or facts.detected:
        names = [tier.name for tier in policy.tiers if tier.kind is TierKind.DEVICE]
    else:
        names = [tier.name for tier in policy.tiers]
    home = _residency(policy, facts)
    return tuple(names) if home is None else tuple(name for name in names if name in home)


def resolve_location(policy: Policy, location: str) -> str:
    """Give the name of the tier that a location means: a tier's name, `edge` or `cloud`.

    Raises
    ------
    UsageError
        When it means none.
    """
    names = [tier.name for tier in policy.tiers]
    if location in names:
        return location
    if location == "edge" and (len(names) > 1 or policy.tiers[0].kind is not TierKind.CLOUD):
        return names[0]
    if location == "cloud" and (len(names) > 1 or policy.tiers[0].kind is TierKind.CLOUD):
        return names[-1]
    hint = f"one of {', '.join(names)}, or edge or cloud for the nearest and the farthest"
    raise UsageError(f"no tier is called `{location}`", where="force_location", hint=hint)


def location_of(
    policy: Policy, attempts: Sequence[Attempt], tier: str, reasons: Sequence[Reason] = ()
) -> str:
    """Name where an answer came from, as the result says it.

    With at most two tiers: `edge`, `cloud`, `cloud_fallback` (the edge deferred, failed or was out)
    or `edge_fallback` (the cloud failed or was out); with more, the tier's name.
    """
    tiers = policy.tiers
    if len(tiers) > 2:
        return tier
    if len(tiers) == 1:
        return "cloud" if tiers[0].kind is TierKind.CLOUD else "edge"
    near = tier == tiers[0].name
    replaced = any(attempt.tier != tier for attempt in attempts)
    replaced = replaced or any(reason in _WHY_LOCATION_FELL_BACK for reason in reasons)
    if near:
        return "edge_fallback" if replaced else "edge"
    return "cloud_fallback" if replaced else "cloud"


def expected_ms(
    tier: TierPolicy, state: TierState | None, input_length: int
) -> tuple[float, float]:
    """Give the expected p50 and p95 of one answer of a tier, in milliseconds."""
    p50_ms = state.rtt_p50_ms if state is not None else tier.rtt_p50_ms
    p95_ms = state.rtt_p95_ms if state is not None else tier.rtt_p95_ms
    latency = tier.latency
    if not latency:
        return p50_ms, p95_ms
    for limit in latency:
        if input_length <= limit.up_to_length:
            break
    return p50_ms + limit.p50_ms, p95_ms + limit.p95_ms


class _Request:
    """One request in the middle of its decision; lives for one call of `decide`."""

    __slots__ = (
        "allowed",
        "attempts",
        "candidates",
        "facts",
        "forced",
        "policy",
        "privacy",
        "remaining_ms",
        "states",
    )

    def __init__(
        self,
        policy: Policy,
        facts: RequestFacts,
        states: Mapping[str, TierState],
        attempts: Sequence[Attempt],
        elapsed_ms: float,
        allowed: tuple[str, ...],
        forced: str | None,
    ) -> None:
        self.policy = policy
        self.facts = facts
        self.states = states
        self.attempts = attempts
        self.allowed = allowed
        self.forced = forced
        deadline_ms = policy.deadline_ms if facts.deadline_ms is None else facts.deadline_ms
        self.remaining_ms = None if deadline_ms is None else deadline_ms - elapsed_ms
        self.privacy = _privacy_reasons(policy, facts)
        self.candidates = [
            tier
            for tier in policy.tiers
            if tier.name in allowed and (forced is None or tier.name == forced)
        ]

    def out(self, tier: TierPolicy) -> Reason | None:
        """Say why a tier can't be asked at all; `None` when it can."""
        if self.facts.input_bytes > tier.max_input_bytes:
            return Reason.TOO_LARGE
        state = self.states.get(tier.name)
        if state is None:
            return None
        if not state.ready:
            return Reason.NOT_LOADED
        return Reason.CIRCUIT_OPEN if state.circuit_open else None

    def expected(self, tier: TierPolicy) -> tuple[float, float]:
        return expected_ms(tier, self.states.get(tier.name), self.facts.input_length)

    def out_of_time(self) -> bool:
        return self.remaining_ms is not None and self.remaining_ms <= _NO_TIME_MS

    def in_time(self, tier: TierPolicy) -> bool:
        return self.remaining_ms is None or self.expected(tier)[0] <= self.remaining_ms

    def too_slow(self, tier: TierPolicy) -> bool:
        limit_ms = tier.latency_limit_ms
        return limit_ms is not None and self.expected(tier)[1] > limit_ms

    def left(self) -> tuple[list[TierPolicy], list[TierPolicy], list[Reason]]:
        """Give tiers not tried yet that can be asked, those of them in time, and the others' why.

        Both lists run from near to far.
        """
        tried = [attempt.tier for attempt in self.attempts]
        usable: list[TierPolicy] = []
        timely: list[TierPolicy] = []
        reasons: list[Reason] = []
        for tier in self.candidates:
            if tier.name in tried:
                continue
            why = self.out(tier)
            if why is not None:
                reasons.append(why)
                continue
            usable.append(tier)
            if self.in_time(tier):
                timely.append(tier)
            else:
                reasons.append(Reason.DEADLINE_TOO_SHORT)
        return usable, timely, reasons

    def ask(self, tier: TierPolicy, *reasons: Reason) -> Step:
        timeout_ms = self.remaining_ms
        if timeout_ms is not None:
            timeout_ms = self._leave_time(tier, timeout_ms)
        return Step(
            action=Action.ASK,
            tier=tier.name,
            allowed=self.allowed,
            reasons=(*self.privacy, *reasons),
            timeout_ms=timeout_ms,
        )

    def answer(self, tier: str, *reasons: Reason) -> Step:
        return Step(
            action=Action.ANSWER,
            tier=tier,
            allowed=self.allowed,
            reasons=(*self.privacy, *reasons),
        )

    def give_up(self, *reasons: Reason) -> Step:
        return Step(
            action=Action.GIVE_UP,
            tier=None,
            allowed=self.allowed,
            reasons=(*self.privacy, *reasons),
        )

    def _leave_time(self, tier: TierPolicy, remaining_ms: float) -> float:
        """Keep enough of the deadline for a nearer tier to answer should this one hang."""
        if any(attempt.outcome is Outcome.ANSWERED for attempt in self.attempts):
            return remaining_ms
        usable, _, _ = self.left()
        for nearer in usable[: usable.index(tier)]:
            kept_ms = remaining_ms - self.expected(nearer)[1]
            if kept_ms >= self.expected(tier)[1] and kept_ms > 0.0:
                return kept_ms
        return remaining_ms


def _first(request: _Request) -> Step:
    usable, timely, reasons = request.left()
    if request.out_of_time():
        return request.give_up(*reasons, Reason.DEADLINE_PASSED, Reason.NO_TIER_LEFT)
    if not usable:
        return request.give_up(*reasons, Reason.NO_TIER_LEFT)
    if request.forced is not None:
        return request.ask(usable[0], *reasons, Reason.FORCED)
    nearest = timely[0] if timely else usable[0]
    tier = next((tier for tier in timely if not request.too_slow(tier)), nearest)
    if tier is not nearest:
        return request.ask(tier, *reasons, Reason.EDGE_TOO_SLOW)
    if tier is request.candidates[0] and not request.too_slow(tier) and timely:
        return request.ask(tier, Reason.NEAREST_FIRST)
    if request.too_slow(tier):
        reasons.append(Reason.EDGE_TOO_SLOW)
    return request.ask(tier, *reasons, Reason.NEAREST_FIRST)


def _after_answer(request: _Request, last: Attempt) -> Step:
    tiers = request.policy.tiers
    place = _place(tiers, last.tier)
    if request.forced is not None:
        return request.answer(last.tier, Reason.FORCED)
    if place == len(tiers) - 1:
        return request.answer(last.tier, Reason.LAST_TIER)
    threshold = tiers[place].threshold
    if threshold is not None and last.confidence is not None and last.confidence >= threshold:
        return request.answer(last.tier, Reason.CONFIDENT)
    why = Reason.UNCERTIFIED if threshold is None else Reason.LOW_CONFIDENCE
    if request.out_of_time():
        return request.answer(last.tier, why, Reason.DEADLINE_PASSED, Reason.DEFERRAL_IMPOSSIBLE)
    _, timely, reasons = request.left()
    for tier in timely:
        if _place(tiers, tier.name) > place:
            return request.ask(tier, why)
    return request.answer(last.tier, why, *reasons, Reason.DEFERRAL_IMPOSSIBLE)


def _after_failure(request: _Request) -> Step:
    tiers = request.policy.tiers
    kept = next(
        (one.tier for one in reversed(request.attempts) if one.outcome is Outcome.ANSWERED), None
    )
    usable, timely, reasons = request.left()
    if request.out_of_time():
        if kept is not None:
            return request.answer(kept, Reason.TIER_FAILED, Reason.DEADLINE_PASSED, Reason.FALLBACK)
        return request.give_up(Reason.TIER_FAILED, Reason.DEADLINE_PASSED, Reason.NO_TIER_LEFT)
    place = _place(tiers, request.attempts[-1].tier)
    for tier in timely:
        if _place(tiers, tier.name) > place:
            return request.ask(tier, Reason.TIER_FAILED, Reason.FALLBACK)
    if kept is not None:
        return request.answer(kept, Reason.TIER_FAILED, *reasons, Reason.FALLBACK)
    if usable:
        # Nearer and in time, the farthest of them first; else the nearest is the last resort.
        tier = timely[-1] if timely else usable[0]
        return request.ask(tier, Reason.TIER_FAILED, *reasons, Reason.FALLBACK)
    return request.give_up(Reason.TIER_FAILED, *reasons, Reason.NO_TIER_LEFT)


def _forced_tier(policy: Policy, facts: RequestFacts, allowed: tuple[str, ...]) -> str | None:
    if facts.force_location is None:
        return None
    forced = resolve_location(policy, facts.force_location)
    if forced not in allowed:
        causes = ", ".join(reason.value for reason in _privacy_reasons(policy, facts))
        what = f"tier `{forced}` may not see this request ({causes})"
        hint = f"allowed: {', '.join(allowed) or 'none'}; leave force_location out"
        raise PrivacyViolation(what, where="force_location", hint=hint)
    return forced


def _privacy_reasons(policy: Policy, facts: RequestFacts) -> tuple[Reason, ...]:
    if not (facts.private or facts.detected or facts.region):
        return ()
    reasons = []
    if facts.private:
        reasons.append(Reason.PRIVACY_FLAG)
    if facts.detected:
        reasons.append(Reason.PRIVACY_DETECTED)
    if _residency(policy, facts) is not None:
        reasons.append(Reason.RESIDENCY)
    return tuple(reasons)


def _residency(policy: Policy, facts: RequestFacts) -> tuple[str, ...] | None:
    if facts.region is None:
        return None
    region = facts.region.strip().casefold()
    for name, tiers in policy.privacy.residency.items():
        if name.strip().casefold() == region:
            return tiers
    return None


def _place(tiers: tuple[TierPolicy, ...], name: str) -> int:
    for place, tier in enumerate(tiers):
        if tier.name == name:
            return place
    raise UsageError(
        f"an attempt names the unknown tier `{name}`", where="attempts", hint="use the same policy"
    )
