"""The engine on a real bundle and a real socket."""

import asyncio
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewise.errors import (
    DeadlineExceeded,
    IntegrityError,
    InvalidData,
    TierUnavailable,
    UsageError,
)
from edgewise.records import (
    Certificate,
    CertificateState,
    LatencyLimit,
    Loss,
    Policy,
    Prediction,
    Protocol,
    TierKind,
    TierPolicy,
    seal,
    write_json,
)
from edgewise.route import HybridInferenceEngine, SystemClock
from edgewise.route.tiers import LocalTier, RemoteTier
from edgewise.runtimes import LocalModel, RemoteModel, open_bundle
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle
from edgewise.testing.route import FakeEndpoint, ListSink

pytestmark = pytest.mark.integration
CLOUD_SAYS = (
    200,
    {
        "label": "negative",
        "confidence": 0.97,
        "probabilities": {"negative": 0.97, "positive": 0.03},
    },
)
SURE = {"text": "good great good great"}
UNSURE = {"text": "a film"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_bundle(tmp_path_factory.mktemp("run") / "bundle")


def policy_for(bundle: Path, endpoint: str | None) -> Policy:
    model = open_bundle(bundle)
    model.close()
    return Policy(
        task="text-classification",
        labels=model.labels,
        tiers=(
            TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8),
            TierPolicy(
                name="cloud", kind=TierKind.CLOUD, endpoint=endpoint, protocol=Protocol.JSON
            ),
        ),
        bundle_sha256=model.sha256,
    )


async def test_a_bundle_answers_and_a_doubtful_text_goes_over_the_socket(bundle: Path) -> None:
    sink = ListSink()
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        engine = HybridInferenceEngine(
            edge_model_path=bundle, cloud_endpoint=endpoint.url, decision_log=sink
        )
        async with engine:
            near = await engine.predict(SURE)
            far = await engine.predict(UNSURE)
            home = await engine.predict({**UNSURE, "privacy_flag": True})

    assert (near["prediction"], near["location"]) == ("positive", "edge")
    assert near["confidence"] == pytest.approx(1 / (1 + np.exp(-4.0)))
    assert (far["prediction"], far["location"], far["confidence"]) == (
        "negative",
        "cloud_fallback",
        0.97,
    )
    assert home["location"] == "edge"
    assert len(endpoint.bodies) == 1
    assert len(sink.decisions) == 3
    assert sink.decisions[1].facts.input_length == 4


def test_an_engine_outlives_its_cloud(bundle: Path) -> None:
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        pass

    with HybridInferenceEngine(bundle, endpoint.url) as engine:
        places = [engine.predict_sync(UNSURE).location for _ in range(8)]

    assert places == ["edge_fallback"] * 8


async def test_a_hanging_cloud_is_left_at_the_deadline(bundle: Path) -> None:
    with FakeEndpoint([(0, None)]) as endpoint:
        async with HybridInferenceEngine(bundle, endpoint.url, deadline_ms=150.0) as engine:
            result = await engine.predict(UNSURE)

    assert result.location == "edge_fallback"
    assert result.latency_ms < 1000.0


async def test_an_edge_slower_than_its_limit_is_not_the_first_choice(bundle: Path) -> None:
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        async with HybridInferenceEngine(bundle, endpoint.url, edge_threshold_ms=1e-6) as engine:
            result = await engine.predict(SURE)
        async with HybridInferenceEngine(bundle, endpoint.url, edge_threshold_ms=1e6) as engine:
            quick = await engine.predict(SURE)

    assert (result.location, result.reasons[0]) == ("cloud", "edge_too_slow")
    assert quick.location == "edge"


async def test_an_image_bundle_is_measured_too(tmp_path: Path) -> None:
    bundle = tiny_image_bundle(tmp_path / "bundle")
    image = {"image": np.full((4, 4, 3), 255, dtype=np.uint8)}

    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        async with HybridInferenceEngine(bundle, endpoint.url, edge_threshold_ms=1e6) as engine:
            result = await engine.predict(image)

    assert (result.prediction, result.location) == ("bright", "edge")
    assert len(engine.policy.tiers[0].latency) == 1


async def test_a_plain_onnx_file_answers_with_labels_of_ones_own(bundle: Path) -> None:
    engine = HybridInferenceEngine(bundle / "model.onnx", labels=("bad", "good"))

    async with engine:
        result = await engine.predict(SURE)

    assert (result.prediction, result.location) == ("good", "edge")


async def test_a_cloud_alone_answers() -> None:
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        async with HybridInferenceEngine(cloud_endpoint=endpoint.url) as engine:
            result = await engine.predict(SURE)
            with pytest.raises(TierUnavailable):
                await engine.predict({**SURE, "privacy_flag": True})

    assert (result.prediction, result.location) == ("negative", "cloud")


def test_a_policys_file_finds_the_bundle_beside_it(bundle: Path) -> None:
    path = bundle.parent / "policy.json"
    write_json(path, policy_for(bundle, None))

    with HybridInferenceEngine(policy=str(path)) as engine:
        result = engine.predict_sync(UNSURE)

    assert result.location == "edge_fallback"
    assert "not_loaded" in result.reasons


async def test_arguments_go_before_the_policys_words(bundle: Path) -> None:
    policy = policy_for(bundle, "http://127.0.0.1:9")
    slow = LatencyLimit(up_to_length=128, p50_ms=50.0, p95_ms=90.0)
    policy = replace(policy, tiers=(replace(policy.tiers[0], latency=(slow,)), policy.tiers[1]))
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        engine = HybridInferenceEngine(
            bundle,
            endpoint.url,
            60.0,
            policy=policy,
            deadline_ms=5000.0,
            cloud_api_key="hush",
        )
        async with engine:
            result = await engine.predict(SURE)

    assert result.location == "cloud"
    assert engine.policy.deadline_ms == 5000.0
    assert "hush" not in repr(engine.policy)


def test_a_policy_for_another_bundle_is_refused(bundle: Path) -> None:
    policy = replace(policy_for(bundle, None), bundle_sha256="0" * 64)

    with pytest.raises(IntegrityError) as caught:
        HybridInferenceEngine(bundle, policy=policy)

    assert "0" * 64 in caught.value.what
    assert policy_for(bundle, None).bundle_sha256 in caught.value.what
    assert caught.value.where == str(bundle)
    assert caught.value.hint == "use the policy.json and the bundle of one run"


def test_a_certificate_that_was_edited_by_hand_is_refused(bundle: Path, tmp_path: Path) -> None:
    policy = policy_for(bundle, None)
    sealed = seal(
        Certificate(
            state=CertificateState.CERTIFIED,
            loss=Loss.NET,
            alpha=0.02,
            delta=0.05,
            n=500,
            threshold=0.8,
            deferral_rate=0.2,
            bound=0.015,
            bundle_sha256=policy.bundle_sha256,
        )
    )
    path = tmp_path / "policy.json"
    write_json(path, replace(policy, certificate=sealed))
    HybridInferenceEngine(bundle, policy=path).close()
    path.write_text(path.read_text("utf-8").replace('"n": 500', '"n": 90000'), "utf-8")

    with pytest.raises(IntegrityError) as caught:
        HybridInferenceEngine(bundle, policy=path)

    assert caught.value.what == "it was changed after it was made"
    assert caught.value.where == f"{path}: certificate"
    assert caught.value.hint == "certify anew: `edgewise calibrate` or `edgewise run`"


def test_a_policy_with_other_labels_is_refused(bundle: Path) -> None:
    others = tuple("abcdef")
    policy = replace(policy_for(bundle, None), bundle_sha256="", labels=others)

    with pytest.raises(IntegrityError) as caught:
        HybridInferenceEngine(bundle, policy=policy)

    expected = "the policy's labels are a, b, c, d, e, …, the bundle's negative, positive"
    assert caught.value.what == expected


def test_calls_that_leave_nothing_to_ask_are_refused(bundle: Path) -> None:
    with pytest.raises(UsageError) as nothing:
        HybridInferenceEngine()
    with pytest.raises(UsageError) as unready:
        HybridInferenceEngine(policy=policy_for(bundle, None))

    assert nothing.value.what == "there is nothing to ask"
    assert nothing.value.where == "HybridInferenceEngine"
    assert nothing.value.hint == "give policy, edge_model_path or cloud_endpoint"
    assert unready.value.what == "no tier of the policy can be asked"
    assert unready.value.where == "policy"
    assert "endpoint" in unready.value.hint


def test_contradicting_arguments_are_refused(bundle: Path) -> None:
    with pytest.raises(UsageError) as both:
        HybridInferenceEngine(bundle, confidence_threshold=0.9, policy=policy_for(bundle, None))
    with pytest.raises(UsageError) as outside:
        HybridInferenceEngine(bundle, confidence_threshold=90.0)
    with pytest.raises(UsageError) as negative:
        HybridInferenceEngine(bundle, edge_threshold_ms=-1.0)
    with pytest.raises(UsageError) as protocol:
        HybridInferenceEngine(bundle, "http://127.0.0.1:9", cloud_protocol="smoke")
    with pytest.raises(UsageError) as strange:
        HybridInferenceEngine(policy=policy_for(bundle, None), tiers={})

    assert (both.value.what, both.value.where) == (
        "a policy brings its own threshold",
        "confidence_threshold",
    )
    assert "certificate" in both.value.hint
    assert outside.value.what == "not between 0 and 1: 90.0"
    assert outside.value.hint == "give a probability, like 0.85"
    assert (negative.value.what, negative.value.where) == ("not above 0: -1.0", "edge_threshold_ms")
    assert negative.value.hint == "give milliseconds, like 100"
    assert protocol.value.what == "no protocol is called `smoke`"
    assert (protocol.value.where, protocol.value.hint) == (
        "cloud_protocol",
        "one of: json, oip, openai",
    )
    assert strange.value.what == "tiers [] for a policy of ['edge', 'cloud']"
    assert strange.value.where == "tiers"
    assert "by the name of its tier" in strange.value.hint


class Gate(LocalModel):
    """A model that answers once it is let go."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def predict(self, one: object) -> Prediction:
        del one
        self.open.wait(30)
        return Prediction("yes", 1.0, (0.0, 1.0))

    def close(self) -> None:
        """Hold nothing."""


async def test_a_local_model_that_is_late_is_left_to_end_by_itself() -> None:
    model = Gate()
    tier = LocalTier("edge", model)

    with pytest.raises(DeadlineExceeded) as caught:
        await tier.ask(SURE, 20.0)
    model.open.set()
    late = await tier.ask(SURE, None)
    in_time = await tier.ask(SURE, 20_000.0)
    await tier.aclose()

    assert caught.value.what == "no answer within 20 ms"
    assert caught.value.where == "tier edge"
    assert caught.value.hint == "allow more time, or use a smaller model"
    assert late.label == in_time.label == "yes"


class Quick(Gate):
    """A model that says which thread it is run in."""

    def predict(self, one: object) -> Prediction:
        del one
        return Prediction(str(threading.get_ident()), 1.0, ())


async def test_a_model_sooner_done_than_a_thread_is_woken_runs_on_the_loop_that_turns_on() -> None:
    tier = LocalTier("edge", Quick())
    here, turns = str(threading.get_ident()), 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    first = await tier.ask(SURE, None)
    turning = asyncio.create_task(turn())
    while (await tier.ask(SURE, 20_000.0)).label != here:
        pass
    before = turns
    for _ in range(40):
        await tier.ask(SURE, None)
    turning.cancel()
    await tier.aclose()

    assert first.label != here
    assert turns - before >= 10
    with pytest.raises(UsageError, match="the tier is closed"):
        await tier.ask(SURE, None)


async def test_an_input_that_can_not_be_sent_is_said() -> None:
    tier = RemoteTier(lambda: RemoteModel("http://127.0.0.1:9"))

    with pytest.raises(InvalidData) as caught:
        await tier.ask({"text": object()}, 100.0)
    await tier.aclose()
    await tier.aclose()

    assert caught.value.what == "`text` is a object"
    assert caught.value.where == "input"
    assert caught.value.hint == 'give {"text": "…"}, or an image as numbers'


def test_each_event_loop_has_connections_of_its_own() -> None:
    with FakeEndpoint([CLOUD_SAYS]) as endpoint:
        tier = RemoteTier(lambda: RemoteModel(endpoint.url))

        async def once() -> str:
            answer = await tier.ask(SURE, 5000.0)
            await tier.aclose()
            return answer.label

        async def left_open() -> None:
            with pytest.raises(InvalidData):
                await tier.ask({"text": object()}, 100.0)

        asyncio.run(left_open())
        answers = [asyncio.run(once()) for _ in range(2)]

    assert answers == ["negative", "negative"]


async def test_the_systems_clock_goes_on() -> None:
    clock = SystemClock()
    start_s, utc_s = clock.now_s(), clock.utc_s()

    clock.wait(0.001)
    await clock.await_(0.001)

    assert clock.now_s() - start_s >= 0.002
    assert utc_s > 1.7e9


def test_the_engines_name_brings_in_no_runtime() -> None:
    code = (
        "import sys; from edgewise import HybridInferenceEngine; "
        "sys.exit(bool({'onnxruntime', 'httpx2', 'tokenizers'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
