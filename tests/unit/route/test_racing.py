"""Races, retries, probes and exchanged policies, in virtual time."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewise import PreRouter
from edgewise.errors import (
    InvalidData,
    PrivacyViolation,
    RemoteError,
    StorageError,
    TierUnavailable,
    UsageError,
)
from edgewise.records import (
    BreakerRules,
    BudgetRules,
    ConfidenceMap,
    Decision,
    DeviceRule,
    DeviceState,
    HedgeRules,
    Input,
    LatencyLimit,
    LearnedScore,
    Outcome,
    Policy,
    Prediction,
    PreRouteRules,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    ProbeRules,
    RetryRules,
    Score,
    SpendingLimit,
    TierKind,
    TierPolicy,
    digest,
)
from edgewise.route import HybridInferenceEngine
from edgewise.route.breaker import CircuitState
from edgewise.route.telling import DecisionSink
from edgewise.testing.route import ListSink
from edgewise.testing.virtual_time import LoopClock, TimedTier, run_virtually

SURE = Prediction("yes", 0.9, (0.1, 0.9))
UNSURE = Prediction("no", 0.6, (0.6, 0.4))
FAR = Prediction("no", 0.99, ())
DOWN = RemoteError("can't be reached", where="https://cloud", hint="is it running?")
FULL = RemoteError("answered HTTP 429", where="https://cloud", status=429, retry_after_s=3.0)
TEXT = {"text": "quite a film"}
EDGE = TierPolicy(
    name="edge",
    kind=TierKind.DEVICE,
    threshold=0.8,
    latency=(LatencyLimit(up_to_length=100, p50_ms=5.0, p95_ms=10.0),),
)
CLOUD = TierPolicy(
    name="cloud", kind=TierKind.CLOUD, rtt_p50_ms=60.0, rtt_p95_ms=180.0, usd_per_request=0.002
)
WEST, EAST = (replace(CLOUD, name=name, group="clouds") for name in ("west", "east"))
POLICY = Policy(task="text-classification", labels=("no", "yes"), tiers=(EDGE, CLOUD))
RACING = replace(POLICY, hedge=HedgeRules(share=1.0))


def engine_of(
    policy: Policy, tiers: Mapping[str, TimedTier], sink: DecisionSink | None = None, **more: Any
) -> HybridInferenceEngine:
    return HybridInferenceEngine(
        policy=policy, clock=LoopClock(), tiers=tiers, decision_log=sink, **more
    )


def test_a_late_edge_is_overtaken_by_the_cloud() -> None:
    edge, cloud = TimedTier((500.0, SURE), remote=False), TimedTier((60.0, FAR))
    sink = ListSink()

    async def play() -> None:
        async with engine_of(RACING, {"edge": edge, "cloud": cloud}, sink) as engine:
            result = await engine.predict(TEXT)
            assert (result.label, result.location) == ("no", "cloud_fallback")
            assert result.latency_ms == pytest.approx(70.0)
            assert result.reasons == ("nearest_first", "hedged", "last_tier")
            told = result.explain()
            assert told[1:5] == [
                "1. ask edge: nearest_first",
                "   cancelled in 70.0 ms",
                "2. ask cloud: hedged",
                "   answered in 60.0 ms, confidence 0.990",
            ]

    run_virtually(play())
    (decision,) = sink.decisions
    assert [(one.tier, one.outcome) for one in decision.attempts] == [
        ("cloud", Outcome.ANSWERED),
        ("edge", Outcome.CANCELLED),
    ]
    assert (edge.cancelled, edge.under_way, cloud.ids) == (1, 0, edge.ids)


def test_an_edge_in_time_is_not_raced() -> None:
    edge, cloud = TimedTier((9.0, SURE), remote=False), TimedTier((60.0, FAR))

    async def play() -> None:
        async with engine_of(RACING, {"edge": edge, "cloud": cloud}) as engine:
            assert (await engine.predict(TEXT)).location == "edge"

    run_virtually(play())
    assert cloud.asked == []


def test_a_sure_answer_of_the_first_ends_the_race() -> None:
    edge, cloud = TimedTier((20.0, SURE), remote=False), TimedTier((60.0, FAR))

    async def play() -> None:
        async with engine_of(RACING, {"edge": edge, "cloud": cloud}) as engine:
            result = await engine.predict(TEXT)
            assert (result.location, result.cost) == ("edge", 0.002)
            assert result.latency_ms == pytest.approx(20.0)

    run_virtually(play())
    assert (cloud.cancelled, cloud.under_way) == (1, 0)


def test_a_deferral_to_a_tier_that_runs_already_does_not_ask_it_twice() -> None:
    edge, cloud = TimedTier((20.0, UNSURE), remote=False), TimedTier((60.0, FAR))

    async def play() -> None:
        async with engine_of(RACING, {"edge": edge, "cloud": cloud}) as engine:
            result = await engine.predict(TEXT)
            assert (result.location, result.cost) == ("cloud_fallback", 0.002)
            assert result.latency_ms == pytest.approx(70.0)

    run_virtually(play())
    assert len(cloud.asked) == 1


@pytest.mark.parametrize("end", [UNSURE, TierUnavailable("gone")])
@pytest.mark.parametrize("full", [{"max_in_flight": 1}, {"usd_per_day": 0.003}])
def test_a_tier_that_its_own_call_fills_is_waited_for(
    end: Prediction | TierUnavailable, full: dict[str, Any], tmp_path: Path
) -> None:
    edge, cloud = TimedTier((20.0, end), remote=False), TimedTier((60.0, FAR))
    narrow = replace(CLOUD, max_in_flight=full.get("max_in_flight"))
    money = SpendingLimit(usd_per_day=full.get("usd_per_day"))
    budget = BudgetRules(path=str(tmp_path / "budget.sqlite"), total=money)
    policy = replace(RACING, tiers=(EDGE, narrow), budget=budget)

    async def play() -> None:
        async with engine_of(policy, {"edge": edge, "cloud": cloud}) as engine:
            result = await engine.predict(TEXT)
            assert (result.location, result.cost) == ("cloud_fallback", 0.002)
            assert result.latency_ms == pytest.approx(70.0)

    run_virtually(play())
    assert (len(cloud.asked), cloud.cancelled) == (1, 0)


def test_a_race_with_the_call_that_tries_an_open_circuit_is_waited_for() -> None:
    edge = TimedTier((20.0, UNSURE), remote=False)
    cloud = TimedTier((1.0, DOWN), (60.0, FAR))
    rules = BreakerRules(minimum_calls=1, open_s=1.0)
    policy = replace(RACING, breaker=rules, retry=RetryRules(most=0))

    async def play() -> None:
        async with engine_of(policy, {"edge": edge, "cloud": cloud}) as engine:
            with pytest.raises(TierUnavailable):
                await engine.predict(TEXT, "cloud")
            await asyncio.sleep(1.0)
            assert (await engine.predict(TEXT)).location == "cloud_fallback"

    run_virtually(play())
    assert (len(cloud.asked), cloud.cancelled) == (2, 0)


def test_a_tier_that_runs_already_needs_less_of_the_deadline() -> None:
    edge, cloud = TimedTier((60.0, UNSURE), remote=False), TimedTier((60.0, FAR))

    async def play() -> None:
        async with engine_of(RACING, {"edge": edge, "cloud": cloud}) as engine:
            # Asked at 10 ms, it is due at 70: the 40 that are left do, although it takes 60.
            result = await engine.predict(TEXT, deadline_ms=100.0)
            assert (result.location, result.reasons[-1]) == ("cloud_fallback", "last_tier")
            assert result.latency_ms == pytest.approx(70.0)

    run_virtually(play())


@pytest.mark.parametrize("near", [UNSURE, TierUnavailable("gone")])
def test_a_retry_under_way_is_waited_for(near: Prediction | TierUnavailable) -> None:
    slow = replace(EDGE, latency_limit_ms=1.0)
    policy = replace(RACING, tiers=(slow, CLOUD))
    # The cloud fails at 200 ms and is asked again; the edge, its hedge, ends meanwhile at 480.
    edge = TimedTier((300.0, near), remote=False)
    cloud = TimedTier((200.0, DOWN), (400.0, FAR))

    async def play() -> None:
        async with engine_of(policy, {"edge": edge, "cloud": cloud}) as engine:
            result = await engine.predict(TEXT)
            assert (result.location, result.confidence) == ("cloud_fallback", 0.99)

    run_virtually(play())
    assert (len(edge.asked), len(cloud.asked), cloud.cancelled) == (1, 2, 0)


def test_the_race_goes_on_where_one_of_two_fails() -> None:
    edge, cloud = TimedTier((20.0, TierUnavailable("gone")), remote=False), TimedTier((60.0, FAR))

    async def play() -> None:
        async with engine_of(RACING, {"edge": edge, "cloud": cloud}) as engine:
            assert (await engine.predict(TEXT)).label == "no"

    run_virtually(play())
    assert len(cloud.asked) == 1


def test_an_input_that_the_first_can_not_read_ends_the_race() -> None:
    edge = TimedTier((20.0, InvalidData("no text")), remote=False)
    cloud = TimedTier((60.0, FAR))

    async def play() -> None:
        async with engine_of(RACING, {"edge": edge, "cloud": cloud}) as engine:
            with pytest.raises(InvalidData):
                await engine.predict(TEXT)

    run_virtually(play())
    assert cloud.under_way == 0


def test_hedges_are_a_share_of_the_requests() -> None:
    rare = replace(POLICY, hedge=HedgeRules(share=0.1))
    edge, cloud = TimedTier((50.0, SURE), remote=False), TimedTier((60.0, FAR))

    async def play() -> None:
        async with engine_of(rare, {"edge": edge, "cloud": cloud}) as engine:
            for _ in range(100):
                await engine.predict(TEXT)

    run_virtually(play())
    assert len(cloud.asked) <= 10 + 0.1 * 100


def test_a_caller_that_goes_away_frees_every_call() -> None:
    edge, cloud = TimedTier((500.0, SURE), remote=False), TimedTier((600.0, FAR))
    sink = ListSink()

    async def play() -> None:
        async with engine_of(RACING, {"edge": edge, "cloud": cloud}, sink) as engine:
            asking = asyncio.create_task(engine.predict(TEXT))
            await asyncio.sleep(0.1)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    run_virtually(play())
    assert (edge.under_way, cloud.under_way) == (0, 0)
    assert [one.outcome for one in sink.decisions[0].attempts] == [Outcome.CANCELLED] * 2
    assert sink.decisions[0].error == "CancelledError"


def test_a_retry_waits_and_keeps_the_deadline() -> None:
    once = TimedTier((30.0, DOWN), (30.0, FAR))

    async def play() -> None:
        engine = engine_of(replace(POLICY, tiers=(CLOUD,)), {"cloud": once})
        async with engine:
            result = await engine.predict(TEXT, deadline_ms=400.0)
            assert 60.0 <= result.latency_ms <= 110.0
            assert result.reasons == ("nearest_first", "tier_failed", "retry", "last_tier")

    run_virtually(play())
    assert once.ids[0] == once.ids[1] != ""


def test_a_request_that_must_not_run_twice_is_not_retried() -> None:
    once = TimedTier((30.0, DOWN), (30.0, FAR))

    async def play() -> None:
        async with engine_of(replace(POLICY, tiers=(CLOUD,)), {"cloud": once}) as engine:
            with pytest.raises(TierUnavailable):
                await engine.predict(TEXT, idempotent=False)

    run_virtually(play())
    assert len(once.asked) == 1


def test_a_cloud_that_asks_for_rest_gets_it() -> None:
    edge, cloud = TimedTier((2.0, UNSURE), remote=False), TimedTier((30.0, FULL), (30.0, FAR))

    async def play() -> None:
        async with engine_of(POLICY, {"edge": edge, "cloud": cloud}) as engine:
            first = await engine.predict(TEXT)
            second = await engine.predict(TEXT)
            await asyncio.sleep(3.0)
            third = await engine.predict(TEXT)
            assert [one.location for one in (first, second, third)] == [
                "edge_fallback",
                "edge_fallback",
                "cloud_fallback",
            ]
            assert "told_to_wait" in second.reasons

    run_virtually(play())
    assert len(cloud.asked) == 2


def test_an_equal_tier_answers_in_place_of_one_that_is_down() -> None:
    two = replace(POLICY, tiers=(EDGE, WEST, EAST))
    tiers = {
        "edge": TimedTier((2.0, UNSURE), remote=False),
        "west": TimedTier((5.0, DOWN)),
        "east": TimedTier((60.0, FAR)),
    }

    async def play() -> None:
        async with engine_of(two, tiers) as engine:
            result = await engine.predict(TEXT)
            assert (result.location, "stand_in" in result.reasons) == ("east", True)

    run_virtually(play())


def test_a_probe_brings_a_tier_back_without_a_request_that_fails() -> None:
    probing = replace(
        POLICY,
        probe=ProbeRules(open_s=0.5),
        breaker=BreakerRules(minimum_calls=2, open_s=60.0),
        retry=RetryRules(most=0),
    )
    edge = TimedTier((2.0, UNSURE), remote=False)
    cloud = TimedTier((5.0, DOWN), (5.0, DOWN), (5.0, DOWN), (60.0, FAR))

    async def play() -> None:
        async with engine_of(probing, {"edge": edge, "cloud": cloud}) as engine:
            for _ in range(2):
                await engine.predict(TEXT)
            shut = engine.circuits()["cloud"]
            await asyncio.sleep(1.5)
            assert (shut, engine.circuits()["cloud"]) == (CircuitState.OPEN, CircuitState.CLOSED)
            assert (await engine.predict(TEXT)).location == "cloud_fallback"

    run_virtually(play())
    assert (cloud.probes, edge.probes) == (2, 0)


def test_a_tier_with_traffic_is_not_probed() -> None:
    probing = replace(POLICY, probe=ProbeRules(idle_s=10.0))
    edge, cloud = TimedTier((2.0, UNSURE), remote=False), TimedTier((60.0, FAR))

    async def play() -> None:
        async with engine_of(probing, {"edge": edge, "cloud": cloud}) as engine:
            for _ in range(20):
                await engine.predict(TEXT)
                await asyncio.sleep(1.0)
            busy = cloud.probes
            await asyncio.sleep(25.0)
            assert (busy, cloud.probes) == (0, 2)

    run_virtually(play())


def test_each_loop_probes_for_itself() -> None:
    probing = replace(POLICY, probe=ProbeRules(idle_s=1.0))
    edge, cloud = TimedTier((2.0, SURE), remote=False), TimedTier((60.0, FAR))
    engine = engine_of(probing, {"edge": edge, "cloud": cloud})

    async def play(for_s: float) -> None:
        await engine.predict(TEXT)
        await asyncio.sleep(for_s)

    run_virtually(play(3.0))
    first = cloud.probes
    run_virtually(play(9.0))  # its clock starts anew

    assert 0 < first < cloud.probes
    run_virtually(engine.aclose())


def test_a_policy_is_exchanged_without_dropping_a_request() -> None:
    old, new = TimedTier((100.0, UNSURE), remote=False), TimedTier((1.0, SURE), remote=False)
    cloud = TimedTier((60.0, FAR))
    other = replace(POLICY, deadline_ms=1000.0)

    async def play() -> list[str]:
        engine = engine_of(POLICY, {"edge": old, "cloud": cloud})
        asking = asyncio.create_task(engine.predict(TEXT))
        await asyncio.sleep(0.05)
        before = await _swap(engine, other, {"edge": new, "cloud": cloud})
        assert before == digest(POLICY)
        assert engine.policy_version == digest(other)
        now = await engine.predict(TEXT)
        closed_early = old.closed
        then = await asking
        assert (closed_early, old.closed, cloud.closed) == (False, True, False)
        await engine.aclose()
        return [now.policy_version, now.label, then.policy_version, then.label]

    assert run_virtually(play()) == [digest(other), "yes", digest(POLICY), "no"]
    assert (new.closed, cloud.closed) == (True, True)


def test_a_log_that_fails_holds_no_tier_of_an_old_policy() -> None:
    class FullLog:
        def append(self, decision: Decision) -> None:
            raise StorageError("the disk is full", where=decision.policy_version)

    old, new = TimedTier((1.0, SURE), remote=False), TimedTier((1.0, SURE), remote=False)

    async def play() -> None:
        engine = engine_of(replace(POLICY, tiers=(EDGE,)), {"edge": old}, FullLog())
        with pytest.raises(StorageError):
            await engine.predict(TEXT)
        await _swap(engine, replace(POLICY, deadline_ms=900.0), {"edge": new})
        assert old.closed
        await engine.aclose()

    run_virtually(play())


def test_what_is_known_of_a_tier_survives_the_exchange() -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((5.0, DOWN))
    tiers = {"edge": edge, "cloud": cloud}
    moved = replace(POLICY, tiers=(EDGE, replace(CLOUD, rtt_p50_ms=10.0)))

    async def play() -> None:
        engine = engine_of(POLICY, tiers)
        for _ in range(3):
            await engine.predict(TEXT)
        await _swap(engine, replace(POLICY, deadline_ms=900.0), tiers)
        assert engine.circuits()["cloud"] is CircuitState.OPEN
        await _swap(engine, moved, tiers)
        assert engine.circuits()["cloud"] is CircuitState.CLOSED
        assert not cloud.closed
        await engine.aclose()

    run_virtually(play())


def test_a_tier_that_is_taken_away_is_not_asked_and_can_come_back() -> None:
    edge, cloud = TimedTier((1.0, SURE), remote=False), TimedTier((5.0, FAR))
    later = [replace(POLICY, deadline_ms=900.0), replace(POLICY, deadline_ms=800.0)]

    async def play() -> list[str]:
        engine = engine_of(POLICY, {"edge": edge, "cloud": cloud})
        found = [(await engine.predict(TEXT)).location]
        await _swap(engine, later[0], {"cloud": cloud})
        found.append((await engine.predict(TEXT)).location)
        await _swap(engine, later[1], {"edge": edge, "cloud": cloud})
        found.append((await engine.predict(TEXT)).location)
        await engine.aclose()
        return found

    assert run_virtually(play()) == ["edge", "cloud_fallback", "edge"]


def test_a_wrong_policy_leaves_the_old_one_in_service() -> None:
    edge = TimedTier((1.0, SURE), remote=False)

    async def play() -> None:
        engine = engine_of(replace(POLICY, tiers=(EDGE,)), {"edge": edge})
        with pytest.raises(UsageError):
            await _swap(engine, POLICY, {"moon": edge})
        assert (await engine.predict(TEXT)).label == "yes"

    run_virtually(play())


def test_confidence_is_made_of_all_that_its_map_reads() -> None:
    by_length = ConfidenceMap(
        score=Score.LEARNED,
        learned=LearnedScore(knots=(), edge=((0.0, 0.0),) * 2, edge_more=(0.0, 0.0, -1.0)),
    )
    by_energy = ConfidenceMap(score=Score.ENERGY)
    edge = TimedTier((1.0, replace(SURE, energy=0.875)), remote=False)

    async def play(read: ConfidenceMap) -> float:
        ruled = replace(POLICY, tiers=(replace(EDGE, threshold=0.0, confidence=read),))
        async with engine_of(ruled, {"edge": edge}) as engine:
            return (await engine.predict(TEXT)).confidence

    # 1 / (1 + e**log(1 + n)) = 1 / (n + 2), of a text's n bytes where no model counts.
    assert math.isclose(run_virtually(play(by_length)), 1 / (len(TEXT["text"]) + 2))
    assert run_virtually(play(by_energy)) == 0.875


def test_a_prompt_that_the_edge_would_get_wrong_goes_to_the_cloud_at_once() -> None:
    prompts = [f"{word} {n}" for n in range(40) for word in ("prove", "say")]
    weights = PreRouter.fit(prompts, [0, 1] * 40, [1] * 80).weights
    ahead = replace(POLICY, preroute=PreRouteRules(weights=weights, min_gain=0.5))
    edge, cloud = TimedTier((1.0, SURE), remote=False), TimedTier((60.0, FAR))

    async def play() -> list[str]:
        async with engine_of(ahead, {"edge": edge, "cloud": cloud}) as engine:
            inputs: list[Input] = [
                {"text": "say 77"},
                {"text": "prove 77"},
                {"text": "prove 77", "privacy_flag": True},
                {"image": b"7"},
            ]
            return [(await engine.predict(one)).location for one in inputs]

    assert run_virtually(play()) == ["edge", "cloud", "edge", "edge"]


HIDING = replace(
    POLICY,
    privacy=PrivacyRules(
        detect=("email", "card", "phone"),
        actions=PrivacyActions(
            by_kind={"email": PrivacyAction.REDACT, "card": PrivacyAction.REFUSE}
        ),
    ),
)


def test_what_is_redacted_leaves_and_comes_back_without_the_cloud_seeing_it() -> None:
    edge = TimedTier((1.0, UNSURE), remote=False)
    cloud = TimedTier((60.0, Prediction("tell <EMAIL_1>", 0.9, ())))
    sink = ListSink()

    async def play() -> None:
        async with engine_of(HIDING, {"edge": edge, "cloud": cloud}, sink) as engine:
            result = await engine.predict({"text": "write to ana@example.org"})
            assert (result.label, result.location) == ("tell ana@example.org", "cloud_fallback")
            assert "redacted" in result.reasons

    run_virtually(play())
    assert edge.asked == [{"text": "write to ana@example.org"}]
    assert cloud.asked == [{"text": "write to <EMAIL_1>"}]
    assert sink.decisions[0].facts.redacted == ("email",)
    assert "ana@" not in repr(sink.decisions[0])


def test_what_is_refused_reaches_no_tier_and_is_logged() -> None:
    edge, cloud = TimedTier((1.0, SURE), remote=False), TimedTier((60.0, FAR))
    sink = ListSink()

    async def play() -> None:
        async with engine_of(HIDING, {"edge": edge, "cloud": cloud}, sink) as engine:
            with pytest.raises(PrivacyViolation, match="card"):
                await engine.predict({"text": "charge 4111 1111 1111 1111"})

    run_virtually(play())
    assert (edge.asked, cloud.asked) == ([], [])
    assert [one.value for one in sink.decisions[0].reasons] == ["privacy_refused", "no_tier_left"]
    assert sink.decisions[0].error == "PrivacyViolation"


def test_the_strictest_action_rules() -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((60.0, FAR))

    async def play() -> None:
        async with engine_of(HIDING, {"edge": edge, "cloud": cloud}) as engine:
            text = "ana@example.org or +49 30 901820"
            assert (await engine.predict({"text": text})).location == "edge"

    run_virtually(play())
    assert cloud.asked == []


def test_a_rule_over_the_device_sends_requests_away() -> None:
    busy = replace(POLICY, device=(DeviceRule(name="busy", requests_per_min_above=2.0),))
    edge, cloud = TimedTier((1.0, SURE), remote=False), TimedTier((60.0, FAR))

    async def play() -> list[str]:
        engine = engine_of(busy, {"edge": edge, "cloud": cloud}, read_device=DeviceState)
        found = [(await engine.predict(TEXT)).location for _ in range(3)]
        await asyncio.sleep(61.0)
        found.append((await engine.predict(TEXT)).location)
        await engine.aclose()
        return found

    assert run_virtually(play()) == ["edge", "edge", "cloud", "edge"]


def test_virtual_time_says_when_nothing_can_happen() -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing is left"):
        run_virtually(wait_for_ever())


async def _swap(
    engine: HybridInferenceEngine, policy: Policy, tiers: Mapping[str, TimedTier]
) -> str:
    """Exchange the policy; opening runs in a thread, which virtual time does not wait for."""
    swapping = asyncio.create_task(engine.swap_policy(policy, tiers=tiers))
    while not swapping.done():
        await asyncio.sleep(0)
    return await swapping
