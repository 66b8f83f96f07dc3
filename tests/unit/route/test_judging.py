"""The engine's judge: what it is given, what its word does, and that it can do no harm."""

import asyncio
import math
import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgewise.errors import EdgewiseError, RemoteError, UsageError
from edgewise.observe import AuditFile, Auditor, read_samples
from edgewise.records import (
    AuditRules,
    AuditState,
    Input,
    Loss,
    OnVoid,
    Policy,
    Prediction,
    Price,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    StreamRules,
    TextChunk,
    TierKind,
    TierPolicy,
)
from edgewise.route import HybridInferenceEngine, Judge
from edgewise.testing.chats import FakeTextTier
from edgewise.testing.route import CERTIFIED, FakeClock, FakeTier
from edgewise.testing.virtual_time import LoopClock, run_virtually

Turn = Sequence[TextChunk | EdgewiseError]
ASK = {"messages": [{"role": "user", "content": "say something"}], "max_tokens": 10}
SURE = (TextChunk(text="near ", logprobs=(-0.01,)), TextChunk(text="is sure", logprobs=(-0.01,)))
UNSURE = (TextChunk(text="near ", logprobs=(-3.0,)), TextChunk(text="is not", logprobs=(-3.0,)))
FAR = (TextChunk(text="far ", logprobs=(-0.1,)), TextChunk(text="knows", logprobs=(-0.1,)))
DOWN = RemoteError("can't be reached", where="https://cloud", hint="is it running?")
RULES = AuditRules(share=1.0, at_once=8, on_void=OnVoid.CLOUD_ONLY)
POLICY = Policy(
    task="text-generation",
    labels=(),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8),
        TierPolicy(name="cloud", kind=TierKind.CLOUD, usd_per_request=0.002),
    ),
    stream=StreamRules(commit_after_tokens=1),
    privacy=PrivacyRules(
        detect=("email", "card"),
        residency={"eu": ("edge",)},
        actions=PrivacyActions(by_kind={"email": PrivacyAction.REDACT}),
    ),
    audit=RULES,
    certificate=replace(CERTIFIED, loss=Loss.NET),
)


class Bench:
    """A judge that says what it is told, and remembers what it was given."""

    def __init__(self, *qualities: Any) -> None:
        self.qualities = qualities or (0.5, 0.75)
        self.given: list[tuple[Input, str, str]] = []

    async def __call__(self, one: Input, near: Prediction, far: Prediction) -> Any:
        """Say it."""
        self.given.append((one, near.label, far.label))
        return self.qualities


class Scene:
    """An engine with two text tiers, an auditor and a judge, in virtual time."""

    def __init__(
        self,
        judge: Judge | None,
        edge: Turn = SURE,
        cloud: Turn = FAR,
        policy: Policy = POLICY,
        file: AuditFile | None = None,
    ) -> None:
        clock = LoopClock()
        self.edge, self.cloud = FakeTextTier(clock, [edge]), FakeTextTier(clock, [cloud])
        self.auditor = Auditor(file, rng=random.Random(5))
        self.engine = HybridInferenceEngine(
            policy=policy,
            clock=clock,
            tiers={"edge": self.edge, "cloud": self.cloud},
            auditor=self.auditor,
            judge=judge,
        )

    async def _ask(self, inputs: Sequence[Input], *, streamed: bool, **how: Any) -> list[Any]:
        found = []
        async with self.engine as engine:
            for one in inputs:
                if streamed:
                    stream = engine.stream(one, **how)
                    async for _ in stream:
                        pass
                    found.append(stream.result)
                else:
                    found.append(await engine.predict(one, **how))
                await asyncio.sleep(60.0)  # virtual: the background work has ended by then
        return found

    def ask(self, *inputs: Input, streamed: bool = False, **how: Any) -> list[Any]:
        """Ask one after another, let the background work end each time, and close."""
        return run_virtually(self._ask(inputs or (ASK,), streamed=streamed, **how))

    @property
    def state(self) -> AuditState:
        """Give what the audit knows."""
        return self.auditor.state


@pytest.mark.parametrize("streamed", [False, True])
def test_a_kept_text_is_judged_beside_the_clouds(streamed: bool) -> None:
    judge = Bench(0.5, 0.75)
    scene = Scene(judge)

    [result] = scene.ask(streamed=streamed)

    assert (result.location, result.cost) == ("edge", 0.0)
    assert len(scene.cloud.asked) == 1
    [(given, near, far)] = judge.given
    assert given["messages"] == ASK["messages"]
    assert (near, far) == ("near is sure", "far knows")
    assert (scene.state.audited, scene.state.disagreed, scene.state.unjudged) == (1, 1, 0)
    assert scene.state.testing == "net ≤ 0.05 by the judge"


def test_texts_without_a_judge_are_not_audited() -> None:
    scene = Scene(None)

    scene.ask()
    scene_streamed = Scene(None)
    scene_streamed.ask(streamed=True)

    assert scene.cloud.asked == scene_streamed.cloud.asked == []
    assert scene.state.considered == scene_streamed.state.considered == 0


@pytest.mark.parametrize("streamed", [False, True])
def test_answers_that_got_worse_make_the_certificate_void(streamed: bool) -> None:
    scene = Scene(Bench(0.3, 0.8))

    results = scene.ask(*[ASK] * 40, streamed=streamed)

    assert scene.state.void
    assert results[0].certificate["state"] == "certified"
    assert (results[-1].certificate["state"], results[-1].location) == ("void", "cloud")
    assert "certificate_void" in results[-1].reasons


def test_answers_as_good_as_the_clouds_leave_it_as_it_is() -> None:
    scene = Scene(Bench(0.7, 0.7))

    results = scene.ask(*[ASK] * 60)

    assert not scene.state.void
    assert scene.state.e_value < 1.0
    assert results[-1].location == "edge"


def test_a_deferred_text_is_judged_without_a_second_call(tmp_path: Path) -> None:
    judge = Bench(0.25, 1.0)
    scene = Scene(judge, edge=UNSURE, file=AuditFile(tmp_path / "audit.sqlite"))

    [result] = scene.ask()
    scene.auditor.close()

    assert result.location == "cloud_fallback"
    assert len(scene.cloud.asked) == 1
    assert [one[1:] for one in judge.given] == [("near is not", "far knows")]
    [(_, sample)] = read_samples(tmp_path / "audit.sqlite")
    assert not sample.kept
    assert (sample.edge_quality, sample.far_quality) == (0.25, 1.0)
    assert scene.state.spent_usd == 0.0


def test_a_deferred_stream_that_was_cut_off_is_a_sample_that_nobody_judges(
    tmp_path: Path,
) -> None:
    judge = Bench()
    scene = Scene(judge, edge=UNSURE, file=AuditFile(tmp_path / "audit.sqlite"))

    [result] = scene.ask(streamed=True)
    scene.auditor.close()

    assert result.location == "cloud_fallback"
    assert judge.given == []
    [(_, sample)] = read_samples(tmp_path / "audit.sqlite")
    assert (sample.kept, sample.edge_quality, sample.far_label) == (False, None, "(another)")
    assert scene.state.unjudged == 0


def test_a_deferred_stream_that_was_read_to_its_end_is_judged() -> None:
    judge = Bench()
    scene = Scene(
        judge, edge=UNSURE, policy=replace(POLICY, stream=StreamRules(commit_after_tokens=None))
    )

    [result] = scene.ask(streamed=True)

    assert result.location == "cloud_fallback"
    assert [one[1:] for one in judge.given] == [("near is not", "far knows")]


def test_a_stream_that_its_reader_leaves_is_not_audited() -> None:
    scene = Scene(Bench())

    async def leave() -> None:
        async with scene.engine as engine, engine.stream(ASK) as stream:
            await anext(stream)

    run_virtually(leave())

    assert scene.state.considered == 0


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "one",
    [
        {**ASK, "privacy_flag": True},
        {**ASK, "region": "eu"},
        {"messages": [{"role": "user", "content": "my card is 4111 1111 1111 1111"}]},
        {"messages": [{"role": "user", "content": "write to ana@example.org"}]},
    ],
)
def test_what_may_not_leave_as_it_is_is_shown_to_no_judge(
    one: dict[str, Any], streamed: bool
) -> None:
    judge = Bench()
    scene = Scene(judge)

    scene.ask(one, streamed=streamed)
    deferred = Scene(judge, edge=UNSURE)
    deferred.ask(one, streamed=streamed)

    assert judge.given == []
    assert scene.cloud.asked == []
    assert scene.state.considered == deferred.state.considered == 0


def test_a_forced_answer_is_not_judged() -> None:
    judge = Bench()
    scene = Scene(judge)

    scene.ask(force_location="edge")

    assert judge.given == []


def test_nothing_of_a_text_is_in_the_audits_file(tmp_path: Path) -> None:
    async def judge(one: Input, near: Prediction, far: Prediction) -> tuple[float, float]:
        raise ValueError(f"{one} {near.label} {far.label}")

    judges: list[Judge] = [Bench(0.1, 0.9), judge]
    for number, how in enumerate(judges):
        scene = Scene(how, file=AuditFile(tmp_path / f"audit{number}.sqlite"))
        scene.ask(ASK, ASK)
        scene.auditor.close()

    for path in tmp_path.iterdir():
        content = path.read_bytes()
        for word in (b"something", b"near", b"sure", b"knows"):
            assert word not in content
    [_, (_, sample)] = read_samples(tmp_path / "audit0.sqlite")
    assert (sample.edge_label, sample.far_label) == ("(another)", "(another)")


@pytest.mark.parametrize(
    ("judge", "fault"),
    [
        (Bench(math.nan, 0.5), "not two numbers from 0 to 1"),
        (Bench(0.5, 1.2), "not two numbers from 0 to 1"),
        (Bench(-0.1, 1.0), "not two numbers from 0 to 1"),
        (Bench(0.5), "ValueError"),
        (Bench(0.5, None), "TypeError"),
    ],
)
def test_a_judge_that_says_nothing_that_counts_accuses_nobody_and_is_told(
    judge: Judge, fault: str
) -> None:
    scene = Scene(judge)

    results = scene.ask(*[ASK] * 30)

    assert [one.location for one in results] == ["edge"] * 30
    assert (scene.state.audited, scene.state.unjudged) == (30, 30)
    assert scene.state.judge_fault == fault
    assert scene.state.e_value <= 1.0
    assert not scene.state.void


def test_a_judge_that_is_late_is_not_waited_for() -> None:
    async def slow(one: Input, near: Prediction, far: Prediction) -> tuple[float, float]:
        del one, near, far
        await asyncio.sleep(11.0)
        return 0.0, 1.0

    scene = Scene(slow)

    scene.ask(*[ASK] * 30)

    assert (scene.state.unjudged, scene.state.judge_fault) == (30, "TimeoutError")
    assert scene.state.disagreed == 0
    assert not scene.state.void


def test_a_cloud_that_is_silent_needs_no_judge() -> None:
    judge = Bench()
    scene = Scene(judge, cloud=(DOWN,))

    scene.ask()

    assert judge.given == []
    assert (scene.state.lost, scene.state.unjudged) == (1, 0)


def test_an_engine_that_closes_does_not_wait_for_a_judgement() -> None:
    begun = asyncio.Event()

    async def endless(one: Input, near: Prediction, far: Prediction) -> tuple[float, float]:
        del one, near, far
        begun.set()
        await asyncio.Event().wait()
        return 0.0, 1.0

    scene = Scene(endless)

    async def close() -> None:
        async with scene.engine as engine:
            await engine.predict(ASK)
            await begun.wait()

    run_virtually(close())

    assert (scene.state.audited, scene.state.unjudged) == (1, 1)
    assert scene.state.judge_fault == "CancelledError"
    assert scene.state.e_value <= 1.0


def test_what_tokens_may_cost_is_held_against_the_audits_budget() -> None:
    edge, cloud = POLICY.tiers
    price = Price(usd_per_million_tokens_in=0.0, usd_per_million_tokens_out=1e6)
    dear = replace(cloud, usd_per_request=0.0, token_price=price)
    rules = replace(RULES, usd_per_day=25.0)
    scene = Scene(Bench(), policy=replace(POLICY, tiers=(edge, dear), audit=rules))

    scene.ask(*[ASK] * 5)

    # 10 tokens at a dollar each
    assert len(scene.cloud.asked) == 2
    assert scene.state.spent_usd == pytest.approx(20.0)


@pytest.mark.parametrize("how", ["function", "partial", "promise"])
async def test_a_plain_function_judges_in_a_thread_of_its_own(how: str) -> None:
    threads: list[str] = []
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def judge(one: Input, near: Prediction, far: Prediction) -> tuple[float, float]:
        del one, near, far
        threads.append(threading.current_thread().name)
        return 0.5, 0.75

    def promising(one: Input, near: Prediction, far: Prediction) -> Any:
        judge(one, near, far)
        return Bench(0.5, 0.75)(one, near, far)

    judges: dict[str, Any] = {"function": judge, "partial": partial(judge), "promise": promising}

    class Told(Auditor):
        def record(self, *given: Any, **more: Any) -> AuditState:
            state = super().record(*given, **more)
            loop.call_soon(ended.set)
            return state

    clock = FakeClock()
    auditor = Told(rng=random.Random(5))
    engine = HybridInferenceEngine(
        policy=POLICY,
        clock=clock,
        tiers={"edge": FakeTextTier(clock, [SURE]), "cloud": FakeTextTier(clock, [FAR])},
        auditor=auditor,
        judge=judges[how],
    )

    async with engine:
        await engine.predict(ASK)
        await asyncio.wait_for(ended.wait(), 30.0)

    assert (auditor.state.audited, auditor.state.disagreed, auditor.state.unjudged) == (1, 1, 0)
    assert threads == ["judge"]


async def test_labels_may_be_judged_too() -> None:
    near, far = Prediction("yes", 0.9, (0.1, 0.9)), Prediction("no", 0.9, (0.9, 0.1))
    clock, judge = LoopClock(), Bench(1.0, 0.0)
    auditor = Auditor(rng=random.Random(5))
    engine = HybridInferenceEngine(
        policy=replace(POLICY, task="text-classification", labels=("no", "yes")),
        clock=clock,
        tiers={
            "edge": FakeTier(FakeClock(), [near]),
            "cloud": FakeTier(FakeClock(), [far], remote=True),
        },
        auditor=auditor,
        judge=judge,
    )

    async with engine:
        await engine.predict({"text": "quite a film"})
        while not judge.given:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert [one[1:] for one in judge.given] == [("yes", "no")]
    assert auditor.state.disagreed == 0


def test_a_judge_whom_nobody_hears_is_refused() -> None:
    clock = FakeClock()
    tiers = {"edge": FakeTextTier(clock, [SURE]), "cloud": FakeTextTier(clock, [FAR])}

    with pytest.raises(UsageError) as caught:
        HybridInferenceEngine(policy=POLICY, clock=clock, tiers=tiers, judge=Bench())

    assert caught.value.what == "a judge without an auditor"
    assert caught.value.where == "judge"
    assert caught.value.hint == "give `auditor` too, such as `edgewise.observe.Auditor`"
