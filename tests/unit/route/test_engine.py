"""The engine on fake tiers and a virtual clock."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from edgewise.errors import (
    DeadlineExceeded,
    EdgewiseError,
    InvalidData,
    PrivacyViolation,
    RemoteError,
    TierUnavailable,
    UsageError,
)
from edgewise.records import (
    Certificate,
    CertificateState,
    Input,
    Loss,
    Outcome,
    Policy,
    Prediction,
    PrivacyRules,
    Reason,
    TierKind,
    TierPolicy,
)
from edgewise.route import HybridInferenceEngine
from edgewise.testing.route import FakeClock, FakeTier, ListSink

SURE = Prediction("yes", 0.9, (0.1, 0.9))
UNSURE = Prediction("no", 0.6, (0.6, 0.4))
CLOUDY = Prediction("yes", 0.99, ())
DOWN = RemoteError("can't be reached", where="https://cloud", hint="is it running?")
TEXT = {"text": "quite a film"}
CERTIFICATE = Certificate(
    state=CertificateState.CERTIFIED,
    loss=Loss.NET,
    alpha=0.02,
    delta=0.05,
    n=500,
    threshold=0.8,
    deferral_rate=0.2,
    bound=0.015,
)
POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8),
        TierPolicy(
            name="cloud",
            kind=TierKind.CLOUD,
            rtt_p50_ms=60.0,
            rtt_p95_ms=180.0,
            usd_per_request=0.002,
        ),
    ),
    privacy=PrivacyRules(detect=("email",), residency={"eu": ("edge",)}),
    certificate=CERTIFICATE,
)


class House:
    """An engine with what it stands on."""

    def __init__(
        self,
        edge: Sequence[Prediction | EdgewiseError] = (SURE,),
        cloud: Sequence[Prediction | EdgewiseError] = (CLOUDY,),
        policy: Policy = POLICY,
    ) -> None:
        self.clock = FakeClock()
        self.edge = FakeTier(self.clock, edge, latency_ms=2.0)
        self.cloud = FakeTier(self.clock, cloud, latency_ms=60.0, remote=True)
        self.sink = ListSink()
        self.engine = HybridInferenceEngine(
            policy=policy,
            clock=self.clock,
            decision_log=self.sink,
            tiers={"edge": self.edge, "cloud": self.cloud},
        )


async def test_a_sure_edge_answers() -> None:
    house = House()

    result = await house.engine.predict(TEXT)

    assert (result.prediction, result.label, result.location) == ("yes", "yes", "edge")
    assert result["confidence"] == 0.9
    assert result["cost"] == 0.0
    assert result.latency_ms == pytest.approx(2.0)
    assert result.probabilities == {"no": 0.1, "yes": 0.9}
    assert result.reasons == ("nearest_first", "confident")
    assert result.certificate is not None
    assert result.certificate["state"] == "certified"
    assert result.policy_version == house.engine.policy_version
    assert house.cloud.asked == []


async def test_an_unsure_edge_defers_to_the_cloud() -> None:
    house = House(edge=[UNSURE])

    result = await house.engine.predict(TEXT)

    assert (result.prediction, result.location) == ("yes", "cloud_fallback")
    assert result.confidence == 0.99
    assert result.cost == 0.002
    assert result.probabilities == {}
    assert [one["tier"] for one in result.attempts] == ["edge", "cloud"]


async def test_an_unsure_edge_stands_where_the_cloud_failed() -> None:
    house = House(edge=[UNSURE], cloud=[DOWN])

    result = await house.engine.predict(TEXT)

    assert (result.prediction, result.location, result.cost) == ("no", "edge_fallback", 0.0)
    assert result.attempts[1]["error"] == "RemoteError"


@pytest.mark.parametrize(
    "private",
    [
        {"text": "write to ana@example.org"},
        {"text": "hello", "privacy_flag": True},
        {"text": "hello", "region": "eu"},
        {"text": "hello", "history": [{"from": "ana@example.org"}]},
    ],
)
async def test_what_is_private_never_reaches_the_cloud(private: Input) -> None:
    house = House(edge=[UNSURE])

    result = await house.engine.predict(private)

    assert result.location == "edge"
    assert house.cloud.asked == []
    assert house.sink.decisions[0].allowed == ("edge",)


async def test_a_private_request_whose_edge_fails_is_not_sent_on() -> None:
    house = House(edge=[DOWN])

    with pytest.raises(TierUnavailable) as caught:
        await house.engine.predict({"text": "secret plans", "privacy_flag": True})

    assert "edge: RemoteError" in caught.value.what
    assert "privacy_flag" in caught.value.what
    assert caught.value.where.startswith("request ")
    assert "endpoints" in caught.value.hint
    assert "secret" not in str(caught.value)
    assert house.cloud.asked == []


async def test_forcing_a_private_request_out_is_refused_and_logged() -> None:
    house = House()

    with pytest.raises(PrivacyViolation):
        await house.engine.predict({"text": "x", "privacy_flag": True}, force_location="cloud")

    (decision,) = house.sink.decisions
    assert (decision.error, decision.location, decision.attempts) == ("PrivacyViolation", None, ())


async def test_force_asks_the_tier_named() -> None:
    house = House()

    result = await house.engine.predict(TEXT, force_location="cloud")

    assert (result.location, result.reasons) == ("cloud", ("forced",))
    assert house.edge.asked == []


async def test_a_cloud_that_hangs_is_left_at_the_deadline_for_the_kept_answer() -> None:
    house = House(edge=[UNSURE])
    house.cloud.latency_ms = 5000.0

    result = await house.engine.predict(TEXT, deadline_ms=200.0)

    assert result.location == "edge_fallback"
    assert result.latency_ms == pytest.approx(200.0)
    assert result.cost == 0.002
    assert "deadline_passed" in result.reasons


async def test_no_answer_by_the_deadline_is_said() -> None:
    house = House()
    house.edge.latency_ms = 50.0

    with pytest.raises(DeadlineExceeded) as caught:
        await house.engine.predict(TEXT, deadline_ms=10.0)

    assert "deadline_passed" in caught.value.what
    assert caught.value.hint == "allow more time"
    assert house.sink.decisions[0].attempts[0].outcome is Outcome.TIMED_OUT


async def test_a_failing_cloud_is_left_alone_until_a_probe_finds_it_well() -> None:
    house = House(edge=[UNSURE], cloud=[DOWN] * 5 + [CLOUDY])

    for _ in range(5):
        await house.engine.predict(TEXT)
    skipped = await house.engine.predict(TEXT)
    asked = len(house.cloud.asked)
    house.clock.wait(2.0)
    back = await house.engine.predict(TEXT)

    assert asked == 5
    assert skipped.location == "edge_fallback"
    assert "circuit_open" in skipped.reasons
    assert back.location == "cloud_fallback"


async def test_an_input_too_large_for_every_tier_is_answered_with_its_size() -> None:
    house = House()

    with pytest.raises(InvalidData) as caught:
        await house.engine.predict({"text": "a" * 1_000_001})

    assert "1000001 bytes" in caught.value.what
    assert "max_input_bytes" in caught.value.hint


async def test_an_input_at_fault_does_not_blame_the_tier() -> None:
    wrong = InvalidData("the input has no `text`", where="input", hint="give one")
    house = House(edge=[wrong] * 6 + [SURE])

    for _ in range(6):
        with pytest.raises(InvalidData):
            await house.engine.predict({})
    result = await house.engine.predict(TEXT)

    assert result.location == "edge"
    assert house.sink.decisions[0].attempts[0].error == "InvalidData"
    assert house.sink.decisions[0].error == "InvalidData"


async def test_what_one_tier_read_and_another_can_not_take_is_a_fallback() -> None:
    wrong = InvalidData("the input can't be sent", where="tier cloud", hint="give a text")
    house = House(edge=[UNSURE], cloud=[wrong])

    results = [await house.engine.predict(TEXT) for _ in range(6)]

    assert [one.location for one in results] == ["edge_fallback"] * 6
    assert len(house.cloud.asked) == 6


async def test_a_cancelled_request_is_logged_and_frees_the_tier() -> None:
    house = House()
    request = asyncio.create_task(house.engine.predict(TEXT))
    await asyncio.sleep(0)

    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

    (decision,) = house.sink.decisions
    assert decision.error == "CancelledError"
    assert decision.attempts[0].outcome is Outcome.CANCELLED


async def test_each_request_leaves_one_decision_without_payload() -> None:
    house = House(edge=[UNSURE])

    await house.engine.predict({"text": "the quick brown fox"})

    (decision,) = house.sink.decisions
    assert decision.location == "cloud_fallback"
    assert decision.reasons == (Reason.NEAREST_FIRST, Reason.LOW_CONFIDENCE, Reason.LAST_TIER)
    assert decision.cost_usd == 0.002
    assert decision.certificate_state == "certified"
    assert decision.latency_ms == pytest.approx(62.0)
    assert "quick" not in repr(decision)


async def test_many_are_answered_in_order() -> None:
    house = House(edge=[SURE, UNSURE, SURE])

    results = await house.engine.predict_many([TEXT] * 3, concurrency=1)

    assert [one.location for one in results] == ["edge", "cloud_fallback", "edge"]
    assert await house.engine.predict_many([]) == []


async def test_the_first_failure_among_many_is_raised() -> None:
    house = House(edge=[DOWN], cloud=[DOWN])

    with pytest.raises(TierUnavailable):
        await house.engine.predict_many([TEXT] * 4, concurrency=2)
    with pytest.raises(UsageError) as caught:
        await house.engine.predict_many([TEXT], concurrency=0)

    assert caught.value.what == "not above 0: 0"
    assert (caught.value.where, caught.value.hint) == ("concurrency", "give 8")


def test_without_an_event_loop_the_engine_answers_too() -> None:
    house = House(edge=[SURE, UNSURE])

    with house.engine as engine:
        first = engine.predict_sync(TEXT)
        second = engine.predict_sync(TEXT)

    assert (first.location, second.location) == ("edge", "cloud_fallback")
    assert house.edge.closed
    assert house.cloud.closed


async def test_within_an_event_loop_the_blocking_calls_are_refused() -> None:
    house = House()

    with pytest.raises(UsageError) as caught:
        house.engine.predict_sync(TEXT)
    with pytest.raises(UsageError) as closing:
        house.engine.close()

    assert caught.value.what == "an event loop is running in this thread"
    assert caught.value.where == "predict_sync"
    assert caught.value.hint == "await engine.predict(...) instead"
    assert closing.value.hint == "await engine.aclose() instead"


def test_an_engine_used_both_ways_closes_from_a_loop() -> None:
    house = House()

    async def rest() -> None:
        async with house.engine as engine:
            await engine.predict(TEXT)

    house.engine.predict_sync(TEXT)
    asyncio.run(rest())

    assert len(house.edge.asked) == 2


async def test_a_closed_engine_says_so() -> None:
    house = House()
    async with house.engine:
        pass

    with pytest.raises(UsageError) as caught:
        await house.engine.predict(TEXT)

    assert caught.value.what == "the engine is closed"
    assert (caught.value.where, caught.value.hint) == ("predict", "make another one")


async def test_a_result_reads_as_a_mapping_and_as_json() -> None:
    house = House(edge=[UNSURE])

    result = await house.engine.predict(TEXT)

    assert json.loads(json.dumps(dict(result)))["location"] == "cloud_fallback"
    assert len(result) == len(list(result)) == 14
    assert result["warnings"] == ()
    assert "steps" not in result
    with pytest.raises(KeyError):
        result["steps"]


async def test_a_decision_is_told_step_by_step() -> None:
    house = House(edge=[UNSURE], cloud=[DOWN])

    told = (await house.engine.predict(TEXT, deadline_ms=500.0)).explain()

    assert told == [
        "allowed tiers: edge, cloud",
        "1. ask edge within 500 ms: nearest_first",
        "   answered in 2.0 ms, confidence 0.600",
        "2. ask cloud within 498 ms: low_confidence",
        "   failed in 60.0 ms, RemoteError",
        "3. ask cloud within 438 ms: tier_failed, retry",
        "   failed in 60.0 ms, RemoteError",
        "4. the answer of edge stands: tier_failed, fallback",
        "location: edge_fallback",
    ]


async def test_without_a_certificate_none_is_shown() -> None:
    house = House(policy=replace(POLICY, certificate=None))

    result = await house.engine.predict(TEXT)

    assert result.certificate is None
    assert house.sink.decisions[0].certificate_state == ""
