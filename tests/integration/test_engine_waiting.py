"""Requests that wait for the cloud, and calls that the budget pays, through the whole engine."""

import asyncio
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewise.errors import (
    InvalidData,
    RemoteError,
    StorageError,
    TierUnavailable,
    UsageError,
)
from edgewise.records import (
    ApiKey,
    BreakerRules,
    BudgetRules,
    Decision,
    OfflineRules,
    Policy,
    Prediction,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    RequestFacts,
    RetryRules,
    SpendingLimit,
    TierKind,
    TierPolicy,
    encode,
)
from edgewise.route import (
    Budget,
    HybridInferenceEngine,
    LateAnswer,
    LateOutcome,
    LateRequest,
    OfflineQueue,
)
from edgewise.testing.route import ListSink
from edgewise.testing.virtual_time import TimedTier

pytestmark = pytest.mark.integration
UNSURE = Prediction("no", 0.6, (0.6, 0.4))
FAR = Prediction("yes", 0.99, ())
DOWN = RemoteError("can't be reached", where="https://cloud", hint="is it running?")
RESTING = RemoteError("answered HTTP 429", where="https://cloud", status=429, retry_after_s=200.0)
WRONG = RemoteError("answered HTTP 422", where="https://cloud", status=422)
TEXT = {"text": "quite a film"}


def policy(folder: Path, **offline: Any) -> Policy:
    return Policy(
        task="text-classification",
        labels=("no", "yes"),
        tiers=(
            TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8),
            TierPolicy(name="cloud", kind=TierKind.CLOUD, rtt_p50_ms=1.0, usd_per_request=0.25),
        ),
        privacy=PrivacyRules(
            detect=("email",),
            actions=PrivacyActions(by_kind={"email": PrivacyAction.REDACT}),
        ),
        retry=RetryRules(most=0),
        breaker=BreakerRules(minimum_calls=50),
        offline=OfflineRules(path=str(folder / "queue"), **offline),
    )


def engine_of(
    made: Policy, edge: TimedTier, cloud: TimedTier, sink: ListSink | None = None
) -> HybridInferenceEngine:
    return HybridInferenceEngine(
        policy=made, tiers={"edge": edge, "cloud": cloud}, decision_log=sink
    )


async def answer_of(engine: HybridInferenceEngine, request_id: str) -> Mapping[str, Any]:
    async with asyncio.timeout(20):
        while (found := await engine.late_answer(request_id)) is None:
            await asyncio.sleep(0.02)
    return found


async def test_a_doubtful_answer_waits_until_the_cloud_is_back(tmp_path: Path) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN), (1.0, FAR))
    sink = ListSink()
    async with engine_of(policy(tmp_path), edge, cloud, sink) as engine:
        queued = await engine.predict({"text": "mail ana@example.org"}, allow_late=True)
        none_yet = await engine.late_answer(queued.request_id)
        logged_early = len(sink.decisions)
        late = await answer_of(engine, queued.request_id)
        with pytest.raises(UsageError) as twice:
            await engine.late_answer(queued.request_id)
        at_once = await engine.predict(TEXT, allow_late=True)

    assert (queued.location, queued.label, queued.confidence) == ("queued", "", 0.0)
    assert queued.reasons[-1] == "queued"
    assert queued.explain()[-2].endswith("queue: tier_failed, queued")
    assert (none_yet, logged_early) == (None, 0)
    assert twice.value.what == "no such request waits, and none has an answer"
    assert twice.value.where == f"request {queued.request_id}"
    assert "given once" in twice.value.hint
    assert (late["label"], late["location"], late["cost"]) == ("yes", "cloud", 0.25)
    assert late["request_id"] == queued.request_id
    assert at_once.location == "cloud_fallback"
    # Under one key both times, and without the address.
    assert cloud.ids[0] == cloud.ids[1] == queued.request_id
    assert cloud.asked[1] == {"text": "mail <EMAIL_1>"}
    assert sink.decisions[0].request_id == queued.request_id
    assert [one.tags for one in sink.decisions] == [("late",), ()]
    assert len(sink.decisions) == 2


async def test_what_waits_is_answered_after_a_restart(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("QUEUE_KEY", "hush")
    sealed = policy(tmp_path, key=ApiKey(env="QUEUE_KEY"))
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN))
    async with engine_of(sealed, edge, cloud) as engine:
        queued = await engine.predict({"text": "a long remembered film"}, allow_late=True)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    up = TimedTier((1.0, FAR))
    async with engine_of(sealed, edge, up) as engine:
        await engine.predict({**TEXT, "privacy_flag": True})
        late = await answer_of(engine, queued.request_id)
        left = engine.late_answers()

    assert b"remembered" not in stored
    assert late["label"] == "yes"
    assert left == []


@pytest.mark.parametrize("why", ["no money", "not there", "too large", "asked for rest"])
async def test_what_waits_goes_to_the_tier_that_can_answer(tmp_path: Path, why: str) -> None:
    made = policy(tmp_path)
    near, far = made.tiers
    site = replace(near, name="site", kind=TierKind.SITE, rtt_p50_ms=1.0)
    if why == "too large":
        far = replace(far, max_input_bytes=3)
    if why == "no money":
        none = SpendingLimit(usd_per_day=0.0)
        made = replace(made, budget=BudgetRules(path=str(tmp_path / "budget"), total=none))
    made = replace(made, tiers=(site, far))
    near_tier = TimedTier((1.0, UNSURE))
    far_tier = TimedTier((1.0, RESTING if why == "asked for rest" else FAR))
    near_tier.ready, far_tier.ready = False, why == "asked for rest"
    tiers = {"site": near_tier, "cloud": far_tier}

    async with HybridInferenceEngine(policy=made, tiers=tiers) as engine:
        queued = await engine.predict(TEXT, allow_late=True)
        near_tier.ready, far_tier.ready = True, why != "not there"
        late = await answer_of(engine, queued.request_id)

    assert (queued.location, late["label"]) == ("queued", "no")
    assert near_tier.ids == [queued.request_id]


@pytest.mark.parametrize("why", ["it was doubted", "another was forced"])
async def test_what_waits_is_answered_by_no_tier_that_would_not_do(
    tmp_path: Path, why: str
) -> None:
    made = policy(tmp_path)
    near, far = made.tiers
    site = replace(near, name="site", kind=TierKind.SITE, rtt_p50_ms=1.0)
    made = replace(made, tiers=(site, far), breaker=BreakerRules(minimum_calls=1, open_s=1.2))
    near_tier, far_tier = TimedTier((1.0, UNSURE)), TimedTier((1.0, DOWN), (1.0, FAR))
    tiers = {"site": near_tier, "cloud": far_tier}
    forced = "cloud" if why == "another was forced" else None

    async with HybridInferenceEngine(policy=made, tiers=tiers) as engine:
        queued = await engine.predict(TEXT, forced, allow_late=True)
        asked = len(near_tier.ids)
        late = await answer_of(engine, queued.request_id)

    assert (queued.location, late["label"]) == ("queued", "yes")
    assert len(near_tier.ids) == asked


async def test_a_caller_whose_money_is_spent_holds_up_nobody_else(tmp_path: Path) -> None:
    limits = {"poor": SpendingLimit(usd_per_day=0.0)}
    money = BudgetRules(path=str(tmp_path / "budget"), callers=limits)
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, FAR))
    cloud.ready = False

    async with engine_of(replace(policy(tmp_path), budget=money), edge, cloud) as engine:
        for n in range(9):
            await engine.predict({"text": f"film {n}"}, caller="poor", allow_late=True)
        queued = await engine.predict(TEXT, caller="rich", allow_late=True)
        cloud.ready = True
        late = await answer_of(engine, queued.request_id)

    assert late["label"] == "yes"
    assert cloud.ids == [queued.request_id]


async def test_a_tier_that_is_out_holds_up_nothing_that_another_can_answer(tmp_path: Path) -> None:
    made = policy(tmp_path)
    near, far = made.tiers
    site = replace(near, name="site", kind=TierKind.SITE, rtt_p50_ms=1.0)
    made = replace(made, tiers=(site, far), breaker=BreakerRules(minimum_calls=1, open_s=900.0))
    near_tier, far_tier = TimedTier((1.0, DOWN)), TimedTier((1.0, FAR))
    far_tier.ready = False
    tiers = {"site": near_tier, "cloud": far_tier}

    async with HybridInferenceEngine(policy=made, tiers=tiers) as engine:
        for _ in range(9):
            await engine.predict(TEXT, "site", allow_late=True)
        queued = await engine.predict(TEXT, "cloud", allow_late=True)
        far_tier.ready = True
        late = await answer_of(engine, queued.request_id)

    assert (late["label"], len(near_tier.ids)) == ("yes", 1)


async def test_what_waits_is_sent_after_a_restart_without_another_request(tmp_path: Path) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN))
    async with engine_of(policy(tmp_path), edge, cloud) as engine:
        queued = await engine.predict(TEXT, allow_late=True)

    async with engine_of(policy(tmp_path), edge, TimedTier((1.0, FAR))) as engine:
        async with asyncio.timeout(20):
            while not engine.late_answers():
                await asyncio.sleep(0.02)
        assert engine.late_answers() == [queued.request_id]


async def test_a_policy_put_in_service_sends_what_waits_without_another_request(
    tmp_path: Path,
) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN))
    async with engine_of(policy(tmp_path), edge, cloud) as engine:
        queued = await engine.predict(TEXT, allow_late=True)
    up = TimedTier((1.0, FAR))
    engine = engine_of(policy(tmp_path), edge, up)  # made before a loop ran, as it may be

    await engine.swap_policy(policy(tmp_path), tiers={"edge": edge, "cloud": up})
    async with asyncio.timeout(20):
        while not engine.late_answers():
            await asyncio.sleep(0.02)
    await engine.aclose()

    assert up.ids == [queued.request_id]


async def test_a_caller_that_goes_away_while_its_request_is_stored_leaves_one_decision(
    tmp_path: Path,
) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN))
    sink = ListSink()
    async with engine_of(policy(tmp_path), edge, cloud, sink) as engine:
        asking = [
            asyncio.create_task(engine.predict({"text": f"film {n}"}, allow_late=True))
            for n in range(40)
        ]
        for place, task in enumerate(asking):
            asyncio.get_running_loop().call_later(0.0005 * place, task.cancel)
        await asyncio.gather(*asking, return_exceptions=True)
        cloud.script = [(1.0, FAR)]
        async with asyncio.timeout(20):
            while len({one.request_id for one in sink.decisions}) < 40:
                await asyncio.sleep(0.02)

    assert len(sink.decisions) == 40


async def test_private_and_impatient_requests_never_wait(tmp_path: Path) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN))
    async with engine_of(policy(tmp_path), edge, cloud) as engine:
        private = await engine.predict({**TEXT, "privacy_flag": True}, allow_late=True)
        hurried = await engine.predict(TEXT)
        edge.ready = False
        with pytest.raises(TierUnavailable):
            await engine.predict({**TEXT, "privacy_flag": True}, allow_late=True)
        with pytest.raises(InvalidData, match="can't wait"):
            await engine.predict({"image": np.zeros(3)}, allow_late=True)

    assert (private.location, hurried.location) == ("edge", "edge_fallback")


async def test_a_full_queue_says_so(tmp_path: Path) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN))
    sink = ListSink()
    async with engine_of(policy(tmp_path, max_count=1), edge, cloud, sink) as engine:
        await engine.predict(TEXT, allow_late=True)
        with pytest.raises(TierUnavailable, match="queue_full"):
            await engine.predict(TEXT, allow_late=True)

    assert [one.error for one in sink.decisions] == ["TierUnavailable"]


async def test_a_request_that_the_cloud_refuses_ends_and_is_logged(tmp_path: Path) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN), (1.0, WRONG))
    sink = ListSink()
    async with engine_of(policy(tmp_path), edge, cloud, sink) as engine:
        queued = await engine.predict(TEXT, allow_late=True)
        with pytest.raises(TierUnavailable, match="rejected RemoteError"):
            await answer_of(engine, queued.request_id)

    assert [(one.request_id, one.error) for one in sink.decisions] == [
        (queued.request_id, "rejected")
    ]


async def test_what_ended_without_an_answer_is_logged_once_though_nobody_asks_for_it(
    tmp_path: Path,
) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN), (1.0, WRONG))
    sink = ListSink()
    async with engine_of(policy(tmp_path), edge, cloud, sink) as engine:
        queued = await engine.predict(TEXT, allow_late=True)
        async with asyncio.timeout(20):
            while not sink.decisions:
                await asyncio.sleep(0.02)
    async with engine_of(policy(tmp_path), edge, cloud, sink) as engine:
        with pytest.raises(TierUnavailable, match="rejected RemoteError"):
            await answer_of(engine, queued.request_id)

    assert [(one.request_id, one.error) for one in sink.decisions] == [
        (queued.request_id, "rejected")
    ]


class FullLog(ListSink):
    """Takes the decisions of stored requests at the third time only."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    def append(self, decision: Decision) -> None:
        """Keep one decision, or say that there is no room."""
        if self.refused < 2:
            self.refused += 1
            raise StorageError("no space", where="log", hint="free some")
        super().append(decision)


async def test_an_answer_that_could_not_be_logged_is_not_paid_again(tmp_path: Path) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN), (1.0, FAR))
    sink = FullLog()
    async with engine_of(policy(tmp_path), edge, cloud, sink) as engine:
        queued = await engine.predict(TEXT, allow_late=True)
        late = await answer_of(engine, queued.request_id)

    assert (late["label"], late["cost"]) == ("yes", 0.25)
    assert sink.refused == 2
    assert [one.request_id for one in sink.decisions] == [queued.request_id]
    assert len(cloud.ids) == 2  # when it was asked, and once when it was sent


async def test_what_ended_just_before_a_kill_is_logged_by_the_next_process(
    tmp_path: Path,
) -> None:
    made, sink = policy(tmp_path), ListSink()
    assert made.offline is not None
    with OfflineQueue(made.offline, remote=["cloud"]) as queue:
        queue.put(LateRequest(request_id="film", payload=b"{}", allowed=("cloud",)))
        queue.settle([LateAnswer(request_id="film", outcome=LateOutcome.EXPIRED)])

    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, FAR))
    async with engine_of(made, edge, cloud, sink), asyncio.timeout(20):
        while not sink.decisions:
            await asyncio.sleep(0.02)

    assert [(one.request_id, one.error) for one in sink.decisions] == [("film", "expired")]
    assert sink.decisions[0].tags == ("late",)
    with OfflineQueue(made.offline, remote=["cloud"]) as queue:
        assert queue.unanswered() == []


class HeldUp(ThreadPoolExecutor):
    """Runs what a loop gives to threads; one answer about the queue's state waits to be told."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.told = threading.Event(), threading.Event()

    def submit(self, fn: Any, /, *args: Any, **named: Any) -> Any:
        """Run it, and hold back the first answer."""

        def work() -> Any:
            found = fn(*args, **named)
            if fn.args[0].__name__ == "state" and not self.read.is_set():
                self.read.set()
                assert self.told.wait(20.0)
            return found

        return super().submit(work)


async def test_what_is_stored_while_the_queue_is_looked_at_is_not_forgotten(
    tmp_path: Path,
) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, FAR))
    threads = HeldUp()
    asyncio.get_running_loop().set_default_executor(threads)

    async with engine_of(policy(tmp_path), edge, cloud) as engine:
        cloud.ready = False
        first = await engine.predict(TEXT, allow_late=True)
        cloud.ready = True
        await asyncio.to_thread(threads.read.wait, 20.0)
        cloud.ready = False
        second = await engine.predict(TEXT, allow_late=True)
        cloud.ready = True
        threads.told.set()
        found = [await answer_of(engine, one.request_id) for one in (first, second)]

    assert [one["label"] for one in found] == ["yes", "yes"]


async def test_a_stored_request_of_another_version_is_rejected(tmp_path: Path) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN))
    async with engine_of(policy(tmp_path), edge, cloud) as engine:
        store = engine._opened_store()
        strange = json.dumps({"facts": {}}).encode()
        late = LateRequest(request_id="r1", payload=strange, allowed=("cloud",))
        with pytest.raises(InvalidData, match="another version"):
            await store._send_one(late)


async def test_a_claimed_request_waits_on_where_another_policy_has_not_its_tier(
    tmp_path: Path,
) -> None:
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, FAR))
    async with engine_of(policy(tmp_path), edge, cloud) as engine:
        facts = RequestFacts(request_id="r1", input_length=1, input_bytes=1)
        payload = json.dumps({"facts": encode(facts), "input": TEXT}).encode()
        late = LateRequest(request_id="r1", payload=payload, allowed=("a tier of before",))

        assert await engine._opened_store()._send_one(late) is None

    assert cloud.asked == []


async def test_nothing_waits_without_rules_for_it(tmp_path: Path) -> None:
    plain = replace(policy(tmp_path), offline=None)
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN))
    async with engine_of(plain, edge, cloud) as engine:
        result = await engine.predict(TEXT, allow_late=True)
        with pytest.raises(UsageError, match="nothing is ever queued"):
            await engine.late_answer("r")
        with pytest.raises(UsageError, match="make another"):
            await engine.swap_policy(policy(tmp_path), tiers={"edge": edge, "cloud": cloud})

    assert result.location == "edge_fallback"


async def test_a_budget_that_is_spent_keeps_requests_on_the_device(tmp_path: Path) -> None:
    paid = replace(
        policy(tmp_path),
        offline=None,
        budget=BudgetRules(
            path=str(tmp_path / "budget"),
            total=SpendingLimit(usd_per_day=1.0),
            callers={"guest": SpendingLimit(usd_per_day=0.25)},
        ),
    )
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, DOWN), (1.0, FAR))
    async with engine_of(paid, edge, cloud) as engine:
        failed = await engine.predict(TEXT)  # what fails costs nothing
        guest = [(await engine.predict(TEXT, caller="guest")).location for _ in range(2)]
        others = [await engine.predict(TEXT) for _ in range(4)]

    assert failed.location == "edge_fallback"
    assert guest == ["cloud_fallback", "edge"]
    assert [one.location for one in others] == ["cloud_fallback"] * 3 + ["edge"]
    assert "budget_spent" in others[-1].reasons
    assert sum(one.cost for one in others) == 0.75


async def test_a_thousand_calls_at_once_do_not_overrun_the_budget(tmp_path: Path) -> None:
    rules = BudgetRules(path=str(tmp_path / "b"), total=SpendingLimit(usd_per_day=25.0))
    paid = replace(policy(tmp_path), offline=None, budget=rules)
    edge, cloud = TimedTier((0.1, UNSURE), remote=False), TimedTier((5.0, FAR))
    async with engine_of(paid, edge, cloud) as engine:
        found = await engine.predict_many([TEXT] * 1000, concurrency=1000)
        more = replace(paid, budget=replace(rules, total=SpendingLimit(usd_per_day=26.0)))
        await engine.swap_policy(more, tiers={"edge": edge, "cloud": cloud})
        again = await engine.predict_many([TEXT] * 10)

    assert sum(one.location == "cloud_fallback" for one in found) == len(cloud.asked) - 4 == 100
    assert sum(one.location == "cloud_fallback" for one in again) == 4


async def test_a_budget_that_another_process_emptied_is_found_out_at_the_call(
    tmp_path: Path,
) -> None:
    rules = BudgetRules(path=str(tmp_path / "b"), total=SpendingLimit(usd_per_day=0.25))
    paid = replace(policy(tmp_path), offline=None, budget=rules)
    edge, cloud = TimedTier((1.0, UNSURE), remote=False), TimedTier((1.0, FAR))
    async with engine_of(paid, edge, cloud) as engine:
        await engine.predict({**TEXT, "privacy_flag": True})
        with Budget(rules) as other:
            assert other.reserve("", 0.25) is not None
        result = await engine.predict(TEXT)

    assert (result.location, "budget_spent" in result.reasons) == ("edge", True)
    assert cloud.asked == []
