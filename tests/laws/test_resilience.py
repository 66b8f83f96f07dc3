"""Laws of what keeps calls within bounds, on a virtual clock: any traffic, answers and failures.

Bulkhead, retry budget, hedges, `Retry-After`, deadlines, probes and what a call that nobody waits
for leaves: each is held against what the tiers saw, not against what the engine says of itself.
"""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import EdgewiseError, RemoteError
from edgewise.records import (
    BreakerRules,
    HedgeRules,
    Input,
    LatencyLimit,
    Policy,
    Prediction,
    ProbeRules,
    Reason,
    RetryRules,
    TierKind,
    TierPolicy,
)
from edgewise.route import HybridInferenceEngine
from edgewise.route.breaker import CircuitState
from edgewise.testing.route import ListSink
from edgewise.testing.virtual_time import LoopClock, TimedTier, run_virtually

UNSURE = Prediction("no", 0.6, (0.6, 0.4))
FAR = Prediction("yes", 0.99, ())
DOWN = RemoteError("can't be reached", where="https://cloud", hint="is it running?")
EDGE = TierPolicy(
    name="edge",
    kind=TierKind.DEVICE,
    threshold=0.8,
    latency=(LatencyLimit(up_to_length=100, p50_ms=1.0, p95_ms=2.0),),
)
CLOUD = TierPolicy(name="cloud", kind=TierKind.CLOUD, rtt_p50_ms=20.0, rtt_p95_ms=60.0)
POLICY = Policy(task="text-classification", labels=("no", "yes"), tiers=(EDGE, CLOUD))
NEVER_OPENS = BreakerRules(window=1000, minimum_calls=1000)
BURST = 10.0
"""Of hedges."""
ONCE: dict[str, Any] = {
    "gap_s": 0.0,
    "idempotent": True,
    "deadline_ms": None,
    "leave_s": None,
}


def full(rest_s: float) -> RemoteError:
    what = "answered HTTP 429"
    return RemoteError(what, where="https://cloud", status=429, retry_after_s=rest_s)


@dataclass(slots=True)
class Seen:
    """What one tier saw."""

    at_s: list[float] = field(default_factory=list)
    probed_s: list[float] = field(default_factory=list)
    rested_until_s: float = -math.inf
    broke_rest: int = 0
    most_under_way: int = 0
    most_probes: int = 0


class SeeingTier(TimedTier):
    """A tier that keeps account of its calls."""

    def __init__(self, *script: tuple[float, Prediction | EdgewiseError], **more: Any) -> None:
        super().__init__(*script, **more)
        self.seen = Seen()
        self._asking = self._probing = 0

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        now_s = asyncio.get_running_loop().time()
        self.seen.at_s.append(now_s)
        self.seen.broke_rest += now_s < self.seen.rested_until_s - 1e-6
        self._asking += 1
        self.seen.most_under_way = max(self.seen.most_under_way, self._asking)
        try:
            return await super().ask(one, timeout_ms, request_id=request_id)
        except RemoteError as failure:
            ended_s = asyncio.get_running_loop().time()
            until_s = ended_s + (failure.retry_after_s or 0.0)
            self.seen.rested_until_s = max(self.seen.rested_until_s, until_s)
            raise
        finally:
            self._asking -= 1

    async def probe(self, timeout_ms: float) -> None:
        self.seen.probed_s.append(asyncio.get_running_loop().time())
        self._probing += 1
        self.seen.most_probes = max(self.seen.most_probes, self._probing)
        try:
            await super().probe(timeout_ms)
        finally:
            self._probing -= 1


ends = st.sampled_from([FAR, FAR, DOWN, full(0.05), full(1.0)])
turns = st.lists(st.tuples(st.sampled_from([1.0, 20.0, 90.0, 500.0]), ends), min_size=1, max_size=8)
traffic = st.lists(
    st.fixed_dictionaries(
        {
            "gap_s": st.sampled_from([0.0, 0.0, 0.0, 0.005, 0.1, 1.2]),
            "idempotent": st.sampled_from([True, True, False]),
            "deadline_ms": st.sampled_from([None, 15.0, 100.0, 400.0]),
            "leave_s": st.sampled_from([None, None, None, 0.0, 0.01, 0.07]),
        }
    ),
    min_size=1,
    max_size=40,
)
policies = st.builds(
    lambda most, share, burst, pause_ms, hedged, in_flight, equal, breaker: replace(
        POLICY,
        tiers=(
            EDGE,
            *(
                replace(CLOUD, name=name, max_in_flight=in_flight, group="clouds")
                for name in (("west", "east") if equal else ("west",))
            ),
        ),
        retry=RetryRules(most=most, share=share, burst=burst, pause_ms=pause_ms),
        hedge=None if hedged is None else HedgeRules(share=hedged),
        breaker=breaker,
    ),
    most=st.integers(0, 2),
    share=st.sampled_from([0.0, 0.1, 0.5]),
    burst=st.sampled_from([1.0, 3.0]),
    pause_ms=st.sampled_from([0.0, 50.0]),
    hedged=st.sampled_from([None, 0.0, 0.2, 1.0]),
    in_flight=st.sampled_from([1, 2, 40]),
    equal=st.booleans(),
    breaker=st.sampled_from([BreakerRules(minimum_calls=4, open_s=0.5), NEVER_OPENS]),
)


@dataclass(slots=True)
class Asked:
    """What became of one request."""

    deadline_ms: float | None
    idempotent: bool
    request_id: str = ""
    taken_ms: float = 0.0


def played(
    policy: Policy, tiers: Mapping[str, SeeingTier], requests: list[dict[str, Any]]
) -> tuple[ListSink, list[Asked]]:
    """Send requests as they come, a few of whose callers go away, and wait for all ends."""
    sink = ListSink()
    account: list[Asked] = []

    async def ask(engine: HybridInferenceEngine, text: str, one: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        asked = Asked(deadline_ms=one["deadline_ms"], idempotent=one["idempotent"])
        account.append(asked)
        start_s = loop.time()
        try:
            await engine.predict(
                {"text": text}, deadline_ms=one["deadline_ms"], idempotent=one["idempotent"]
            )
        except EdgewiseError:
            pass
        finally:
            asked.taken_ms = (loop.time() - start_s) * 1000

    async def play() -> None:
        engine = HybridInferenceEngine(
            policy=policy, clock=LoopClock(), tiers=tiers, decision_log=sink, rng=random.Random(7)
        )
        async with engine:
            asking = []
            for number, one in enumerate(requests):
                if one["gap_s"]:
                    await asyncio.sleep(one["gap_s"])
                task = asyncio.create_task(ask(engine, f"film {number}", one))
                asking.append(task)
                if one["leave_s"] is not None:
                    asyncio.get_running_loop().call_later(one["leave_s"], task.cancel)
            await asyncio.gather(*asking, return_exceptions=True)

    run_virtually(play())
    return sink, account


@given(policies, turns, turns, traffic)
@settings(deadline=None, max_examples=40)
def test_calls_stay_within_every_bound(
    policy: Policy,
    west: list[tuple[float, Prediction | EdgewiseError]],
    east: list[tuple[float, Prediction | EdgewiseError]],
    requests: list[dict[str, Any]],
) -> None:
    scripts: dict[str, list[tuple[float, Prediction | EdgewiseError]]] = {
        "edge": [(1.0, UNSURE)],
        "west": 9 * west,
        "east": 9 * east,
    }
    tiers = {
        tier.name: SeeingTier(*scripts[tier.name], remote=tier.name != "edge")
        for tier in policy.tiers
    }

    sink, account = played(policy, tiers, requests)

    hedged = sum(Reason.HEDGED in one.reasons for one in sink.decisions)
    share = 0.0 if policy.hedge is None else policy.hedge.share
    assert hedged <= (0 if policy.hedge is None else BURST) + share * len(requests)
    for tier in policy.tiers[1:]:
        seen, calls = tiers[tier.name].seen, Counter(tiers[tier.name].ids)
        assert seen.most_under_way <= (tier.max_in_flight or 0)
        assert seen.broke_rest == 0
        repeated = calls.total() - len(calls)
        assert repeated <= policy.retry.burst + policy.retry.share * len(calls)
        assert max(calls.values(), default=0) <= 1 + policy.retry.most
    for decision in sink.decisions:
        if not decision.facts.idempotent:
            assert Reason.HEDGED not in decision.reasons
            assert all(one.ids.count(decision.request_id) <= 1 for one in tiers.values())
    for one in account:
        assert one.deadline_ms is None or one.taken_ms <= one.deadline_ms + 10.0
    assert [one.under_way for one in tiers.values()] == [0] * len(tiers)


@given(
    st.lists(st.sampled_from([0.0, 0.05, 0.4, 1.0, 3.0]), min_size=1, max_size=30),
    turns,
    st.sampled_from([0.2, 0.5]),
    st.sampled_from([1.0, 5.0]),
)
@settings(deadline=None, max_examples=30)
def test_a_tier_is_probed_only_while_it_is_idle_or_shut_and_never_often(
    gaps_s: list[float],
    script: list[tuple[float, Prediction | EdgewiseError]],
    open_s: float,
    idle_s: float,
) -> None:
    rules = ProbeRules(open_s=open_s, idle_s=idle_s, timeout_ms=300.0)
    policy = replace(POLICY, probe=rules, breaker=BreakerRules(minimum_calls=2, open_s=0.5))
    edge, cloud = SeeingTier((1.0, UNSURE), remote=False), SeeingTier(*script)
    allowed: list[bool] = []

    class Probed(SeeingTier):
        async def probe(self, timeout_ms: float) -> None:
            now_s = asyncio.get_running_loop().time()
            last_s = max([0.0, *self.seen.at_s, *self.seen.probed_s])
            shut = engines[0].circuits()["cloud"] is not CircuitState.CLOSED
            allowed.append(shut or now_s - last_s >= idle_s - 1e-6)
            await super().probe(timeout_ms)

    cloud = Probed(*script)
    engines: list[HybridInferenceEngine] = []

    async def play() -> None:
        engine = HybridInferenceEngine(
            policy=policy, clock=LoopClock(), tiers={"edge": edge, "cloud": cloud}
        )
        engines.append(engine)
        async with engine:
            for gap_s in gaps_s:
                await asyncio.sleep(gap_s)
                await engine.predict({"text": "a film"}, deadline_ms=200.0)

    run_virtually(play())

    assert all(allowed)
    assert cloud.seen.most_probes <= 1
    between = [b - a for a, b in zip(cloud.seen.probed_s, cloud.seen.probed_s[1:], strict=False)]
    assert all(gap_s >= open_s - 1e-6 for gap_s in between)
    assert edge.seen.probed_s == []


def test_retries_of_many_that_fail_at_once_are_within_the_budget() -> None:
    rules = RetryRules(most=1, share=0.1, burst=3.0)
    policy = replace(POLICY, retry=rules, breaker=NEVER_OPENS)
    cloud = SeeingTier((5.0, DOWN))

    played(policy, {"edge": SeeingTier((1.0, UNSURE), remote=False), "cloud": cloud}, 40 * [ONCE])

    calls = Counter(cloud.ids)
    assert calls.total() - len(calls) == 3


@pytest.mark.parametrize("hedge", [None, HedgeRules(share=1.0)])
def test_a_bulkhead_holds_for_many_that_come_at_once(hedge: HedgeRules | None) -> None:
    clouds = tuple(
        replace(CLOUD, name=name, group="clouds", max_in_flight=2) for name in ("west", "east")
    )
    policy = replace(POLICY, tiers=(EDGE, *clouds), hedge=hedge)
    tiers = {
        "edge": SeeingTier((1.0, UNSURE), remote=False),
        "west": SeeingTier((50.0, FAR)),
        "east": SeeingTier((50.0, FAR)),
    }

    sink, _ = played(policy, tiers, 20 * [ONCE])

    assert [tiers[name].seen.most_under_way for name in ("west", "east")] == [2, 2]
    assert sum(Reason.BUSY in one.reasons for one in sink.decisions) == 16


def test_one_call_of_many_goes_through_a_circuit_that_is_half_open() -> None:
    clouds = tuple(replace(CLOUD, name=name, group="clouds") for name in ("west", "east"))
    rules = BreakerRules(minimum_calls=2, open_s=0.5)
    policy = replace(
        POLICY,
        tiers=(EDGE, *clouds),
        hedge=HedgeRules(share=1.0),
        breaker=rules,
        retry=RetryRules(most=0),
    )
    tiers = {
        "edge": SeeingTier((1.0, UNSURE), remote=False),
        "west": SeeingTier((5.0, DOWN)),
        "east": SeeingTier((5.0, DOWN)),
    }

    played(policy, tiers, [*4 * [ONCE], {**ONCE, "gap_s": 1.0}, *9 * [ONCE]])

    late = {name: [at_s for at_s in tiers[name].seen.at_s if at_s > 0.9] for name in tiers}
    assert (len(late["edge"]), len(late["west"]), len(late["east"])) == (10, 1, 1)


@pytest.mark.parametrize(("before", "after"), [(1.0, 0.0), (None, 0.0), (None, 1.0), (0.0, None)])
def test_hedges_are_the_share_of_the_policy_in_service(
    before: float | None, after: float | None
) -> None:
    first, then = (
        replace(POLICY, hedge=None if share is None else HedgeRules(share=share))
        for share in (before, after)
    )
    tiers = {
        "edge": SeeingTier((500.0, UNSURE), remote=False),
        "cloud": SeeingTier((20.0, FAR)),
    }

    async def play() -> int:
        async with HybridInferenceEngine(policy=first, clock=LoopClock(), tiers=tiers) as engine:
            swapping = asyncio.create_task(engine.swap_policy(then, tiers=tiers))
            while not swapping.done():
                await asyncio.sleep(0)
            found = [await engine.predict({"text": "a film"}) for _ in range(40)]
            return sum("hedged" in one.reasons for one in found)

    expected = 0 if after is None else 40 if after else round(BURST)
    assert run_virtually(play()) == expected
