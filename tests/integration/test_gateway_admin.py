"""Policies carried from stage to service by the admin's interface."""

import asyncio
import hashlib
import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from gateways import Running, run_directory, running, served

from edgewise.errors import IntegrityError, RemoteError, UsageError
from edgewise.gateway.admin import Admin
from edgewise.gateway.events import Events
from edgewise.gateway.rollout import Rollout
from edgewise.gateway.settings import AdminRules, CallerRules, Settings
from edgewise.gateway.shadow import Shadow
from edgewise.records import (
    Attempt,
    BudgetRules,
    Decision,
    Input,
    OfflineRules,
    Outcome,
    Policy,
    Prediction,
    Price,
    Reason,
    RequestFacts,
    SpendingLimit,
    TierKind,
    TierPolicy,
    TokenUsage,
    digest,
    encode,
)
from edgewise.route import HybridInferenceEngine

pytestmark = pytest.mark.integration

TOKEN = {"authorization": "Bearer root"}
DIGEST = hashlib.sha256(b"root").hexdigest()
SETTINGS = Settings(admin=AdminRules(token_sha256=DIGEST))


class Tier:
    """A tier that answers with one confidence, or fails."""

    remote = False
    ready = True

    def __init__(self, confidence: float | None) -> None:
        self._confidence = confidence

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        del one, timeout_ms, request_id
        if self._confidence is None:
            raise RemoteError("answered HTTP 400", status=400)
        return Prediction("yes", self._confidence, (1 - self._confidence, self._confidence))

    async def probe(self, timeout_ms: float) -> None: ...

    async def aclose(self) -> None: ...


POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.6),
        TierPolicy(
            name="cloud",
            kind=TierKind.CLOUD,
            usd_per_request=0.01,
            endpoint="https://me:hunter2@cloud.example/?key=hunter3",
        ),
    ),
)
STRICT = replace(POLICY, tiers=(replace(POLICY.tiers[0], threshold=0.9), POLICY.tiers[1]))


class Held:
    """An exchange of policies that waits until it is let go."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()


@contextmanager
def administered(
    canary: float | None = 0.95,
    *,
    policy: Policy = POLICY,
    settings: Settings = SETTINGS,
    held: Held | None = None,
) -> Iterator[Running]:
    """Run a gateway whose edge has confidence 0.8, and whose canary's tiers have another."""
    tiers = {"edge": Tier(0.8), "cloud": Tier(0.99)}

    def make(log: Any) -> HybridInferenceEngine:
        return HybridInferenceEngine(policy=policy, tiers=tiers, decision_log=log)

    with running(make, settings=settings) as one:
        gateway = one.gateway

        async def swap(policy: Policy) -> str:
            if held is not None:
                held.begun.set()
                await asyncio.to_thread(held.let_go.wait, 20)
            return await gateway.engine.swap_policy(policy, tiers=tiers)

        async def open_engine(policy: Policy) -> HybridInferenceEngine:
            other = {"edge": Tier(canary), "cloud": Tier(canary)}
            return HybridInferenceEngine(policy=policy, tiers=other, decision_log=gateway.decisions)

        rollout = Rollout(
            gateway.engine,
            swap=swap,
            open_engine=open_engine,
            rng=random.Random(7),
            events=gateway.events,
        )
        gateway.roll_out(rollout)
        Admin(gateway, rollout, lambda: setattr(gateway, "draining", True))
        yield one
        one.call(rollout.stop())


def ask(one: Running, times: int = 1) -> list[int]:
    return [one.client.post("/predict", json={"text": "x"}).status_code for _ in range(times)]


def admin(one: Running, path: str, body: Any = None) -> Any:
    if body is None:
        return one.client.get(f"/admin/{path}", headers=TOKEN)
    return one.client.post(f"/admin/{path}", headers=TOKEN, json=body)


def test_a_policy_is_staged_watched_promoted_and_rolled_back() -> None:
    with administered() as one:
        staged = admin(one, "stage", encode(STRICT)).json()
        admin(one, "shadow", {})
        ask(one, 3)
        shadow = admin(one, "shadow", {}).json()
        promoted = admin(one, "promote", {}).json()
        deferred = one.client.post("/predict", json={"text": "x"})
        back = admin(one, "rollback", {}).json()
        kept = one.client.post("/predict", json={"text": "x"})

    (change,) = staged["diff"]["changes"]
    assert (change["path"], change["effect"]) == ("tiers.edge.threshold", "tightens")
    assert shadow["changes"] == [{"from": "edge", "to": "cloud_fallback", "requests": 3}]
    assert shadow["cost_usd"] == {"in_service": 0.0, "shadow": pytest.approx(0.03)}
    assert promoted["policy_version"] == staged["staged"] != back["policy_version"]
    assert deferred.headers["x-edgewise-location"] == "cloud_fallback"
    assert kept.headers["x-edgewise-location"] == "edge"


async def test_a_policy_that_does_not_get_into_service_leaves_the_one_before_known() -> None:
    tiers = {"edge": Tier(0.8), "cloud": Tier(0.99)}
    refuses: list[bool] = []

    async with HybridInferenceEngine(policy=POLICY, tiers=tiers) as engine:

        async def swap(policy: Policy) -> str:
            if refuses:
                raise IntegrityError("another bundle", where="bundle", hint="copy it again")
            return await engine.swap_policy(policy, tiers=tiers)

        async def opened(policy: Policy) -> HybridInferenceEngine:
            return HybridInferenceEngine(policy=policy, tiers=tiers)

        rollout = Rollout(
            engine, swap=swap, open_engine=opened, rng=random.Random(7), events=Events()
        )
        rollout.stage(STRICT)
        await rollout.promote()
        rollout.stage(replace(STRICT, tiers=POLICY.tiers[:1]))
        refuses.append(True)
        with pytest.raises(IntegrityError):
            await rollout.promote()
        with pytest.raises(IntegrityError):
            await rollout.roll_back()
        refuses.clear()
        await rollout.roll_back()

        assert engine.policy == POLICY
        with pytest.raises(UsageError, match="no policy was there before"):
            await rollout.roll_back()


def test_a_canary_that_fails_is_taken_back_by_itself() -> None:
    with administered(canary=None) as one:
        admin(one, "stage", encode(STRICT))
        began = admin(one, "canary", {"share": 0.3}).json()["canary"]
        statuses = ask(one, 200)
        state = admin(one, "state").json()["canary"]
        after = ask(one, 20)

    assert began["share"] == 0.3
    assert 0 < statuses.count(400) < 40
    assert (state["taken_back"], state["share"]) == (True, 0.0)
    assert state["e"] >= 100.0
    assert after == [200] * 20


def test_a_canary_that_was_taken_back_and_is_tried_again_is_tested_again() -> None:
    with administered(canary=None) as one:
        admin(one, "stage", encode(STRICT))
        admin(one, "canary", {"share": 0.3})
        ask(one, 200)
        again = admin(one, "canary", {"share": 0.3}).json()["canary"]
        statuses = ask(one, 200)
        state = admin(one, "state").json()["canary"]

    assert (again["taken_back"], again["share"], again["e"]) == (False, 0.3, 1.0)
    assert 0 < statuses.count(400) < 40
    assert (state["taken_back"], state["share"]) == (True, 0.0)


def test_a_canary_that_answers_keeps_its_share_until_it_is_stopped() -> None:
    with administered() as one:
        admin(one, "stage", encode(STRICT))
        admin(one, "canary", {"share": 0.5})
        statuses = ask(one, 60)
        state = admin(one, "canary", {"share": 0.1}).json()["canary"]
        stopped = admin(one, "rollback", {}).json()

    assert set(statuses) == {200}
    assert not state["taken_back"]
    assert 10 < state["requests"] < 50
    assert stopped["canary"] is None


def test_a_policy_that_stores_requests_is_not_tried(tmp_path: Path) -> None:
    storing = replace(POLICY, offline=OfflineRules(path=str(tmp_path / "queue")))
    with administered(policy=storing) as one:
        admin(one, "stage", encode(replace(storing, tiers=STRICT.tiers)))
        refused = admin(one, "canary", {"share": 0.5})

    assert refused.status_code == 400
    assert "a policy that stores requests can't be tried" in refused.json()["error"]
    assert "promote it" in refused.json()["hint"]


def test_no_other_policy_is_staged_while_one_is_tried() -> None:
    other = replace(STRICT, deadline_ms=500.0)
    with administered() as one:
        admin(one, "stage", encode(STRICT))
        admin(one, "canary", {"share": 0.5})
        refused = admin(one, "stage", encode(other))
        again = admin(one, "stage", encode(STRICT))
        state = admin(one, "state").json()
        admin(one, "rollback", {})
        taken = admin(one, "stage", encode(other))

    assert refused.status_code == 400
    assert "is tried" in refused.json()["error"]
    assert again.status_code == taken.status_code == 200
    assert state["staged"] == state["canary"]["policy_version"] == digest(STRICT)


@pytest.mark.parametrize("canary", [False, True])
def test_what_comes_while_a_policy_is_promoted_is_done_after_it(canary: bool) -> None:
    other = replace(STRICT, deadline_ms=500.0)
    held = Held()
    with administered(held=held) as one, ThreadPoolExecutor(2) as clients:

        def send(path: str, body: Any) -> Any:
            return httpx2.post(f"{one.url}/admin/{path}", headers=TOKEN, json=body)

        admin(one, "stage", encode(STRICT))
        promoted = clients.submit(send, "promote", {})
        assert held.begun.wait(20)
        later = ("canary", {"share": 0.5}) if canary else ("stage", encode(other))
        staged = clients.submit(send, *later)
        wait([staged], timeout=0.3)
        held.let_go.set()
        answers = [promoted.result(20), staged.result(20)]
        state = admin(one, "state").json()

    assert state["policy_version"] == digest(STRICT)
    if canary:  # nothing is staged any more: it is said, and not undone in silence
        assert [answer.status_code for answer in answers] == [200, 400]
        assert "no policy is staged" in answers[1].json()["error"]
    else:
        assert [answer.status_code for answer in answers] == [200, 200]
        assert state["staged"] == digest(other)


def test_the_admin_sees_the_policy_the_state_and_the_latest_decisions() -> None:
    with administered() as one:
        ask(one, 2)
        policy = admin(one, "policy").json()
        state = admin(one, "state").json()
        decisions = admin(one, "decisions").json()["decisions"]
        drained = admin(one, "drain", {}).json()
        ready = one.client.get("/readyz")

    assert policy["policy"]["tiers"][1]["endpoint"] == "https://cloud.example/"
    assert "hunter" not in json.dumps([policy, state, decisions])
    assert state["circuits"] == {"edge": "closed", "cloud": "closed"}
    assert [row["location"] for row in decisions] == ["edge", "edge"]
    assert drained == {"draining": True}
    assert ready.status_code == 503


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("promote", {}, "no policy is staged"),
        ("shadow", {}, "no policy is staged"),
        ("rollback", {}, "no policy was there before"),
        ("canary", {"share": "half"}, "no `share`"),
        ("canary", {"share": 2}, "not a share: 2.0"),
        ("stage", {"schema_version": 1}, "not a policy: Policy: field `task` is missing"),
        ("stage", {**encode(STRICT), "task": "text-generation"}, "its task is text-generation"),
        ("reload", {}, "a bundle is served without a policy"),
    ],
)
def test_what_the_admin_can_not_do_is_400(path: str, body: Any, said: str) -> None:
    with administered() as one:
        answer = admin(one, path, body)

    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert answer.json()["hint"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bundle_sha256": "0" * 64}, "the policy is for bundle 000"),
        ({"labels": ["a", "b", "c"]}, "the policy's labels are a, b, c"),
        ({"api_key": {"env": "EDGEWISE_NOT_THERE"}}, "$EDGEWISE_NOT_THERE: the variable is not"),
    ],
)
def test_a_policy_that_can_not_be_put_in_service_is_the_admins_to_mend(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    run, config = run_directory(tmp_path / "run"), tmp_path / "gateway.yaml"
    config.write_text(f"admin: {{token_sha256: {DIGEST}}}\n")
    policy = json.loads((run / "policy.json").read_text())
    cloud = {"name": "cloud", "kind": "cloud", "endpoint": "http://127.0.0.1:9", **change}
    staged = {**policy, "tiers": [*policy["tiers"], cloud]} if "api_key" in change else change
    with (
        served(run, "--config", str(config)) as (_, url),
        httpx2.Client(base_url=url, headers=TOKEN) as client,
    ):
        client.post("/admin/stage", json={**policy, **staged})
        refused = [
            client.post("/admin/canary", json={"share": 0.5}),
            client.post("/admin/promote", json={}),
        ]
        (run / "policy.json").write_text("{}")
        refused.append(client.post("/admin/reload", json={}))
        kept = client.post("/predict", json={"text": "good"})

    assert [answer.status_code for answer in refused] == [400, 400, 400]
    assert all(said in answer.json()["error"] for answer in refused[:2])
    assert f"{run / 'policy.json'}" in refused[2].json()["error"]
    assert all(answer.json()["hint"] for answer in refused)
    assert kept.json()["label"] == "positive"


def test_nobody_else_administers() -> None:
    with administered() as one:
        statuses = [
            one.client.get("/admin/policy").status_code,
            one.client.post("/admin/promote", headers={"x-api-key": "no"}).status_code,
        ]

    assert statuses == [401, 401]


def test_the_admin_is_let_in_when_there_is_no_place_for_anybody_else() -> None:
    with administered() as one:
        admission = one.gateway.admission
        while admission.enter():
            pass
        refused = one.client.post("/predict", json={"text": "x"})
        staged = admin(one, "stage", encode(STRICT))
        for _ in range(admission.in_flight):
            admission.leave()

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert staged.status_code == 200


def test_a_caller_whose_budget_is_spent_is_told_when_to_come_back_and_the_admin_sees_it(
    tmp_path: Path,
) -> None:
    callers = tuple(
        CallerRules(name=name, key_sha256=hashlib.sha256(name.encode()).hexdigest())
        for name in ("app", "web")
    )
    budget = BudgetRules(
        path=str(tmp_path / "budget"),
        total=SpendingLimit(usd_per_month=5.0),
        each_caller=SpendingLimit(usd_per_day=1.0),
        callers={"web": SpendingLimit(usd_per_day=0.02)},
    )
    policy = replace(POLICY, budget=budget)
    settings = msgspec.structs.replace(SETTINGS, callers=callers)
    with administered(policy=policy, settings=settings) as one:
        asks = {"authorization": "Bearer web", "x-edgewise-force-location": "cloud"}
        answers = [one.client.post("/predict", json={"text": "x"}, headers=asks) for _ in range(3)]
        budgets = admin(one, "budgets").json()

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "budget_spent" in answers[2].json()["error"]
    assert answers[2].headers["retry-after"] == "60"
    web, app, total = budgets["callers"]["web"], budgets["callers"]["app"], budgets["total"]
    assert web == {
        "usd_per_day": 0.02,
        "usd_per_month": None,
        "day_usd": pytest.approx(0.02),
        "month_usd": 0.0,
    }
    assert (app["usd_per_day"], app["day_usd"]) == (1.0, 0.0)
    assert total["usd_per_month"] == 5.0
    assert 0.02 <= total["month_usd"] < 0.2  # what is set aside counts


def test_without_a_budget_there_is_none_to_see() -> None:
    with administered() as one:
        assert admin(one, "budgets").json() == {"total": None, "callers": {}}


def decided(**attempt: Any) -> Decision:
    one = Attempt(tier="edge", latency_ms=1.0, **attempt)
    return Decision(
        request_id="r",
        at_s=0.0,
        policy_version="p",
        facts=RequestFacts(request_id="r", input_length=1, input_bytes=1),
        allowed=("edge", "cloud"),
        reasons=(Reason.NEAREST_FIRST,),
        attempts=(one,),
        location="edge",
        latency_ms=1.0,
        cost_usd=0.0,
    )


def test_a_shadow_follows_what_is_known_and_says_where_the_rest_would_go() -> None:
    shadow = Shadow(STRICT)
    forced = replace(decided(outcome=Outcome.ANSWERED, confidence=0.95))
    strange = replace(forced, facts=replace(forced.facts, force_location="moon"))

    kept = shadow.would(forced)
    deferred = shadow.would(decided(outcome=Outcome.ANSWERED, confidence=0.7))
    failed = shadow.would(decided(outcome=Outcome.FAILED))

    assert kept == ("edge", 0.0)
    assert deferred == ("cloud_fallback", 0.01)
    assert failed == ("cloud_fallback", 0.01)
    assert shadow.would(strange) == ("refused", 0.0)


def outage(*attempts: Attempt, location: str | None, reasons: tuple[Reason, ...]) -> Decision:
    one = decided(outcome=Outcome.ANSWERED)
    return replace(one, attempts=attempts, location=location, reasons=reasons)


UNSURE = Attempt(tier="edge", outcome=Outcome.ANSWERED, latency_ms=1.0, confidence=0.5)
NEAR_FAILED = Attempt(tier="edge", outcome=Outcome.FAILED, latency_ms=1.0, passing=True)
FAR_FAILED = Attempt(
    tier="cloud", outcome=Outcome.FAILED, latency_ms=1.0, passing=True, cost_usd=0.01
)
ANSWERED = Attempt(tier="cloud", outcome=Outcome.ANSWERED, latency_ms=1.0, cost_usd=0.01)


@pytest.mark.parametrize(
    "decision",
    [
        outage(
            UNSURE,
            location="edge_fallback",
            reasons=(Reason.NEAREST_FIRST, Reason.CIRCUIT_OPEN, Reason.DEFERRAL_IMPOSSIBLE),
        ),
        outage(UNSURE, location="edge", reasons=(Reason.NEAREST_FIRST, Reason.BUDGET_SPENT)),
        outage(ANSWERED, location="cloud_fallback", reasons=(Reason.BUSY, Reason.NEAREST_FIRST)),
        outage(
            UNSURE,
            FAR_FAILED,
            FAR_FAILED,
            location="edge_fallback",
            reasons=(Reason.TIER_FAILED, Reason.RETRY, Reason.FALLBACK),
        ),
        outage(
            UNSURE,
            FAR_FAILED,
            location="edge_fallback",
            reasons=(Reason.TIER_FAILED, Reason.TOLD_TO_WAIT),
        ),
        outage(NEAR_FAILED, location=None, reasons=(Reason.CIRCUIT_OPEN, Reason.NO_TIER_LEFT)),
        outage(location=None, reasons=(Reason.NOT_LOADED, Reason.CIRCUIT_OPEN)),
    ],
)
def test_a_shadow_of_the_same_policy_shows_no_change_in_an_outage(decision: Decision) -> None:
    shadow = Shadow(POLICY)

    shadow.see(decision, POLICY)

    assert shadow.report()["changes"] == []


def test_a_shadow_leaves_alone_what_was_left_alone() -> None:
    sure = replace(UNSURE, confidence=0.7)
    reasons = (Reason.NEAREST_FIRST, Reason.CIRCUIT_OPEN, Reason.DEFERRAL_IMPOSSIBLE)
    stricter = replace(POLICY, tiers=(replace(POLICY.tiers[0], threshold=0.95), POLICY.tiers[1]))

    seen = outage(sure, location="edge_fallback", reasons=reasons)
    out = Shadow(stricter).would(seen, STRICT)
    up = Shadow(stricter).would(outage(sure, location="edge", reasons=()), POLICY)

    assert out == ("edge_fallback", 0.0)
    assert up == ("cloud_fallback", 0.01)


def test_a_shadow_counts_the_tokens_that_its_policy_prices() -> None:
    edge, cloud = STRICT.tiers
    price = Price(usd_per_million_tokens_in=1.0, usd_per_million_tokens_out=10.0)
    shadow = Shadow(replace(STRICT, tiers=(edge, replace(cloud, token_price=price))))
    usage = TokenUsage(input_tokens=1000, output_tokens=200)
    near = decided(outcome=Outcome.ANSWERED, confidence=0.7, usage=usage)
    planned = decided(outcome=Outcome.ANSWERED, confidence=0.7)
    facts = replace(planned.facts, input_tokens=2000, output_tokens=300)

    told, priced = shadow.would(near), shadow.would(replace(planned, facts=facts))

    assert (told[0], priced[0]) == ("cloud_fallback", "cloud_fallback")
    assert told[1] == pytest.approx(0.01 + 0.003)
    assert priced[1] == pytest.approx(0.01 + 0.005)
