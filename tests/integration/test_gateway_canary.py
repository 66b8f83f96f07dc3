"""What a canary works on when it is stopped, and what that says of the next one."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edgewise.errors import UsageError
from edgewise.gateway.asking import NOTHING_ASKED, Asking
from edgewise.gateway.bodies import from_json, to_json
from edgewise.gateway.events import Events
from edgewise.gateway.messages import Request
from edgewise.gateway.oip import Oip
from edgewise.gateway.rollout import Rollout
from edgewise.observe import Auditor
from edgewise.records import (
    AuditRules,
    BudgetRules,
    Decision,
    Input,
    OnVoid,
    Policy,
    Prediction,
    RetryRules,
    SpendingLimit,
    TierKind,
    TierPolicy,
)
from edgewise.route import Budget, HybridInferenceEngine
from edgewise.testing.route import CERTIFIED

pytestmark = pytest.mark.integration
POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.6),
        TierPolicy(name="cloud", kind=TierKind.CLOUD, usd_per_request=0.01),
    ),
)
STRICT = replace(POLICY, tiers=(replace(POLICY.tiers[0], threshold=0.9), POLICY.tiers[1]))


class Tier:
    """A tier that answers with one confidence."""

    remote = False
    ready = True

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        del one, timeout_ms, request_id
        return Prediction("yes", self._confidence, (1 - self._confidence, self._confidence))

    async def probe(self, timeout_ms: float) -> None: ...

    async def aclose(self) -> None: ...


class Differs(Tier):
    """A tier that never says what the others do."""

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        del one, timeout_ms, request_id
        return Prediction("no", 0.99, ())


class Slow(Tier):
    """A tier whose answers wait until they are let go, and that tells when it is asked."""

    def __init__(self) -> None:
        super().__init__(0.95)
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        self.asked.set()
        await self.let_go.wait()
        return await super().ask(one, timeout_ms, request_id=request_id)


@asynccontextmanager
async def tried(*canaries: HybridInferenceEngine) -> AsyncIterator[tuple[Asking, Rollout]]:
    """Let canaries be tried for all requests, one after the other."""
    left = list(canaries)

    async def open_engine(policy: Policy) -> HybridInferenceEngine:
        del policy
        return left.pop(0)

    tiers = {"edge": Tier(0.8), "cloud": Tier(0.99)}
    async with HybridInferenceEngine(policy=POLICY, tiers=tiers) as engine:

        async def swap(policy: Policy) -> str:
            return await engine.swap_policy(policy, tiers=tiers)

        rollout = Rollout(
            engine, swap=swap, open_engine=open_engine, rng=random.Random(7), events=Events()
        )
        asking = Asking(engine, most=4)
        asking.rollout = rollout
        yield asking, rollout
        await rollout.aclose()


async def test_a_canary_that_is_stopped_still_answers_and_settles_what_it_works_on(
    tmp_path: Path,
) -> None:
    rules = BudgetRules(path=str(tmp_path / "b"), total=SpendingLimit(usd_per_day=1.0))
    far = Slow()
    policy = replace(STRICT, budget=rules)
    canary = HybridInferenceEngine(policy=policy, tiers={"edge": Tier(0.6), "cloud": far})
    async with tried(canary) as (asking, rollout):
        rollout.stage(policy)
        await rollout.try_on(1.0)
        answer = asyncio.ensure_future(asking.one({"text": "x"}, NOTHING_ASKED))
        await far.asked.wait()
        await rollout.promote()
        far.let_go.set()
        result = await answer

    assert result.location == "cloud_fallback"
    with Budget(rules) as budget:
        assert budget.spent().day_usd == pytest.approx(0.01)


async def test_probabilities_of_a_canary_stand_under_the_labels_that_are_told() -> None:
    policy = replace(POLICY, labels=("yes", "no"))
    canary = HybridInferenceEngine(policy=policy, tiers={"edge": Tier(0.95), "cloud": Tier(0.95)})
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a film"]}
    request = Request(method="POST", path="/", body=to_json({"inputs": [tensor]}))

    async with tried(canary) as (asking, rollout):
        rollout.staged = policy
        await rollout.try_on(1.0)
        oip = Oip(asking, name="tiny", is_ready=lambda: True)
        answer = from_json((await oip.infer(request, NOTHING_ASKED)).body)

    label, probabilities = answer["outputs"]
    assert label["data"] == ["yes"]
    assert probabilities["parameters"]["labels"] == '["no", "yes"]'
    # Its tier gives them in the order of its own policy's labels.
    assert probabilities["data"] == pytest.approx([0.95, 0.05])


class Seen:
    """Shows each decision of the policy in service to a rollout, as the gateway does."""

    rollout: Rollout | None = None

    def append(self, decision: Decision) -> None:
        if self.rollout is not None:
            self.rollout.see(decision)


async def test_a_canary_of_a_certificate_that_was_voided_is_taken_back() -> None:
    certificate = replace(CERTIFIED, threshold=0.6)
    rules = AuditRules(share=1.0, at_once=8, on_void=OnVoid.CLOUD_ONLY)
    certified = replace(POLICY, certificate=certificate, audit=rules)
    staged = replace(certified, retry=RetryRules(most=0))
    tiers = {"edge": Tier(0.8), "cloud": Differs(0.99)}
    seen, text = Seen(), {"text": "a film"}

    async def open_engine(policy: Policy) -> HybridInferenceEngine:
        return HybridInferenceEngine(policy=policy, tiers=tiers)

    async def swap(policy: Policy) -> str:
        return await engine.swap_policy(policy, tiers=tiers)

    auditor = Auditor(rng=random.Random(5))
    engine = HybridInferenceEngine(
        policy=certified, tiers=tiers, decision_log=seen, auditor=auditor
    )
    async with engine:
        rollout = Rollout(
            engine, swap=swap, open_engine=open_engine, rng=random.Random(7), events=Events()
        )
        asking = Asking(engine, most=4)
        asking.rollout = seen.rollout = rollout
        rollout.stage(staged)
        await rollout.try_on(1.0)
        before = await asking.one(text, NOTHING_ASKED)
        for _ in range(40):  # those that the canary does not get
            await engine.predict(text)
            await asyncio.sleep(0)
        after = await asking.one(text, NOTHING_ASKED)
        with pytest.raises(UsageError) as caught:
            await rollout.try_on(0.5)
        taken_back = rollout.taken_back
        await rollout.aclose()

    assert auditor.void
    assert before.certificate is not None
    assert after.certificate is not None
    assert (before.location, before.certificate["state"]) == ("edge", "certified")
    assert (after.location, after.certificate["state"], taken_back) == ("cloud", "void", True)
    assert caught.value.what == "the audit has voided its certificate"
    assert caught.value.where == "policy.certificate"
    assert caught.value.hint == "stage a policy with another one"


async def test_how_a_canary_of_before_ends_says_nothing_of_the_next_one() -> None:
    slow = Slow()
    first = HybridInferenceEngine(policy=STRICT, tiers={"edge": slow, "cloud": Tier(0.9)})
    stricter = replace(STRICT, deadline_ms=9_000.0)
    second = HybridInferenceEngine(policy=stricter, tiers={"edge": Tier(0.95), "cloud": Tier(0.9)})
    async with tried(first, second) as (asking, rollout):
        rollout.stage(STRICT)
        await rollout.try_on(1.0)
        answer = asyncio.ensure_future(asking.one({"text": "x"}, NOTHING_ASKED))
        await slow.asked.wait()
        await rollout.roll_back()
        rollout.stage(stricter)
        await rollout.try_on(1.0)
        slow.let_go.set()
        await answer
        before = list(rollout.test.canary)
        await asking.one({"text": "y"}, NOTHING_ASKED)

        assert before == [0, 0]
        assert rollout.test.canary == [1, 0]
