"""The audit of a pair of text models over real sockets: judged, void, restarted, certified anew."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from edgewise.observe import AuditFile, Auditor, read_samples
from edgewise.pipeline import recertify_policy
from edgewise.records import (
    AuditRules,
    Input,
    Loss,
    OnVoid,
    Policy,
    Prediction,
    Protocol,
    StreamRules,
    TierKind,
    TierPolicy,
    seal,
)
from edgewise.route import HybridInferenceEngine
from edgewise.testing.chats import ChatEndpoint, Saying
from edgewise.testing.route import CERTIFIED

pytestmark = pytest.mark.integration
ASK = {"messages": [{"role": "user", "content": "say something"}]}
NEAR = Saying(tokens=("near ", "is ", "sure"), logprobs=(-0.01,) * 3)
FAR = Saying(tokens=("far ", "knows"))


def policy_of(near: str, far: str) -> Policy:
    return Policy(
        task="text-generation",
        labels=(),
        tiers=tuple(
            TierPolicy(
                name=name,
                kind=kind,
                threshold=0.5 if kind is TierKind.DEVICE else None,
                endpoint=url,
                protocol=Protocol.OPENAI,
                model=name,
            )
            for name, kind, url in (
                ("edge", TierKind.DEVICE, near),
                ("cloud", TierKind.CLOUD, far),
            )
        ),
        stream=StreamRules(commit_after_tokens=2),
        audit=AuditRules(share=1.0, on_void=OnVoid.CLOUD_ONLY),
        certificate=seal(replace(CERTIFIED, loss=Loss.NET, threshold=0.5)),
    )


def judge(one: Input, near: Prediction, far: Prediction) -> tuple[float, float]:
    """Mark by the words, as a program would: in a thread."""
    assert one["messages"] == ASK["messages"]
    return {"near is sure": 0.4}[near.label], {"far knows": 0.9}[far.label]


async def answered(engine: HybridInferenceEngine, count: int) -> None:
    """Wait until the background work of so many requests has ended."""
    while (state := engine.audit) is not None and state.audited + state.lost < count:
        await asyncio.sleep(0.001)


async def until_void(engine: HybridInferenceEngine) -> int:
    """Ask, whole and in pieces in turn, until the certificate is void; gives how often."""
    count = 0
    while engine.audit is not None and not engine.audit.void:
        if count % 2:
            async for _ in engine.stream(ASK):
                pass
        else:
            await engine.predict(ASK)
        count += 1
        await answered(engine, count)
    return count


async def test_texts_that_got_worse_are_found_kept_in_mind_and_certified_anew(
    tmp_path: Path,
) -> None:
    path = tmp_path / "audit.sqlite"
    with ChatEndpoint([NEAR]) as near, ChatEndpoint([FAR]) as far:
        policy = policy_of(near.url, far.url)
        auditor = Auditor(AuditFile(path), rng=random.Random(3))
        async with HybridInferenceEngine(policy=policy, auditor=auditor, judge=judge) as engine:
            count = await until_void(engine)
        auditor.close()
        auditor = Auditor(AuditFile(path), rng=random.Random(3))
        async with HybridInferenceEngine(policy=policy, auditor=auditor, judge=judge) as engine:
            after = await engine.predict(ASK)
            renewed = recertify_policy(policy, path, whole=True)
            await engine.swap_policy(renewed)
            again = await engine.predict(ASK)
        auditor.close()

    assert 3 < count < 60
    assert (after.location, after.certificate and after.certificate["state"]) == ("cloud", "void")
    samples = [one for _, one in read_samples(path)]
    assert {(one.edge_quality, one.far_quality) for one in samples[:count]} == {(0.4, 0.9)}
    assert len(samples) >= count
    # Each answer that is kept loses half: no threshold keeps that promise.
    assert renewed == replace(
        policy,
        tiers=(replace(policy.tiers[0], threshold=None), policy.tiers[1]),
        certificate=renewed.certificate,
    )
    assert again.location == "cloud_fallback"
    content = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert b"near" not in content
    assert b"knows" not in content
    assert b"something" not in content
