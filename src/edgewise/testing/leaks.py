"""Plays requests through the decision, with every fault on the way, and counts what leaked.

The count trusts nothing that it tests: which tiers may see a request follows from how the request
was made, and a leak is a payload in front of a tier that may not see it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from edgewise.errors import PrivacyViolation
from edgewise.records import (
    Action,
    Attempt,
    AuditRules,
    DeviceRule,
    DeviceState,
    HedgeRules,
    OnVoid,
    Outcome,
    Policy,
    PreRouteRules,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    Reason,
    RequestFacts,
    Step,
    SystemState,
    TierKind,
    TierPolicy,
    TierState,
)
from edgewise.route.decide import decide as decide_live
from edgewise.route.facts import Asked, facts_of
from edgewise.route.privacy import KINDS, redact, strings_of
from edgewise.testing.privacy import Labelled, labelled_texts

Decide = Callable[
    [Policy, RequestFacts, Mapping[str, TierState], Sequence[Attempt], float, SystemState], Step
]

_ORDERS = (
    (TierKind.DEVICE,),
    (TierKind.CLOUD,),
    (TierKind.DEVICE, TierKind.CLOUD),
    (TierKind.SITE, TierKind.CLOUD),
    (TierKind.DEVICE, TierKind.SITE, TierKind.CLOUD),
    (TierKind.DEVICE, TierKind.DEVICE, TierKind.CLOUD, TierKind.CLOUD),
)
_REGIONS = (None, None, "eu", "EU ", "us", "moon")
_WHERE = (None, None, None, "edge", "cloud", "t0", "t1", "t2", "t3")
_LATENCIES_MS = (0.1, 5.0, 80.0, 400.0)
_CONFIDENCES = (None, 0.1, 0.5, 0.9, 0.999)
_GAINS = (None, None, 0.1, 0.9)
_DEADLINES_MS = (None, None, 50.0, 300.0, 2000.0)


@dataclass(slots=True)
class Played:
    """What became of the requests."""

    requests: int = 0
    private: int = 0
    asked: int = 0
    refused: int = 0
    leaks: int = 0
    first_leak: str = ""
    paths: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """How often each chain of tiers, outcomes and reasons was gone."""


class _World(NamedTuple):
    """One policy, and all that can happen under it."""

    policy: Policy
    states: list[dict[str, TierState]]
    attempts: dict[str, list[Attempt]]
    systems: list[SystemState]


class _Payload(NamedTuple):
    one: dict[str, Any]
    label: Labelled
    flagged: bool
    region: str | None


def count_leaks(
    draw: np.random.Generator, requests: int, *, decide: Decide = decide_live, policies: int = 200
) -> Played:
    """Play so many requests, each with its own policy, payload, faults and forced place.

    Parameters
    ----------
    decide
        What is tested.
    policies
        How many are drawn; requests share them.
    """
    played = Played()
    worlds = [_draw_world(draw) for _ in range(policies)]
    payloads = _draw_payloads(draw, max(20, min(requests // 40, 20_000) // 30))
    sent: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}
    for which, place, turn, dice in _dice(draw, requests, len(worlds), len(payloads)):
        world, payload = worlds[which], payloads[place]
        facts = _facts(world.policy, payload, turn)
        played.requests += 1
        allowed = _may_see(world, payload)
        played.private += len(allowed) < len(world.policy.tiers)
        try:
            asked, path = _play(world, facts, dice, decide)
        except PrivacyViolation:
            played.refused += 1
            continue
        played.refused += Reason.PRIVACY_REFUSED.value in path
        played.paths[path] += 1
        played.asked += len(asked)
        hidden = payload.label.kind in world.policy.privacy.detect
        for tier in asked:
            if tier.name not in allowed:
                _leaked(played, payload, tier)
            elif hidden and tier.kind is not TierKind.DEVICE:
                key = (place, facts.redacted)
                if key not in sent:
                    sent[key] = tuple(strings_of(redact(payload.one, facts.redacted).input))
                if any(payload.label.value in text for text in sent[key]):
                    _leaked(played, payload, tier)
    return played


def _leaked(played: Played, payload: _Payload, tier: TierPolicy) -> None:
    played.leaks += 1
    played.first_leak = played.first_leak or f"{payload} at {tier.name}, {tier.kind.value}"


def _dice(
    draw: np.random.Generator, requests: int, worlds: int, payloads: int
) -> Iterator[tuple[int, int, int, list[int]]]:
    """Give the draws of each request, drawn many at a time."""
    for start in range(0, requests, 50_000):
        count = min(50_000, requests - start)
        which = draw.integers(worlds, size=count).tolist()
        place = draw.integers(payloads, size=count).tolist()
        turn = draw.integers(1 << 30, size=count).tolist()
        dice = draw.integers(1 << 30, size=(count, 14)).tolist()
        yield from zip(which, place, turn, dice, strict=True)


def _play(
    world: _World, facts: RequestFacts, dice: list[int], decide: Decide
) -> tuple[list[TierPolicy], tuple[str, ...]]:
    """Carry one request out to its end; give the tiers that saw it, and the path."""
    tiers = {tier.name: tier for tier in world.policy.tiers}
    asked: list[TierPolicy] = []
    attempts: list[Attempt] = []
    path: list[str] = []
    elapsed_ms = _LATENCIES_MS[dice[10] % 4] if dice[11] % 8 == 0 else 0.05
    for turn in range(2 * len(tiers) + 1):
        states = world.states[dice[turn] % len(world.states)]
        system = world.systems[dice[turn] % len(world.systems)]
        step = decide(world.policy, facts, states, attempts, elapsed_ms, system)
        path += [step.tier or "", *[reason.value for reason in step.reasons]]
        if step.action is not Action.ASK or step.tier is None:
            return asked, tuple(path)
        asked.append(tiers[step.tier])
        if step.hedge is not None:  # it is late every time
            asked.append(tiers[step.hedge.tier])
            path.append(Reason.HEDGED.value)
        ends = world.attempts[step.tier]
        attempts.append(ends[dice[5 + turn] % len(ends)])
        path.append(attempts[-1].outcome.value)
        elapsed_ms += attempts[-1].latency_ms
    raise AssertionError("the request did not end")


def _facts(policy: Policy, payload: _Payload, turn: int) -> RequestFacts:
    names = [tier.name for tier in policy.tiers]
    where = _WHERE[turn % len(_WHERE)]
    known = where if where in names or (where in ("edge", "cloud") and len(names) > 1) else None
    facts = facts_of(
        policy,
        payload.one,
        lambda _: None,
        Asked(
            request_id="r",
            force_location=known,
            deadline_ms=_DEADLINES_MS[turn % len(_DEADLINES_MS)],
            idempotent=turn % 7 > 0,
            allow_late=turn % 3 == 0,
        ),
    )
    return replace(facts, gain=_GAINS[turn % len(_GAINS)])


def _may_see(world: _World, payload: _Payload) -> set[str]:
    """Say which tiers may see a payload, from how it was made."""
    tiers = world.policy.tiers
    rules = world.policy.privacy
    kind = payload.label.kind
    action = rules.actions.of(kind) if kind in rules.detect else None
    if action is PrivacyAction.REFUSE:
        return set()
    home = action is PrivacyAction.KEEP
    near = {
        tier.name for tier in tiers if tier.kind is TierKind.DEVICE or not (payload.flagged or home)
    }
    region = (payload.region or "").strip().lower()
    return near & set(rules.residency[region]) if region in rules.residency else near


def _draw_payloads(draw: np.random.Generator, each: int) -> list[_Payload]:
    payloads = []
    for label in labelled_texts(draw, each):
        text, plain = label.text, "a film that is as good as it is long"
        one: dict[str, Any] = (
            {"text": text},
            {"text": plain, "context": {"history": [{"from": (text,)}]}},
            {"text": plain, "parts": [plain, text]},
            {"text": plain, "by": {text: 1}},
        )[int(draw.integers(4))]
        flagged = bool(draw.integers(4) == 0)
        region = _REGIONS[int(draw.integers(len(_REGIONS)))]
        one |= {"privacy_flag": flagged} if flagged else {}
        one |= {"region": region} if region else {}
        payloads.append(_Payload(one, label, flagged, region))
    return payloads


def _draw_world(draw: np.random.Generator) -> _World:
    kinds = _ORDERS[int(draw.integers(len(_ORDERS)))]
    names = [f"t{place}" for place in range(len(kinds))]
    equal = bool(draw.integers(2))
    tiers = tuple(
        TierPolicy(
            name=name,
            kind=kind,
            threshold=(None, 0.3, 0.8, 0.99)[int(draw.integers(4))],
            latency_limit_ms=(None, None, 20.0)[int(draw.integers(3))],
            rtt_p50_ms=float(draw.choice(_LATENCIES_MS)),
            rtt_p95_ms=500.0,
            max_input_bytes=(60, 1_000_000, 1_000_000)[int(draw.integers(3))],
            group=kind.value if equal else "",
        )
        for name, kind in zip(names, kinds, strict=True)
    )
    home = tuple(name for name in names if draw.integers(2))
    detect = tuple(kind for kind in KINDS if draw.integers(4))
    chosen = [list(PrivacyAction)[int(one)] for one in draw.integers(0, 3, 3)]
    actions = PrivacyActions(default=chosen[0], by_kind={"email": chosen[1], "iban": chosen[2]})
    rules = PrivacyRules(
        detect=detect, actions=actions, residency={"eu": home} if draw.integers(2) else {}
    )
    policy = Policy(
        task="text-classification",
        labels=("no",),
        tiers=tiers,
        privacy=rules,
        hedge=HedgeRules() if draw.integers(2) else None,
        preroute=PreRouteRules(min_gain=0.5),
        audit=AuditRules(on_void=list(OnVoid)[int(draw.integers(3))]),
        device=(DeviceRule(name="low", battery_below=0.2),),
    )
    attempts = {name: _attempts(name) for name in names}
    return _World(policy, _states(draw, names), attempts, _systems())


def _states(draw: np.random.Generator, names: list[str]) -> list[dict[str, TierState]]:
    """Give what the tiers may be like: all well, none there, and much between."""

    def one() -> TierState:
        rtt_ms = float(draw.choice(_LATENCIES_MS))
        return TierState(
            ready=bool(draw.integers(4)),
            circuit_open=not draw.integers(3),
            rest_ms=(0.0, 0.0, 0.0, 30.0)[int(draw.integers(4))],
            busy=not draw.integers(6),
            budget_left=bool(draw.integers(6)),
            rtt_p50_ms=rtt_ms,
            rtt_p95_ms=2 * rtt_ms,
        )

    some = [{name: one() for name in names if draw.integers(6)} for _ in range(60)]
    down = {name: TierState(circuit_open=True) for name in names}
    return [*some, {}, {}, {}, down]


def _systems() -> list[SystemState]:
    return [
        SystemState(
            device=DeviceState(battery_share=share),
            certificate_void=void,
            threshold=0.9,
            queue_open=queue,
        )
        for share in (0.9, 0.9, 0.1)
        for void in (False, False, True)
        for queue in (False, True)
    ]


def _attempts(tier: str) -> list[Attempt]:
    """Give every way in which asking a tier may end."""
    answered = [
        Attempt(tier=tier, outcome=Outcome.ANSWERED, latency_ms=latency_ms, confidence=confidence)
        for latency_ms in _LATENCIES_MS
        for confidence in _CONFIDENCES
    ]
    lost = [
        Attempt(
            tier=tier,
            outcome=outcome,
            latency_ms=latency_ms,
            error="RemoteError",
            passing=outcome is Outcome.FAILED,
        )
        for latency_ms in _LATENCIES_MS
        for outcome in (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CANCELLED)
    ]
    return [*answered, *lost]
