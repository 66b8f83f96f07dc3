"""What is said of privacy counts, wherever and by whichever interface it is said."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from gateways import Running, running

from edgewise.gateway.rollout import Rollout
from edgewise.records import Input, Policy, Prediction, PrivacyRules, TierKind, TierPolicy
from edgewise.route import HybridInferenceEngine

pytestmark = pytest.mark.integration
POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.9),
        TierPolicy(name="cloud", kind=TierKind.CLOUD),
    ),
    privacy=PrivacyRules(residency={"eu": ("edge",)}),
)


class Unsure:
    """A tier that is never sure, and remembers what it saw."""

    ready = True

    def __init__(self, *, remote: bool) -> None:
        self.remote = remote
        self.seen: list[Any] = []

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        del timeout_ms, request_id
        self.seen.append(one["text"])
        return Prediction("yes", 0.6, (0.4, 0.6))

    async def probe(self, timeout_ms: float) -> None: ...

    async def aclose(self) -> None: ...


class Far(Unsure):
    """The cloud of all engines of a test."""

    def __init__(self) -> None:
        super().__init__(remote=True)


@contextmanager
def gateway() -> Iterator[tuple[Running, Far]]:
    far = Far()

    def make(log: Any) -> HybridInferenceEngine:
        tiers = {"edge": Unsure(remote=False), "cloud": far}
        return HybridInferenceEngine(policy=POLICY, tiers=tiers, decision_log=log)

    with running(make) as one:
        yield one, far


def tensor(*texts: str, **more: Any) -> dict[str, Any]:
    return {"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": texts, **more}


@pytest.mark.parametrize("said", [{"privacy_flag": True}, {"region": "eu"}])
def test_what_a_batch_says_of_privacy_holds_for_each_of_its_inputs(said: dict[str, Any]) -> None:
    inputs = [{"text": "a"}, {"text": "b"}]
    with gateway() as (one, far):
        near = one.client.post("/predict", json={"inputs": inputs, **said})
        mixed = one.client.post("/predict", json={"inputs": [{"text": "c"}, {"text": "d", **said}]})

    assert near.headers["x-edgewise-location"] == "edge"
    assert mixed.status_code == 200
    assert far.seen == ["c"]


def test_an_input_can_not_widen_what_its_batch_says() -> None:
    inputs = [{"text": "a", "privacy_flag": False}]
    with gateway() as (one, far):
        flagged = one.client.post("/predict", json={"inputs": inputs, "privacy_flag": True})
        torn = one.client.post(
            "/predict", json={"inputs": [{"text": "b", "region": "us"}], "region": "eu"}
        )

    assert flagged.headers["x-edgewise-location"] == "edge"
    assert (torn.status_code, torn.json()["error"]) == (400, "`region` is said twice, and differs")
    assert torn.json()["hint"] == "say one region"
    assert far.seen == []


@pytest.mark.parametrize("said", [{"privacy_flag": True}, {"region": "eu"}])
@pytest.mark.parametrize("place", ["body", "parameters", "tensor"])
def test_what_an_inference_says_of_privacy_counts(place: str, said: dict[str, Any]) -> None:
    body: dict[str, Any] = {"inputs": [tensor("a", "b")]}
    if place == "body":
        body |= said
    elif place == "parameters":
        body["parameters"] = said
    else:
        body["inputs"] = [tensor("a", "b", parameters=said)]
    with gateway() as (one, far):
        answer = one.client.post("/v2/models/tiny/infer", json=body)
        other = one.client.post("/v2/models/tiny/infer", json={"inputs": [tensor("c")]})

    assert (answer.status_code, answer.headers["x-edgewise-location"]) == (200, "edge")
    assert other.status_code == 200
    assert far.seen == ["c"]


def test_a_canary_reads_the_flag_that_its_own_policy_names() -> None:
    other = replace(POLICY, privacy=PrivacyRules(flag="secret", residency_key="land"))
    asks: tuple[tuple[str, dict[str, Any]], ...] = (
        ("/predict", {"text": "a"}),
        ("/predict", {"inputs": [{"text": "a"}], "secret": True}),
        ("/v1/completions", {"prompt": "a", "secret": True}),
        ("/v2/models/tiny/infer", {"inputs": [tensor("a")], "parameters": {"secret": True}}),
    )
    with gateway() as (one, far):

        async def open_engine(policy: Policy) -> HybridInferenceEngine:
            tiers = {"edge": Unsure(remote=False), "cloud": far}
            return HybridInferenceEngine(policy=policy, tiers=tiers)

        async def try_on() -> Rollout:
            engine = one.gateway.engine
            rollout = Rollout(
                engine,
                swap=engine.swap_policy,
                open_engine=open_engine,
                rng=random.Random(1),
                events=one.gateway.events,
            )
            one.gateway.roll_out(rollout)
            rollout.stage(other)
            await rollout.try_on(1.0)
            return rollout

        rollout = one.call(try_on())
        for at, body in asks:
            private = {"x-edgewise-privacy": "true"} if "secret" not in str(body) else {}
            answer = one.client.post(at, json=body, headers=private)
            assert (at, answer.headers["x-edgewise-location"]) == (at, "edge")
        one.call(rollout.stop())

    assert far.seen == []


@pytest.mark.parametrize("header", ["x-edgewise-region"])
def test_a_region_that_two_name_is_the_one_region(header: str) -> None:
    with gateway() as (one, far):
        twice = one.client.post("/predict", json={"text": "a"}, headers=[(header, "eu")] * 2)
        torn = one.client.post(
            "/predict", json={"text": "a"}, headers=[(header, "eu"), (header, "us")]
        )

    assert twice.headers["x-edgewise-location"] == "edge"
    assert torn.status_code == 400
    assert torn.json() == {
        "error": "`x-edgewise-region` is said twice, and differs",
        "hint": "say one region",
    }
    assert far.seen == []
