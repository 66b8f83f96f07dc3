"""The engine and its auditor: who is asked about, and what a void certificate changes."""

import asyncio
import random
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewise.errors import RemoteError, StorageError, TierUnavailable, UsageError
from edgewise.observe import AuditFile, Auditor, read_samples
from edgewise.records import (
    AuditRules,
    BudgetRules,
    OnVoid,
    Policy,
    Prediction,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    SpendingLimit,
    TierKind,
    TierPolicy,
)
from edgewise.route import HybridInferenceEngine
from edgewise.route.breaker import CircuitState
from edgewise.testing.route import CERTIFIED, FakeClock, FakeTier, ListSink

SURE = Prediction("yes", 0.9, (0.1, 0.9))
UNSURE = Prediction("no", 0.6, (0.6, 0.4))
AGREES = Prediction("yes", 0.99, ())
DIFFERS = Prediction("no", 0.99, ())
DOWN = RemoteError("can't be reached", where="https://cloud", hint="is it running?")
TEXT = {"text": "quite a film"}
RULES = AuditRules(share=1.0, at_once=8, on_void=OnVoid.CLOUD_ONLY)
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
    audit=RULES,
    certificate=CERTIFIED,
)


class Scene:
    """An engine with two tiers and an auditor, in virtual time."""

    def __init__(
        self,
        edge: Prediction = SURE,
        cloud: Prediction | RemoteError = AGREES,
        policy: Policy = POLICY,
        auditor: Auditor | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.edge = FakeTier(self.clock, [edge])
        self.cloud = FakeTier(self.clock, [cloud], remote=True)
        self.auditor = Auditor(rng=random.Random(5)) if auditor is None else auditor
        self.log = ListSink()
        self.engine = HybridInferenceEngine(
            policy=policy,
            clock=self.clock,
            tiers={"edge": self.edge, "cloud": self.cloud},
            decision_log=self.log,
            auditor=self.auditor,
        )

    async def ask(self, one: Any = TEXT, **how: Any) -> Any:
        """Ask, and let the background work end."""
        result = await self.engine.predict(one, **how)
        await self.settle()
        return result

    async def settle(self) -> None:
        """Let the background work end, and see that it ended well."""
        here = asyncio.current_task()
        background = [one for one in asyncio.all_tasks() if one is not here]
        for _ in range(20):
            await asyncio.sleep(0)
        for one in background:
            if one.done() and not one.cancelled():
                one.result()


async def test_a_kept_answer_is_asked_of_the_cloud_after_it_was_given() -> None:
    scene = Scene()

    async with scene.engine as engine:
        result = await engine.predict(TEXT)
        asked_before = len(scene.cloud.asked)
        await scene.settle()
        state = engine.audit

    assert (result.location, result.cost) == ("edge", 0.0)
    assert asked_before == 0
    assert scene.cloud.asked == [TEXT]
    assert scene.cloud.ids == [f"{result.request_id}-audit"]
    assert state is not None
    assert (state.audited, state.disagreed, state.spent_usd) == (1, 0, 0.002)
    assert len(scene.log.decisions) == 1


async def test_a_policy_that_can_not_be_audited_leaves_the_old_one_in_service(
    tmp_path: Path,
) -> None:
    class FullDisk(Auditor):
        full = False

        def begin(self, policy: Policy, *, judged: bool = False) -> None:
            if self.full:
                raise StorageError("the disk is full")
            super().begin(policy, judged=judged)

    auditor = FullDisk(rng=random.Random(5))
    scene = Scene(auditor=auditor)
    money = BudgetRules(path=str(tmp_path / "budget.sqlite"))
    tiers = {"edge": scene.edge, "cloud": scene.cloud}

    async with scene.engine as engine:
        before = engine.policy_version
        auditor.full = True
        with pytest.raises(StorageError, match="the disk is full"):
            await engine.swap_policy(replace(POLICY, budget=money), tiers=tiers)
        await scene.ask()
        state = engine.audit

    assert engine.policy_version == before
    assert state is not None
    assert state.audited == 1


async def test_an_engine_that_is_closed_during_a_swap_closes_the_new_tiers_too() -> None:
    class Slow(Auditor):
        slow = False
        begun, goes_on = threading.Event(), threading.Event()

        def begin(self, policy: Policy, *, judged: bool = False) -> None:
            if self.slow:
                self.begun.set()
                assert self.goes_on.wait(10.0)
            super().begin(policy, judged=judged)

    auditor = Slow(rng=random.Random(5))
    scene = Scene(auditor=auditor)
    tiers = {name: FakeTier(scene.clock, [SURE]) for name in ("edge", "cloud")}
    auditor.slow = True

    swap = asyncio.create_task(scene.engine.swap_policy(POLICY, tiers=tiers))
    assert await asyncio.to_thread(auditor.begun.wait, 10.0)
    closing = asyncio.create_task(scene.engine.aclose())
    for _ in range(20):
        await asyncio.sleep(0)
    auditor.goes_on.set()
    await asyncio.gather(swap, closing)
    with pytest.raises(UsageError) as caught:
        await scene.engine.swap_policy(POLICY, tiers=tiers)

    assert all(one.closed for one in (*tiers.values(), scene.edge, scene.cloud))
    assert caught.value.what == "the engine is closed"
    assert (caught.value.where, caught.value.hint) == ("swap_policy", "make another one")


async def test_without_rules_or_an_auditor_nothing_is_asked() -> None:
    bare = Scene(policy=replace(POLICY, audit=None))

    async with bare.engine:
        await bare.ask()

    assert bare.cloud.asked == []


@pytest.mark.parametrize(
    ("one", "how"),
    [
        ({**TEXT, "privacy_flag": True}, {}),
        ({"text": "write to ann@example.org"}, {}),
        ({**TEXT, "region": "eu"}, {}),
        (TEXT, {"force_location": "edge"}),
    ],
)
async def test_what_may_not_leave_and_what_was_forced_is_not_audited(
    one: dict[str, Any], how: dict[str, Any]
) -> None:
    scene = Scene()

    async with scene.engine:
        await scene.ask(one, **how)

    assert scene.cloud.asked == []
    assert scene.auditor.state.considered == 0


@pytest.mark.parametrize("edge", [SURE, UNSURE])
async def test_what_is_redacted_is_no_evidence_against_a_certificate(edge: Prediction) -> None:
    actions = PrivacyActions(default=PrivacyAction.REDACT)
    rules = PrivacyRules(detect=("email",), actions=actions)
    scene = Scene(edge=edge, cloud=DIFFERS, policy=replace(POLICY, privacy=rules))

    async with scene.engine:
        await scene.ask({"text": "write to ann@example.org"})

    assert scene.auditor.state.considered == 0


async def test_a_deferred_answer_is_a_sample_without_a_second_call() -> None:
    scene = Scene(edge=UNSURE)

    async with scene.engine:
        result = await scene.ask()

    assert result.location == "cloud_fallback"
    assert len(scene.cloud.asked) == 1
    assert (scene.auditor.state.sampled, scene.auditor.state.audited) == (1, 0)


async def test_a_sample_has_the_confidence_of_the_answer_not_of_a_try_before(
    tmp_path: Path,
) -> None:
    path = tmp_path / "audit.sqlite"
    scene = Scene(auditor=Auditor(AuditFile(path), rng=random.Random(5)))
    scene.edge.remote, scene.edge.script = True, [DOWN, SURE]

    async with scene.engine:
        # The edge fails, the cloud has no time left, and the edge is asked again.
        result = await scene.ask(deadline_ms=59.0)
    scene.auditor.close()
    ((_, sample),) = read_samples(path)

    assert "retry" in result.reasons
    assert (sample.kept, sample.confidence) == (True, 0.9)


async def test_what_a_failure_decided_is_not_audited() -> None:
    scene = Scene(edge=UNSURE, cloud=DOWN)

    async with scene.engine:
        result = await scene.ask()

    assert result.location == "edge_fallback"
    assert scene.auditor.state.considered == 0


async def test_an_answer_without_the_edge_is_not_audited() -> None:
    scene = Scene()
    scene.edge.ready = False

    async with scene.engine:
        result = await scene.ask()

    assert result.location == "cloud_fallback"
    assert scene.auditor.state.considered == 0


async def test_a_cloud_that_is_down_is_told_to_its_circuit_and_then_left_alone() -> None:
    scene = Scene(cloud=DOWN)

    async with scene.engine as engine:
        places = [(await scene.ask()).location for _ in range(40)]
        circuit = engine.circuits()["cloud"]

    assert places == ["edge"] * 40
    assert circuit is CircuitState.OPEN
    assert 0 < len(scene.cloud.asked) < 20
    assert scene.auditor.state.lost == scene.auditor.state.sampled < 20
    assert not scene.auditor.void


async def test_a_background_call_is_paid_from_the_budget(tmp_path: Any) -> None:
    rules = BudgetRules(
        path=str(tmp_path / "budget.sqlite"), total=SpendingLimit(usd_per_day=0.005)
    )
    scene = Scene(policy=replace(POLICY, budget=rules))

    async with scene.engine:
        for _ in range(5):
            assert (await scene.ask()).location == "edge"

    assert len(scene.cloud.asked) == 2
    assert scene.auditor.state.lost == 3


async def test_a_full_bulkhead_comes_before_the_audit() -> None:
    edge, cloud = POLICY.tiers
    scene = Scene(policy=replace(POLICY, tiers=(edge, replace(cloud, max_in_flight=1))))

    async with scene.engine as engine:
        await asyncio.gather(*(engine.predict(TEXT) for _ in range(3)))
        await scene.settle()

    assert len(scene.cloud.asked) == 1
    assert scene.auditor.state.lost == 2


async def test_a_void_certificate_acts_and_is_said() -> None:
    scene = Scene(cloud=DIFFERS)

    async with scene.engine as engine:
        before = await scene.ask()
        for _ in range(20):
            await scene.ask()
        after = await scene.ask()
        state = engine.audit

    assert state is not None
    assert state.void
    assert before.certificate["state"] == "certified"
    assert before.location == "edge"
    assert after.certificate["state"] == "void"
    assert after.location == "cloud"
    assert "certificate_void" in after.reasons
    states = [one.certificate_state for one in scene.log.decisions]
    assert (states[0], states[-1]) == ("certified", "void")


async def test_a_warning_keeps_and_says_so() -> None:
    policy = replace(POLICY, audit=replace(RULES, on_void=OnVoid.WARN))
    scene = Scene(cloud=DIFFERS, policy=policy)

    async with scene.engine:
        for _ in range(20):
            await scene.ask()
        after = await scene.ask()

    assert after.location == "edge"
    assert after.certificate["state"] == "void"
    assert "certificate_void" in after.reasons


async def test_another_certificate_is_believed_again() -> None:
    scene = Scene(cloud=DIFFERS)
    assert POLICY.certificate is not None
    renewed = replace(POLICY, certificate=replace(POLICY.certificate, n=501))

    async with scene.engine as engine:
        for _ in range(20):
            await scene.ask()
        await engine.swap_policy(renewed, tiers={"edge": scene.edge, "cloud": scene.cloud})
        scene.cloud.script = [AGREES]
        result = await scene.ask()

    assert result.location == "edge"
    assert result.certificate["state"] == "certified"


async def test_a_background_call_ends_under_the_policy_that_it_began_with() -> None:
    scene = Scene()
    edge, cloud = FakeTier(scene.clock, [SURE]), FakeTier(scene.clock, [AGREES], remote=True)

    async with scene.engine as engine:
        await engine.predict(TEXT)
        await engine.swap_policy(
            replace(POLICY, deadline_ms=900.0), tiers={"edge": edge, "cloud": cloud}
        )
        await scene.settle()
        closed = scene.cloud.closed

    assert scene.cloud.asked == [TEXT]
    assert closed


async def test_closing_the_engine_cancels_what_is_under_way() -> None:
    scene = Scene()
    await scene.engine.predict(TEXT)
    await asyncio.sleep(0)

    await scene.engine.aclose()

    assert (scene.auditor.state.audited, scene.auditor.state.lost) == (0, 1)


async def test_of_three_tiers_the_farthest_is_asked() -> None:
    edge, cloud = POLICY.tiers
    site = TierPolicy(name="hall", kind=TierKind.SITE, threshold=0.7)
    scene = Scene()
    hall = FakeTier(scene.clock, [Prediction("no", 0.8, ())], remote=True)
    sink = ListSink()
    auditor = Auditor(rng=random.Random(5))
    engine = HybridInferenceEngine(
        policy=replace(POLICY, tiers=(edge, site, cloud)),
        clock=scene.clock,
        tiers={
            "edge": FakeTier(scene.clock, [SURE, UNSURE]),
            "hall": hall,
            "cloud": scene.cloud,
        },
        decision_log=sink,
        auditor=auditor,
    )

    async with engine:
        kept = await engine.predict(TEXT)
        halfway = await engine.predict(TEXT)
        await scene.settle()

    assert (kept.location, halfway.location) == ("edge", "hall")
    assert len(scene.cloud.asked) == 2
    assert auditor.state.audited == 1


async def test_without_an_auditor_there_is_no_state() -> None:
    clock = FakeClock()
    engine = HybridInferenceEngine(
        policy=POLICY, clock=clock, tiers={"edge": FakeTier(clock, [SURE])}
    )

    async with engine:
        await engine.predict(TEXT)

    assert engine.audit is None


async def test_an_answer_that_is_no_label_is_a_difference_and_is_not_kept(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    auditor = Auditor(AuditFile(tmp_path / "audit.sqlite"), rng=random.Random(5))
    cloud = FakeTier(clock, [Prediction("a secret of the text", 0.9, ())], remote=True)
    engine = HybridInferenceEngine(
        policy=POLICY,
        clock=clock,
        tiers={"edge": FakeTier(clock, [SURE]), "cloud": cloud},
        auditor=auditor,
    )

    async with engine:
        await engine.predict(TEXT)
        while auditor.state.audited == 0:
            await asyncio.sleep(0)
    auditor.close()

    [(_, sample)] = read_samples(tmp_path / "audit.sqlite")
    assert (sample.edge_label, sample.far_label) == ("yes", "(another)")
    assert auditor.state.disagreed == 1


async def test_answers_that_are_text_of_their_own_are_not_audited() -> None:
    scene = Scene(policy=replace(POLICY, labels=()))

    async with scene.engine:
        await scene.ask()

    assert scene.cloud.asked == []


async def test_a_request_that_nobody_answers_is_not_audited() -> None:
    scene = Scene(cloud=DOWN)
    scene.edge.script = [DOWN]

    async with scene.engine:
        with pytest.raises(TierUnavailable):
            await scene.ask()

    assert scene.auditor.state.considered == 0
