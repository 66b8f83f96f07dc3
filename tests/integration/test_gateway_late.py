"""A request that may be answered late, by HTTP: stored, waited for and taken once."""

import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateways import running

from edgewise.errors import RemoteError
from edgewise.gateway.settings import CallerRules, Settings
from edgewise.records import OfflineRules, Policy, Prediction, RetryRules, TierKind, TierPolicy
from edgewise.route import HybridInferenceEngine
from edgewise.testing.virtual_time import TimedTier

pytestmark = pytest.mark.integration
DOWN = RemoteError("can't be reached", where="https://cloud", hint="is it running?")
TIERS = (
    TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8),
    TierPolicy(name="cloud", kind=TierKind.CLOUD, rtt_p50_ms=1.0, usd_per_request=0.25),
)
KEYS = {name: {"authorization": f"Bearer k-{name}"} for name in ("ana", "bob")}
CALLERS = tuple(
    CallerRules(name=name, key_sha256=sha256(f"k-{name}".encode()).hexdigest()) for name in KEYS
)


def policy(folder: Path) -> Policy:
    return Policy(
        task="text-classification",
        labels=("no", "yes"),
        tiers=TIERS,
        retry=RetryRules(most=0),
        offline=OfflineRules(path=str(folder / "queue")),
    )


def answer_of(client: httpx2.Client, request_id: str) -> httpx2.Response:
    """Ask until it is there."""
    while (found := client.get(f"/late/{request_id}")).status_code == 202:
        assert found.json() == {"request_id": request_id, "ready": False}
    return found


def test_what_no_tier_can_answer_now_is_stored_and_taken_once(tmp_path: Path) -> None:
    edge = TimedTier((1.0, Prediction("no", 0.6, (0.6, 0.4))), remote=False)
    cloud = TimedTier((1.0, DOWN), (1.0, Prediction("yes", 0.99, (0.01, 0.99))))

    def make(log: Any) -> HybridInferenceEngine:
        tiers = {"edge": edge, "cloud": cloud}
        return HybridInferenceEngine(policy=policy(tmp_path), tiers=tiers, decision_log=log)

    with running(make) as one:
        allowed = {"x-edgewise-allow-late": "true"}
        stored = one.client.post("/predict", json={"text": "a film"}, headers=allowed)
        request_id = stored.headers["x-edgewise-request-id"]
        while not one.gateway.decisions.latest:
            time.sleep(0.01)
        glimpse = one.client.head(f"/late/{request_id}")
        late = answer_of(one.client, request_id)
        again = one.client.get(f"/late/{request_id}")
        places = [decision.location for decision in one.gateway.decisions.latest]

    assert glimpse.status_code == 405
    assert stored.status_code == 202
    assert stored.json()["location"] == stored.headers["x-edgewise-location"] == "queued"
    assert stored.headers["x-edgewise-reasons"].endswith("queued")
    assert (late.status_code, late.json()["label"], late.json()["cost"]) == (200, "yes", 0.25)
    assert late.json()["request_id"] == request_id
    assert again.status_code == 400
    assert again.json()["error"] == "no such request waits, and none has an answer"
    assert again.json()["hint"].startswith("an answer is given once")
    assert places == ["cloud"]


def test_a_late_answer_is_given_to_the_caller_whose_request_it_was(tmp_path: Path) -> None:
    cloud = TimedTier((1.0, DOWN), (1.0, Prediction("yes", 0.99, (0.01, 0.99))))

    def make(log: Any) -> HybridInferenceEngine:
        tiers = {"edge": TimedTier((1.0, DOWN), remote=False), "cloud": cloud}
        return HybridInferenceEngine(policy=policy(tmp_path), tiers=tiers, decision_log=log)

    with running(make, settings=Settings(callers=CALLERS)) as one:
        allowed = {"x-edgewise-allow-late": "true", **KEYS["ana"]}
        stored = one.client.post("/predict", json={"text": "a film"}, headers=allowed)
        at = f"/late/{stored.headers['x-edgewise-request-id']}"
        while not one.gateway.decisions.latest:
            time.sleep(0.01)
        while (seen := one.client.get(at, headers=KEYS["bob"])).status_code == 202:
            pass
        late = one.client.get(at, headers=KEYS["ana"])

    assert seen.status_code == 400
    assert seen.json()["error"] == "no such request waits, and none has an answer"
    assert (late.status_code, late.json()["label"]) == (200, "yes")
    assert "caller" not in late.json()


def test_how_a_request_ended_is_told_to_the_caller_whose_it_was(tmp_path: Path) -> None:
    wrong = RemoteError("answered HTTP 422", where="https://cloud", status=422)
    cloud = TimedTier((1.0, DOWN), (1.0, wrong))

    def make(log: Any) -> HybridInferenceEngine:
        tiers = {"edge": TimedTier((1.0, DOWN), remote=False), "cloud": cloud}
        return HybridInferenceEngine(policy=policy(tmp_path), tiers=tiers, decision_log=log)

    with running(make, settings=Settings(callers=CALLERS)) as one:
        allowed = {"x-edgewise-allow-late": "true", **KEYS["ana"]}
        stored = one.client.post("/predict", json={"text": "a film"}, headers=allowed)
        at = f"/late/{stored.headers['x-edgewise-request-id']}"
        while not one.gateway.decisions.latest:
            time.sleep(0.01)
        seen = one.client.get(at, headers=KEYS["bob"])
        late = one.client.get(at, headers=KEYS["ana"])
        told = one.gateway.decisions.latest[0]

    assert (seen.status_code, late.status_code) == (400, 503)
    assert late.json()["error"] == "the stored request ended as rejected RemoteError"
    assert (told.error, told.facts.caller) == ("rejected", "ana")


def test_what_a_batch_stored_is_told_though_another_input_failed(tmp_path: Path) -> None:
    cloud = TimedTier((1.0, DOWN), (1.0, Prediction("yes", 0.99, (0.01, 0.99))))

    def make(log: Any) -> HybridInferenceEngine:
        tiers = {"edge": TimedTier((1.0, DOWN), remote=False), "cloud": cloud}
        return HybridInferenceEngine(policy=policy(tmp_path), tiers=tiers, decision_log=log)

    with running(make) as one:
        allowed = {"x-edgewise-allow-late": "true"}
        private = {"text": "a film", "privacy_flag": True}  # may not wait for the cloud
        body = {"inputs": [{"text": "a film"}, private]}
        failed = one.client.post("/predict", json=body, headers=allowed)
        (request_id,) = failed.json()["stored"]
        late = answer_of(one.client, request_id)

    assert failed.status_code == 503
    assert failed.json()["error"].startswith("no allowed tier could answer")
    assert (late.status_code, late.json()["label"]) == (200, "yes")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a film"}]}),
        ("/v1/completions", {"prompt": "a film"}),
        (
            "/v2/models/tiny/infer",
            {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a film"]}]},
        ),
    ],
)
def test_what_has_no_word_for_a_late_answer_refuses_to_store(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    def make(log: Any) -> HybridInferenceEngine:
        tiers = {"edge": TimedTier((1.0, DOWN)), "cloud": TimedTier((1.0, DOWN))}
        return HybridInferenceEngine(policy=policy(tmp_path), tiers=tiers, decision_log=log)

    with running(make) as one:
        allowed = {"x-edgewise-allow-late": "true"}
        answer = one.client.post(path, json=body, headers=allowed)

    assert answer.status_code == 400
    assert "can't come late" in answer.text


def test_nothing_comes_late_where_the_policy_stores_nothing() -> None:
    def make(log: Any) -> HybridInferenceEngine:
        told = Policy(task="text-classification", labels=("no", "yes"), tiers=TIERS)
        tiers = {"edge": TimedTier((1.0, DOWN)), "cloud": TimedTier((1.0, DOWN))}
        return HybridInferenceEngine(policy=told, tiers=tiers, decision_log=log)

    with running(make) as one:
        answer = one.client.get("/late/x")

    assert answer.status_code == 400
    assert "offline" in answer.json()["error"] + answer.json()["hint"]
