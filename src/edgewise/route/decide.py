"""The decision: pure, so that live traffic and simulation run the same code.

`decide` reads a policy, the facts of one request, the state of each tier and what was tried, and
gives the next step. The engine carries the step out and asks again until it is told to answer, to
store the request or to give up. No clock, no chance, no I/O.

The order: force → privacy set → feasibility → availability → budget → pre-route → nearest first,
unless it is too slow, the device's state is against it or its certificate is void → deferral →
on failure an equal tier, a farther one, a retry, the answer at hand, a nearer one → the queue →
give up.
"""

from collections.abc import Mapping, Sequence

from edgewise.errors import PrivacyViolation, UsageError
from edgewise.records import (
    Attempt,
    OnVoid,
    Outcome,
    Policy,
    Reason,
    RequestFacts,
    Step,
    SystemState,
    TierKind,
    TierState,
)
from edgewise.route.candidates import Candidates

_WHY_LOCATION_FELL_BACK = (
    Reason.CIRCUIT_OPEN,
    Reason.NOT_LOADED,
    Reason.TOLD_TO_WAIT,
    Reason.BUSY,
)
_CALM = SystemState()
# Members that most decisions ask for: see `candidates.py`.
_ANSWERED, _NEAREST_FIRST, _CONFIDENT = Outcome.ANSWERED, Reason.NEAREST_FIRST, Reason.CONFIDENT
_LAST_TIER, _CLOUD = Reason.LAST_TIER, TierKind.CLOUD


def decide(
    policy: Policy,
    facts: RequestFacts,
    states: Mapping[str, TierState],
    attempts: Sequence[Attempt] = (),
    elapsed_ms: float = 0.0,
    system: SystemState = _CALM,
) -> Step:
    """Give the next step for a request.

    Parameters
    ----------
    states
        By tier name; a tier that is absent is taken as ready, with the policy's round trip.
    attempts
        What was tried for this request, in order. A tier is asked again only as a retry.
    elapsed_ms
        Since the request was accepted.
    system
        What holds for all tiers: the device, the certificate, what hedges and the queue allow.

    Raises
    ------
    UsageError
        When the forced tier does not exist.
    PrivacyViolation
        When the forced tier is outside the privacy set.
    """
    allowed = allowed_tiers(policy, facts)
    location = facts.force_location
    forced = None if location is None else _forced_tier(policy, facts, location, allowed)
    request = Candidates(policy, facts, states, attempts, elapsed_ms, system)
    request.limit(allowed, _privacy_reasons(policy, facts), forced)
    if not attempts:
        return _first(request)
    last = attempts[-1]
    if last.outcome is _ANSWERED:
        return _after_answer(request, last)
    return _after_failure(request, last)


def allowed_tiers(policy: Policy, facts: RequestFacts) -> tuple[str, ...]:
    """Give the privacy set, from near to far: what the flag, the detectors and residency leave."""
    if facts.refused:
        return ()
    lineup = policy.lineup
    names = lineup.on_device if facts.private or facts.detected else lineup.names
    home = lineup.home_of(facts.region)
    return names if home is None else tuple(name for name in names if name in home)


def late_tiers(
    policy: Policy, facts: RequestFacts, allowed: Sequence[str], attempts: Sequence[Attempt]
) -> tuple[str, ...]:
    """Give the tiers that may answer a stored request: the forced one, or beyond the doubted."""
    if facts.force_location is not None:
        return (resolve_location(policy, facts.force_location),)
    ranks = policy.lineup.ranks
    answered = [ranks[one.tier] for one in attempts if one.outcome is _ANSWERED]
    doubted = max(answered, default=-1)
    return tuple(name for name in allowed if ranks[name] > doubted)


def resolve_location(policy: Policy, location: str) -> str:
    """Give the name of the tier that a location means: a tier's name, `edge` or `cloud`.

    Raises
    ------
    UsageError
        When it means none.
    """
    names = policy.lineup.names
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
    or `edge_fallback` (the cloud failed or was out); with more, or two that are equal, the tier's
    name.
    """
    tiers = policy.tiers
    if len(tiers) > 2 or (len(tiers) == 2 and policy.lineup.last_rank == 0):
        return tier
    if len(tiers) == 1:
        return "cloud" if tiers[0].kind is _CLOUD else "edge"
    near = tier == tiers[0].name
    # A hedge that was overtaken replaced nothing.
    replaced = any(
        one.tier != tier and (not near or one.outcome is not Outcome.CANCELLED) for one in attempts
    )
    replaced = replaced or any(reason in _WHY_LOCATION_FELL_BACK for reason in reasons)
    if near:
        return "edge_fallback" if replaced else "edge"
    return "cloud_fallback" if replaced else "cloud"


def _first(request: Candidates) -> Step:
    usable, timely, reasons = request.left()
    if request.out_of_time():
        return request.give_up(*reasons, Reason.DEADLINE_PASSED)
    if not usable:
        return request.give_up(*reasons)
    if request.forced is not None:
        return request.ask(usable[0], *reasons, Reason.FORCED)
    nearest = timely[0] if timely else usable[0]
    skipped: list[Reason] = []
    chosen = None
    for tier in timely or [nearest]:
        why = request.unwanted(tier, timely)
        if why is None:
            chosen = tier
            break
        if why not in skipped:
            skipped.append(why)
    tier = nearest if chosen is None else chosen
    if chosen is None or not skipped:
        skipped.append(_NEAREST_FIRST)
    nothing_nearer = request.ranks[tier.name] == request.ranks[request.may[0].name]
    if timely and nothing_nearer and len(skipped) == 1:
        return request.ask(tier, *skipped)
    return request.ask(tier, *reasons, *skipped)


def _after_answer(request: Candidates, last: Attempt) -> Step:
    rank = request.rank(last.tier)
    if request.forced is not None:
        return request.answer(last.tier, Reason.FORCED)
    if rank == request.last_rank:
        return request.answer(last.tier, _LAST_TIER)
    threshold, void = _threshold(request, last.tier, rank)
    if threshold is not None and last.confidence is not None and last.confidence >= threshold:
        return request.answer(last.tier, *void, _CONFIDENT)
    why = (*void, Reason.LOW_CONFIDENCE)
    if threshold is None:
        why = void or (Reason.UNCERTIFIED,)
    if request.out_of_time():
        reasons = [Reason.DEADLINE_PASSED]
    else:
        _, timely, reasons = request.left()
        for tier in timely:
            if request.ranks[tier.name] > rank:
                return request.ask(tier, *why)
    if request.may_wait(rank):
        return request.queue(*why, *reasons, Reason.DEFERRAL_IMPOSSIBLE)
    return request.answer(last.tier, *why, *reasons, Reason.DEFERRAL_IMPOSSIBLE)


def _threshold(
    request: Candidates, name: str, rank: int
) -> tuple[float | None, tuple[Reason, ...]]:
    """Give a tier's threshold as the certificate's state leaves it, and why it is another."""
    threshold = request.lineup.by_name[name].threshold
    if not request.system.certificate_void or rank > 0:
        return threshold, ()
    raised = request.system.threshold
    if request.policy.on_void is OnVoid.WARN:
        return threshold, (Reason.CERTIFICATE_VOID,)
    if request.policy.on_void is OnVoid.CLOUD_ONLY or threshold is None or raised is None:
        return None, (Reason.CERTIFICATE_VOID,)
    return max(threshold, raised), (Reason.CERTIFICATE_VOID,)


def _after_failure(request: Candidates, last: Attempt) -> Step:
    kept = next((one for one in reversed(request.attempts) if one.outcome is _ANSWERED), None)
    usable, timely, reasons = request.left()
    if request.out_of_time():
        timely, usable, reasons = [], [], [Reason.DEADLINE_PASSED]
    rank = request.rank(last.tier)
    others = [one for one in timely if request.ranks[one.name] >= rank]
    if others:
        equal = request.ranks[others[0].name] == rank
        why = Reason.STAND_IN if equal else Reason.FALLBACK
        return request.ask(others[0], Reason.TIER_FAILED, why)
    again = _retry(request, last)
    if again is not None:
        return again
    if kept is not None:
        return _settle(request, kept, tuple(reasons))
    if not usable:
        return request.give_up(Reason.TIER_FAILED, *reasons)
    # Nearer and in time, the farthest of them first; else the nearest is the last resort.
    tier = timely[-1] if timely else usable[0]
    return request.ask(tier, Reason.TIER_FAILED, *reasons, Reason.FALLBACK)


def _settle(request: Candidates, kept: Attempt, reasons: tuple[Reason, ...]) -> Step:
    """Take the doubtful answer at hand, or wait for a better one where the caller can."""
    if request.may_wait(request.rank(kept.tier)):
        return request.queue(Reason.TIER_FAILED, *reasons)
    return request.answer(kept.tier, Reason.TIER_FAILED, *reasons, Reason.FALLBACK)


def _retry(request: Candidates, last: Attempt) -> Step | None:
    """Give the step that asks the tier that failed once more, where that is worth it."""
    rules = request.policy.retry
    tries = sum(one.tier == last.tier for one in request.attempts)
    if not (last.passing and request.facts.idempotent) or tries > rules.most:
        return None
    tier = next((one for one in request.may if one.name == last.tier), None)
    if tier is None:  # what may not be asked may not be asked again
        return None
    state = request.states.get(tier.name)
    pause_ms = rules.pause_ms * 2.0 ** (tries - 1)
    if state is not None:
        if not state.retries_left or request.out(tier) not in (None, Reason.TOLD_TO_WAIT):
            return None
        if state.rest_ms > rules.pause_ms and request.remaining_ms is None:
            return None  # without a deadline nobody said that waiting long is welcome
        pause_ms += state.rest_ms
    if request.out_of_time() or not request.in_time(tier, pause_ms):
        return None
    return request.ask(tier, Reason.TIER_FAILED, Reason.RETRY, pause_ms=pause_ms)


def _forced_tier(
    policy: Policy, facts: RequestFacts, location: str, allowed: tuple[str, ...]
) -> str:
    forced = resolve_location(policy, location)
    if forced not in allowed:
        causes = ", ".join(reason.value for reason in _privacy_reasons(policy, facts))
        what = f"tier `{forced}` may not see this request ({causes})"
        hint = f"allowed: {', '.join(allowed) or 'none'}; leave force_location out"
        raise PrivacyViolation(what, where="force_location", hint=hint)
    return forced


def _privacy_reasons(policy: Policy, facts: RequestFacts) -> tuple[Reason, ...]:
    if not (facts.private or facts.detected or facts.refused or facts.region):
        return ()
    reasons = []
    if facts.refused:
        reasons.append(Reason.PRIVACY_REFUSED)
    if facts.private:
        reasons.append(Reason.PRIVACY_FLAG)
    if facts.detected:
        reasons.append(Reason.PRIVACY_DETECTED)
    if policy.lineup.home_of(facts.region) is not None:
        reasons.append(Reason.RESIDENCY)
    return tuple(reasons)
