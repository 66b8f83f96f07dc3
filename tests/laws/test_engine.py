"""Laws of the engine, on tiers that answer, fail and hang at random, in virtual time."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import DeadlineExceeded, EdgewiseError, RemoteError
from edgewise.records import (
    Outcome,
    Policy,
    Prediction,
    PrivacyRules,
    TierKind,
    TierPolicy,
)
from edgewise.route import HybridInferenceEngine
from edgewise.testing.route import FakeClock, FakeTier, ListSink

KINDS = (TierKind.DEVICE, TierKind.SITE, TierKind.CLOUD)
DOWN = RemoteError("can't be reached", where="fake tier", hint="start it")
LATE = DeadlineExceeded("no answer within 10000 ms", where="fake tier", hint="allow more time")

turns = st.one_of(
    st.floats(0.5, 1.0).map(lambda top: Prediction("yes", top, (1.0 - top, top))),
    st.sampled_from([DOWN, LATE]),
)
requests = st.fixed_dictionaries(
    {"text": st.sampled_from(["a film", "mail ana@example.org", "call +49 30 901820"])},
    optional={
        "privacy_flag": st.booleans(),
        "region": st.sampled_from(["eu", "EU", "us"]),
    },
)


def make_policy(count: int, threshold: float | None) -> Policy:
    return Policy(
        task="text-classification",
        labels=("no", "yes"),
        tiers=tuple(
            TierPolicy(name=f"t{i}", kind=KINDS[i], threshold=threshold, usd_per_request=0.001 * i)
            for i in range(count)
        ),
        privacy=PrivacyRules(detect=("email", "phone"), residency={"eu": ("t0", "t1")}),
    )


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_requests_end_in_one_decision_and_stay_where_they_may(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 3))
    clock = FakeClock()
    policy = make_policy(count, data.draw(st.none() | st.floats(0.5, 1.0)))
    tiers = {
        tier.name: FakeTier(
            clock,
            data.draw(st.lists(turns, min_size=1, max_size=4)),
            latency_ms=data.draw(st.floats(0.1, 400.0)),
            remote=place > 0,
        )
        for place, tier in enumerate(policy.tiers)
    }
    sink = ListSink()
    inputs = data.draw(st.lists(requests, min_size=1, max_size=8))
    deadlines = data.draw(st.none() | st.floats(1.0, 600.0))
    engine = HybridInferenceEngine(policy=policy, clock=clock, decision_log=sink, tiers=tiers)

    async def play() -> list[str]:
        ends = []
        for one in inputs:
            try:
                ends.append((await engine.predict(one, deadline_ms=deadlines)).request_id)
            except EdgewiseError:
                ends.append("")
            clock.wait(0.5)
        return ends

    ends = asyncio.run(play())

    assert len(sink.decisions) == len(inputs)
    for one, end, decision in zip(inputs, ends, sink.decisions, strict=True):
        private = one.get("privacy_flag", False) or one["text"] != "a film"
        european = str(one.get("region")).lower() == "eu"
        limit = {"t0"} if private else {"t0", "t1"} if european else {"t0", "t1", "t2"}
        assert {attempt.tier for attempt in decision.attempts} <= limit
        assert (decision.location is None) == (end == "")
        assert end in ("", decision.request_id)
        answered = any(one.outcome is Outcome.ANSWERED for one in decision.attempts)
        assert answered == (decision.location is not None)
    for place, fake in enumerate(tiers.values()):
        if place == 2:
            assert all(one["text"] == "a film" for one in fake.asked)
