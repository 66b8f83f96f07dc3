"""A bundle that arrives while the engine already answers; a policy exchanged from its file."""

import base64
import random
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from edgewise import PreRouter
from edgewise.errors import (
    EdgewiseError,
    IntegrityError,
    StorageError,
    TierUnavailable,
    UsageError,
)
from edgewise.observe import Auditor
from edgewise.records import (
    ApiKey,
    AuditRules,
    BudgetRules,
    DeviceRule,
    OfflineRules,
    Policy,
    PreRouteRules,
    Protocol,
    TierKind,
    TierPolicy,
    write_json,
)
from edgewise.route import HybridInferenceEngine
from edgewise.route.loading import LoadingTier
from edgewise.route.tiers import LocalTier
from edgewise.runtimes import LocalModel, open_bundle
from edgewise.testing.models import tiny_text_bundle
from edgewise.testing.route import FakeEndpoint

pytestmark = pytest.mark.integration
CLOUD_SAYS = (200, {"label": "negative", "confidence": 0.97, "probabilities": {}})
SURE = {"text": "good great good great"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_bundle(tmp_path_factory.mktemp("made") / "bundle")


def policy_for(bundle: Path, endpoint: str, key: ApiKey | None = None) -> Policy:
    model = open_bundle(bundle)
    model.close()
    cloud = TierPolicy(
        name="cloud",
        kind=TierKind.CLOUD,
        endpoint=endpoint,
        protocol=Protocol.JSON,
        api_key=key,
    )
    edge = TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.5)
    return Policy(
        task="text-classification",
        labels=model.labels,
        tiers=(edge, cloud),
        bundle_sha256=model.sha256,
    )


def loading(engine: HybridInferenceEngine) -> LoadingTier:
    tier = engine._serving.tiers["edge"]
    assert isinstance(tier, LoadingTier)
    return tier


async def test_the_cloud_stands_in_until_the_bundle_is_there(bundle: Path, tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        engine = HybridInferenceEngine(
            edge_model_path=place, policy=policy_for(bundle, endpoint.url), wait_for_edge=False
        )
        async with engine:
            before = await engine.predict(SURE)
            with pytest.raises(TierUnavailable):
                await engine.predict({**SURE, "privacy_flag": True})
            with pytest.raises(TierUnavailable, match="not loaded yet"):
                await loading(engine).ask(SURE, None)
            aside = tmp_path / "aside"
            shutil.copytree(bundle, aside)
            aside.rename(place)
            assert loading(engine).wait(10.0)
            after = await engine.predict(SURE)
            private = await engine.predict({**SURE, "privacy_flag": True})

    assert (before.location, "not_loaded" in before.reasons) == ("cloud_fallback", True)
    assert (after.location, private.location) == ("edge", "edge")
    assert after.reasons == ("nearest_first", "confident")


async def test_a_bundle_that_is_not_the_policys_never_answers(bundle: Path, tmp_path: Path) -> None:
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        policy = replace(policy_for(bundle, endpoint.url), bundle_sha256="0" * 64)
        async with HybridInferenceEngine(bundle, policy=policy, wait_for_edge=False) as engine:
            result = await engine.predict(SURE)
            assert not loading(engine).wait(0.3)

    assert result.location == "cloud_fallback"
    assert isinstance(loading(engine).failure, IntegrityError)
    del tmp_path


def test_loading_needs_a_policy_a_place_and_an_edge_to_load(bundle: Path) -> None:
    endpoint = "http://127.0.0.1:9"
    policy = policy_for(bundle, endpoint)
    near = replace(policy, tiers=(replace(policy.tiers[0], endpoint=endpoint), policy.tiers[1]))

    with pytest.raises(UsageError, match="needs a policy"):
        HybridInferenceEngine(bundle, wait_for_edge=False)
    with pytest.raises(UsageError, match="nothing to load"):
        HybridInferenceEngine(bundle, policy=near, wait_for_edge=False)


def test_a_look_that_fails_is_repeated() -> None:
    looked = threading.Event()
    looks: list[int] = []

    def look() -> object:
        looks.append(1)
        if len(looks) == 3:
            looked.set()
        raise TierUnavailable("not yet")

    tier = LoadingTier(look, look_every_s=0.001)  # type: ignore[arg-type]
    assert looked.wait(10.0)
    tier._stop.set()
    tier._thread.join()

    assert (tier.ready, str(tier.failure)) == (False, "not yet")
    assert tier.length(SURE) is None


async def test_a_policy_is_exchanged_from_its_file(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        old = policy_for(bundle, endpoint.url)
        strict = replace(old, tiers=(replace(old.tiers[0], threshold=1.1), old.tiers[1]))
        write_json(tmp_path / "policy.json", strict)
        async with HybridInferenceEngine(bundle, policy=old) as engine:
            before = await engine.predict(SURE)
            await engine.swap_policy(tmp_path / "policy.json")
            after = await engine.predict(SURE)

    assert (before.location, after.location) == ("edge", "cloud_fallback")
    assert before.policy_version != after.policy_version


async def test_a_bundle_that_was_opened_for_a_wrong_policy_is_closed(
    bundle: Path, tmp_path: Path
) -> None:
    opened: list[LocalTier] = []
    closed: list[LocalTier] = []

    class Noted(LocalTier):
        async def aclose(self) -> None:
            closed.append(self)
            await super().aclose()

    def note(name: str, model: LocalModel) -> LocalTier:
        opened.append(Noted(name, model))
        return opened[-1]

    policy = policy_for(bundle, "http://127.0.0.1:9")
    late = replace(policy, offline=OfflineRules(path=str(tmp_path / "queue.sqlite")))
    router = PreRouter.fit([f"word {n}" for n in range(20)], [1] * 20, [0] * 20)
    weights = replace(
        router.weights, embedding_width=1, components=base64.b64encode(bytes(4)).decode()
    )
    far = replace(
        policy,
        budget=BudgetRules(path=str(tmp_path / "budget.sqlite")),
        preroute=PreRouteRules(weights=weights, min_gain=0.1),
    )
    async with HybridInferenceEngine(bundle, policy=policy, local=note) as engine:
        for wrong in (late, far):
            with pytest.raises(EdgewiseError):
                await engine.swap_policy(wrong, edge_model_path=bundle)
        assert closed == opened[1:]
        assert (await engine.predict(SURE)).location == "edge"

    assert (len(opened), closed[-1]) == (3, opened[0])


@pytest.mark.parametrize("wait_for_edge", [True, False])
@pytest.mark.parametrize("kind", ["budget", "queue", "audit"])
def test_an_engine_that_can_not_be_made_leaves_nothing_running(
    bundle: Path, tmp_path: Path, kind: str, *, wait_for_edge: bool
) -> None:
    class FullDisk(Auditor):
        def begin(self, policy: Policy, *, judged: bool = False) -> None:
            del policy, judged
            raise StorageError("the disk is full")

    policy = policy_for(bundle, "http://127.0.0.1:9")
    money = BudgetRules(path=str(tmp_path if kind == "budget" else tmp_path / "budget"))
    queue = OfflineRules(path=str(tmp_path if kind == "queue" else tmp_path / "queue"))
    heat = DeviceRule(name="heat", throttled=True)
    policy = replace(policy, budget=money, offline=queue, device=(heat,), audit=AuditRules())
    auditor = FullDisk(rng=random.Random(5)) if kind == "audit" else None
    before = set(threading.enumerate())

    with pytest.raises(StorageError):
        HybridInferenceEngine(bundle, policy=policy, wait_for_edge=wait_for_edge, auditor=auditor)

    assert set(threading.enumerate()) <= before
    # Nor does a file stay open: this process may have it again.
    policy = replace(policy, budget=replace(money, path=str(tmp_path / "budget")))
    policy = replace(policy, offline=replace(queue, path=str(tmp_path / "queue")))
    HybridInferenceEngine(bundle, policy=policy, wait_for_edge=wait_for_edge).close()


async def test_each_tiers_key_is_read_from_where_the_policy_says(
    bundle: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "key"
    secret.write_text("hush\n", encoding="utf-8")
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        policy = policy_for(bundle, endpoint.url, ApiKey(file=str(secret)))
        async with HybridInferenceEngine(bundle, policy=policy) as engine:
            await engine.predict(SURE, force_location="cloud", deadline_ms=5000.0)

    (headers,) = endpoint.headers
    assert headers["authorization"] == "Bearer hush"
    assert 0 < float(headers["x-edgewise-deadline-ms"]) <= 5000
    assert len(headers["idempotency-key"]) == 32


async def test_a_probe_tells_an_endpoint_that_is_there_from_one_that_is_not(bundle: Path) -> None:
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        async with HybridInferenceEngine(bundle, policy=policy_for(bundle, endpoint.url)) as engine:
            cloud, edge = (engine._serving.tiers[name] for name in ("cloud", "edge"))
            await edge.probe(1000.0)
            await cloud.probe(1000.0)
        endpoint.head_status = 503
        async with HybridInferenceEngine(bundle, policy=policy_for(bundle, endpoint.url)) as engine:
            with pytest.raises(TierUnavailable, match="503"):
                await engine._serving.tiers["cloud"].probe(1000.0)
        url = endpoint.url
    async with HybridInferenceEngine(bundle, policy=policy_for(bundle, url)) as engine:
        with pytest.raises(TierUnavailable, match="can't be reached"):
            await engine._serving.tiers["cloud"].probe(1000.0)


async def test_an_edge_that_answers_does_so_through_an_exchange_of_policies(bundle: Path) -> None:
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        policy = policy_for(bundle, endpoint.url)
        other = replace(policy, tiers=(replace(policy.tiers[0], threshold=0.6), policy.tiers[1]))
        async with HybridInferenceEngine(bundle, policy=policy, wait_for_edge=False) as engine:
            assert loading(engine).wait(10.0)
            for one in (other, policy):
                await engine.swap_policy(one)
                assert engine._serving.tiers["edge"].ready
                private = await engine.predict({**SURE, "privacy_flag": True})
                assert private.location == "edge"
