"""Yesterday's requests under another policy: what the log proves, and bounds for the rest.

A log holds each request's facts and how the tiers that were asked did. `decide` of the new policy
is asked again with that evidence. Where it asks a tier that nobody asked then, both answers that
the tier's confidence could lead to are followed, and the request counts as unknown if they end at
different tiers. A tier that was not asked is taken to be up; the report says how many requests
rest on that, and how often it was up when it was asked. Of a request that was stored, the log has
how it was sent later, and not what stood in the way when it came: it is unknown.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgewise.errors import InvalidData, PrivacyViolation, UsageError
from edgewise.observe.reading import read_decisions
from edgewise.records import (
    LATE_TAG,
    Action,
    Attempt,
    Bounds,
    Decision,
    LatencyQuantiles,
    LogReplay,
    Outcome,
    Policy,
    Reason,
    RequestFacts,
    digest,
)
from edgewise.route.candidates import expected_ms
from edgewise.route.decide import allowed_tiers, decide
from edgewise.route.late import LateOutcome
from edgewise.simulate.composing import read_policy
from edgewise.simulate.samples import Sample
from edgewise.simulate.what_if import changed, read_changes

_NOBODY = "none"
_STORED = "why it was stored"
_LATE_ENDS = {one.value for one in LateOutcome}


_Way = tuple[list[Attempt], float, tuple[float, float], tuple[Reason, ...], tuple[str, ...]]
"""Attempts so far, their milliseconds, the least and the most that they cost, reasons, and tiers
that were not asked then."""


@dataclass(frozen=True, slots=True)
class Ending:
    """One way that a request may go under the new policy."""

    tier: str
    low_usd: float
    high_usd: float
    latency_ms: float | None
    """`None` where a tier on the way was not asked then."""
    reasons: tuple[Reason, ...]
    rests_on: tuple[str, ...]
    """Tiers on the way that were not asked then."""


@dataclass(slots=True)
class LogTally:
    """What was seen of a log so far."""

    requests: int = 0
    surely: Counter[str] = field(default_factory=Counter)
    maybe: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    rests_on: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    versions: set[str] = field(default_factory=set)
    low_usd: float = 0.0
    high_usd: float = 0.0
    before_usd: float = 0.0
    changed: int = 0
    maybe_changed: int = 0
    without_gain: int = 0
    latencies_ms: Sample = field(default_factory=Sample)


def replay_files(log: Path, policy: Path, what_if: tuple[str, ...] = ()) -> LogReplay:
    """Replay a log's file through a policy's.

    Raises
    ------
    EdgewiseError
        When a file can't be read, or a change is of a trace, such as its rate: a log is as it was.
    """
    for change in what_if:
        if not read_changes([change]).policy:
            what, hint = f"a log has no `{change}`", "change a field of the policy; "
            hint += "`edgewise simulate` replays a trace with outages, failures, drift and rates"
            raise UsageError(what, where="--what-if", hint=hint)
    new = changed(read_policy(policy), read_changes(what_if).policy)
    return replay_log(read_decisions(log), new, where=str(log))


def replay_log(decisions: Iterable[Decision], policy: Policy, *, where: str = "log") -> LogReplay:
    """Say what a policy would have done to logged requests.

    Raises
    ------
    InvalidData
        When there are none.
    """
    tally = LogTally()
    with tally.latencies_ms:
        for one in decisions:
            stored = _was_stored(one)
            endings = _all_ends(one, policy) if stored else _endings(one, policy)
            _note(tally, one, policy, endings, stored=stored)
        if not tally.requests:
            hint = "give the log of an engine that has answered"
            raise InvalidData("the log holds no decisions", where=where, hint=hint)
        return _report(tally, policy)


def _was_stored(one: Decision) -> bool:
    """Say whether a request waited; a log of before has no tag, but how one ended unanswered."""
    return LATE_TAG in one.tags or (not one.attempts and one.error in _LATE_ENDS)


def _all_ends(one: Decision, policy: Policy) -> list[Ending]:
    """Give every end that a request may have had: any tier that may see it, or none."""
    facts = replace(one.facts, force_location=None)
    prices = {
        name: policy.lineup.by_name[name].usd(facts.input_tokens, facts.output_tokens)
        for name in allowed_tiers(policy, facts)
    }
    most_usd = sum(prices.values())
    return [Ending(name, 0.0, most_usd, None, (), ()) for name in (_NOBODY, *prices)]


def _endings(one: Decision, policy: Policy) -> list[Ending]:
    """Follow a request under the new policy, to each end that the log leaves open."""
    found: list[Ending] = []
    evidence: dict[str, list[Attempt]] = {}
    for attempt in one.attempts:
        evidence.setdefault(attempt.tier, []).append(attempt)
    pending: list[_Way] = [([], 0.0, (0.0, 0.0), (), ())]
    while pending:
        attempts, elapsed_ms, (low_usd, high_usd), reasons, missing = pending.pop()
        try:
            step = decide(policy, one.facts, {}, attempts, elapsed_ms)
        except (PrivacyViolation, UsageError):
            found.append(Ending(_NOBODY, 0.0, 0.0, None, (Reason.FORCED,), ()))
            continue
        reasons = tuple(dict.fromkeys((*reasons, *step.reasons)))
        if step.action is not Action.ASK or step.tier is None:
            ended = step.tier if step.action is Action.ANSWER and step.tier else _NOBODY
            timed = None if missing else _latency(one, attempts, elapsed_ms)
            found.append(Ending(ended, low_usd, high_usd, timed, reasons, missing))
            continue
        nth = sum(attempt.tier == step.tier for attempt in attempts)
        known = evidence.get(step.tier, [])[nth : nth + 1]
        if known and known[0].outcome is not Outcome.CANCELLED:
            follow, absent = known, missing
            least_usd = most_usd = _usd(policy, known[0], one.facts)
        else:
            follow, absent = _open(policy, one, step.tier), (*missing, step.tier)
            tier = policy.lineup.by_name[step.tier]
            least_usd, most_usd = tier.usd(0, 0), _usd(policy, follow[0], one.facts)
        paid = (low_usd + least_usd, high_usd + most_usd)
        pending += [
            ([*attempts, attempt], elapsed_ms + attempt.latency_ms, paid, reasons, absent)
            for attempt in follow
        ]
    return found


def _open(policy: Policy, one: Decision, name: str) -> list[Attempt]:
    """Give the answers that a tier which nobody asked could have given: sure, and not sure."""
    tier, facts = policy.lineup.by_name[name], one.facts
    takes_ms = expected_ms(tier, None, facts.input_length, facts.input_bytes)[0]
    sure = [None] if tier is policy.tiers[-1] or tier.threshold is None else [0.0, 1.0]
    return [
        Attempt(tier=name, outcome=Outcome.ANSWERED, latency_ms=takes_ms, confidence=confidence)
        for confidence in sure
    ]


def _usd(policy: Policy, attempt: Attempt, facts: RequestFacts) -> float:
    """Give what a call costs: by its tokens where the log has them, else the most that it may."""
    if attempt.outcome is Outcome.FAILED:
        return 0.0
    tier = policy.lineup.by_name[attempt.tier]
    usage = attempt.usage
    if usage is None:
        return tier.usd(facts.input_tokens, facts.output_tokens)
    return tier.usd(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens)


def _latency(one: Decision, attempts: list[Attempt], elapsed_ms: float) -> float:
    """Give the time that was measured where the way is the same, else that of its attempts."""
    same = [attempt.tier for attempt in attempts] == [attempt.tier for attempt in one.attempts]
    return one.latency_ms if same else elapsed_ms


def _before(one: Decision, policy: Policy) -> str:
    """Give the tier that answered then, which the new policy may not have.

    A location may stand for the nearest or the farthest of two tiers with names of their own.
    """
    if one.location is None:
        return _NOBODY
    place = one.location.removesuffix("_fallback")
    answered = [each.tier for each in one.attempts if each.outcome is Outcome.ANSWERED]
    names = answered or [tier.name for tier in policy.tiers]
    if place in names:
        return place
    return names[0] if place == "edge" else names[-1]


def _note(
    tally: LogTally, one: Decision, policy: Policy, endings: list[Ending], *, stored: bool
) -> None:
    tally.requests += 1
    tally.versions.add(one.policy_version)
    for attempt in one.attempts:
        if attempt.outcome is not Outcome.CANCELLED:
            tally.asked[attempt.tier] += 1
            tally.answered[attempt.tier] += attempt.outcome is Outcome.ANSWERED
    facts = one.facts
    # Of these no gain is predicted, or none is asked for.
    others = facts.private or facts.detected or facts.refused or facts.force_location
    tally.without_gain += policy.preroute is not None and facts.gain is None and not others
    before = _before(one, policy)
    tally.before[before] += 1
    tally.before_usd += one.cost_usd
    tiers = {ending.tier for ending in endings}
    tally.maybe.update(tiers)
    tally.low_usd += min(ending.low_usd for ending in endings)
    tally.high_usd += max(ending.high_usd for ending in endings)
    tally.maybe_changed += bool(tiers - {before})
    tally.changed += before not in tiers
    if len(tiers) > 1:
        lacks = _STORED if stored else f"confidence of {endings[0].rests_on[0]}"
        tally.unknown[lacks] += 1
        return
    first = endings[0]
    tally.surely[first.tier] += 1
    tally.rests_on.update({name for ending in endings for name in ending.rests_on})
    tally.reasons.update(reason.value for reason in first.reasons)
    if len(endings) == 1 and first.latency_ms is not None and first.tier != _NOBODY:
        tally.latencies_ms.add(np.array([first.latency_ms]))


def _report(tally: LogTally, policy: Policy) -> LogReplay:
    n = tally.requests
    names = [tier.name for tier in policy.tiers]
    names += sorted(name for name in {*tally.before, *tally.maybe} if name not in names)
    latency = LatencyQuantiles(p50=None, p95=None, p99=None)
    if tally.latencies_ms.n:
        p50, p95, p99 = tally.latencies_ms.quantiles((0.5, 0.95, 0.99))
        latency = LatencyQuantiles(p50=p50, p95=p95, p99=p99)
    warnings = [
        f"{count} requests rest on {name}, which was not asked then, being up: it answered "
        f"{tally.answered[name]} of the {tally.asked[name]} times that it was asked"
        for name, count in sorted(tally.rests_on.items())
    ]
    warnings.append(
        "confidences are those logged: they hold where bundle and confidence map stay the same"
    )
    if tally.without_gain:
        what = f"{tally.without_gain} requests have no predicted gain in the log"
        warnings.append(f"{what}: none of them is pre-routed")
    warnings += _left_out(policy)
    return LogReplay(
        requests=n,
        known_share=sum(tally.surely.values()) / n,
        unknown=dict(sorted(tally.unknown.items())),
        share={
            name: Bounds(low=tally.surely[name] / n, high=tally.maybe[name] / n) for name in names
        },
        share_before={name: count / n for name, count in sorted(tally.before.items())},
        cost_usd=Bounds(low=tally.low_usd, high=tally.high_usd),
        cost_usd_before=tally.before_usd,
        changed=Bounds(low=tally.changed / n, high=tally.maybe_changed / n),
        latency_ms=latency,
        latency_known_share=tally.latencies_ms.n / n,
        reasons=dict(sorted(tally.reasons.items())),
        policy_version=digest(policy),
        policy_versions_before=tuple(sorted(tally.versions)),
        warnings=tuple(warnings),
    )


def _left_out(policy: Policy) -> list[str]:
    """Say which rules hang on a state that a log does not hold."""
    rules = {
        "its budget": policy.budget is not None,
        "its limits of calls at once": any(one.max_in_flight is not None for one in policy.tiers),
        "its rules of the device's state": bool(policy.device),
        "its hedges": policy.hedge is not None,
        "its store of requests that may wait": policy.offline is not None,
    }
    absent = [words for words, is_there in rules.items() if is_there]
    if not absent:
        return []
    return [f"decided without {' and '.join(absent)}: a log does not say how that stood"]
