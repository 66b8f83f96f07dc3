"""The audit on a real bundle, a real socket and a file that a killed process leaves."""

import asyncio
import random
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewise.gateway.opening import Subject, open_gateway
from edgewise.gateway.settings import Settings
from edgewise.observe import AuditFile, Auditor, DecisionLog, read_samples
from edgewise.records import (
    AuditRules,
    OnVoid,
    Policy,
    PrivacyRules,
    Protocol,
    TierKind,
    TierPolicy,
    seal,
    write_json,
)
from edgewise.route import HybridInferenceEngine
from edgewise.runtimes import open_bundle
from edgewise.testing.models import tiny_text_bundle
from edgewise.testing.route import CERTIFIED, FakeEndpoint

pytestmark = pytest.mark.integration
SURE = {"text": "good great good great"}
SECRET = "good great secret great"


def cloud_says(label: str) -> tuple[int, dict[str, Any]]:
    rest = "negative" if label == "positive" else "positive"
    return 200, {
        "label": label,
        "confidence": 0.97,
        "probabilities": {label: 0.97, rest: 0.03},
    }


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_bundle(tmp_path_factory.mktemp("run") / "bundle")


def policy_for(bundle: Path, endpoint: str) -> Policy:
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
        privacy=PrivacyRules(detect=("email",)),
        audit=AuditRules(share=1.0, on_void=OnVoid.CLOUD_ONLY),
        certificate=seal(CERTIFIED),
    )


async def answered(engine: HybridInferenceEngine, count: int) -> None:
    """Wait until the background calls of so many requests have ended."""
    while (state := engine.audit) is not None and state.audited + state.lost < count:
        await asyncio.sleep(0.001)


async def test_answers_are_audited_over_the_socket_until_the_certificate_is_void(
    bundle: Path, tmp_path: Path
) -> None:
    with FakeEndpoint([cloud_says("negative")]) as endpoint:
        file = AuditFile(tmp_path / "audit.sqlite")
        auditor = Auditor(file, rng=random.Random(3))
        with DecisionLog(tmp_path / "decisions.sqlite") as log:
            engine = HybridInferenceEngine(
                bundle,
                policy=policy_for(bundle, endpoint.url),
                auditor=auditor,
                decision_log=log,
            )
            async with engine:
                count = 0
                while not auditor.void:
                    result = await engine.predict(SURE)
                    count += 1
                    await answered(engine, count)
                after = await engine.predict(SURE)
        auditor.close()

    assert count < 30
    assert (result.location, result.certificate and result.certificate["state"]) == (
        "edge",
        "certified",
    )
    assert (after.location, after.label) == ("cloud", "negative")
    assert after.certificate is not None
    assert after.certificate["state"] == "void"
    assert [one.certificate_state for one in log.read()][-1] == "void"
    samples = [one for _, one in read_samples(tmp_path / "audit.sqlite")]
    assert len(samples) == count
    assert {(one.edge_label, one.far_label) for one in samples} == {("positive", "negative")}


async def test_a_gateway_audits_what_its_policy_says(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    with FakeEndpoint([cloud_says("negative")]) as endpoint, ExitStack() as stack:
        write_json(path, policy_for(bundle, endpoint.url))
        opened = open_gateway(Subject(policy=path, bundle=bundle), Settings(), stack=stack)
        async with opened.engine as engine:
            await engine.predict(SURE)
            await answered(engine, 1)

    assert len(list(read_samples(tmp_path / "audit.sqlite"))) == 1


async def test_a_gateways_metrics_say_that_the_certificate_is_void(
    bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / "policy.json"
    with FakeEndpoint([cloud_says("negative")]) as endpoint, ExitStack() as stack:
        write_json(path, policy_for(bundle, endpoint.url))
        opened = open_gateway(Subject(policy=path, bundle=bundle), Settings(), stack=stack)

        def told() -> tuple[float, float]:
            text = opened.decisions.counting.metrics.text(open_metrics=False)
            found = dict(re.findall(r"^edgewise_certificate_(\w+) (\S+)$", text, re.MULTILINE))
            return float(found["void"]), float(found["evidence"])

        async with opened.engine as engine:
            before = told()
            count = 0
            while engine.audit is not None and not engine.audit.void:
                await engine.predict(SURE)
                count += 1
                await answered(engine, count)
            after = told()

    assert before == (0.0, 1.0)
    assert after[0] == 1.0
    assert after[1] > 1.0


async def test_a_gateway_whose_policy_may_not_be_written_to_audits_where_it_is_told(
    bundle: Path, tmp_path: Path
) -> None:
    path, state = tmp_path / "run" / "policy.json", tmp_path / "state"
    for folder in (path.parent, state):
        folder.mkdir()
    with FakeEndpoint([cloud_says("negative")]) as endpoint, ExitStack() as stack:
        write_json(path, policy_for(bundle, endpoint.url))
        subject, settings = Subject(policy=path, bundle=bundle), Settings(audit="a.sqlite")
        opened = open_gateway(subject, settings, stack=stack, file=state / "gateway.yaml")
        async with opened.engine as engine:
            await engine.predict(SURE)
            await answered(engine, 1)

    assert len(list(read_samples(state / "a.sqlite"))) == 1
    assert [one.name for one in path.parent.iterdir()] == ["policy.json"]


async def test_several_processes_that_serve_a_policy_audit_nothing(
    bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / "policy.json"
    with FakeEndpoint([cloud_says("negative")]) as endpoint, ExitStack() as stack:
        write_json(path, policy_for(bundle, endpoint.url))
        subject = Subject(policy=path, bundle=bundle)
        opened = open_gateway(subject, Settings(workers=2), stack=stack)
        async with opened.engine as engine:
            assert engine.audit is None

    assert not (tmp_path / "audit.sqlite").exists()


async def test_a_private_request_is_never_audited_and_nothing_of_it_is_on_the_disk(
    bundle: Path, tmp_path: Path
) -> None:
    private: list[dict[str, Any]] = [
        {"text": SECRET, "privacy_flag": True},
        {"text": f"{SECRET} ann@example.org"},
    ]
    with FakeEndpoint([cloud_says("positive")]) as endpoint:
        auditor = Auditor(AuditFile(tmp_path / "audit.sqlite"), rng=random.Random(3))
        engine = HybridInferenceEngine(
            bundle, policy=policy_for(bundle, endpoint.url), auditor=auditor
        )
        async with engine:
            for turn in range(20):
                await engine.predict(private[turn % 2])
                await engine.predict(SURE)
                await answered(engine, turn + 1)
        auditor.close()

    assert len(endpoint.bodies) == 20
    assert SECRET not in str(endpoint.bodies)
    for path in tmp_path.glob("*audit*"):
        content = path.read_bytes()
        assert b"secret" not in content
        assert b"great" not in content


async def test_an_engine_that_closes_leaves_no_call_behind(bundle: Path, tmp_path: Path) -> None:
    with FakeEndpoint([(0, None)]) as endpoint:
        auditor = Auditor(AuditFile(tmp_path / "audit.sqlite"), rng=random.Random(3))
        engine = HybridInferenceEngine(
            bundle, policy=policy_for(bundle, endpoint.url), auditor=auditor
        )
        async with engine:
            await engine.predict(SURE)
            while not endpoint.bodies:
                await asyncio.sleep(0.001)
        state = auditor.state
        auditor.close()

    assert (state.audited, state.lost) == (0, 1)


UNTIL_KILLED = """
import random, sys
from pathlib import Path
from edgewise.observe import AuditFile, Auditor
from edgewise.records import Answered, Policy, read_json

file = AuditFile(Path(sys.argv[1]))
auditor = Auditor(file, rng=random.Random(1))
auditor.begin(read_json(Policy, Path(sys.argv[2])))
number = 0
while True:
    one = Answered(
        request_id=f"{number:07d}", kept=True, confidence=0.9, edge_label="yes"
    )
    case = auditor.consider(one, 1.7e9 + number)
    if case is not None:
        auditor.record(case, "yes" if number % 25 else "no", 1.7e9 + number)
    number += 1
    if number % 50 == 0:
        file.flush()
        print(number, auditor.state.audited, auditor.state.e_value, flush=True)
"""


def test_kill_9_leaves_a_whole_file_and_adds_no_evidence(bundle: Path, tmp_path: Path) -> None:
    path, policy_path = tmp_path / "audit.sqlite", tmp_path / "policy.json"
    policy = policy_for(bundle, "http://127.0.0.1:9")
    write_json(policy_path, replace(policy, audit=AuditRules(share=1.0, on_void=OnVoid.WARN)))

    for kills in range(1, 5):
        child = subprocess.Popen(
            [sys.executable, "-c", UNTIL_KILLED, str(path), str(policy_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(1 + kills % 2):
            said = child.stdout.readline().split()
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        file = AuditFile(path)
        auditor = Auditor(file, rng=random.Random(1))
        auditor.begin(replace(policy, audit=AuditRules(share=1.0, on_void=OnVoid.WARN)))
        state = auditor.state
        auditor.close()

        assert int(said[1]) <= state.audited
        assert state.e_value < 1.0
        assert not state.void
    assert len({one.request_id for _, one in read_samples(path)}) >= 50
