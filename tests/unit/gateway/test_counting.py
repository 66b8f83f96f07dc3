"""What the gateway's metrics tell of money."""

import asyncio
import random

from edgewise.gateway.app import Gateway
from edgewise.gateway.counting import Counting, Decisions
from edgewise.gateway.settings import Settings
from edgewise.observe import Auditor
from edgewise.records import (
    AuditRules,
    Certificate,
    CertificateState,
    Loss,
    Policy,
    Prediction,
    TierKind,
    TierPolicy,
)
from edgewise.route import HybridInferenceEngine
from edgewise.testing.route import FakeClock, FakeTier

POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.6),
        TierPolicy(name="cloud", kind=TierKind.CLOUD, usd_per_request=0.25),
    ),
    certificate=Certificate(
        state=CertificateState.CERTIFIED,
        loss=Loss.DISAGREEMENT,
        alpha=0.05,
        delta=0.05,
        n=500,
        threshold=0.6,
        deferral_rate=0.2,
        bound=0.04,
    ),
    audit=AuditRules(share=1.0, at_once=8),
)


async def test_what_an_audit_asks_is_told_beside_what_requests_cost() -> None:
    clock = FakeClock()
    answer = Prediction("yes", 0.9, (0.1, 0.9))
    tiers = {"edge": FakeTier(clock, [answer]), "cloud": FakeTier(clock, [answer])}
    decisions = Decisions(Counting(), None)
    engine = HybridInferenceEngine(
        policy=POLICY,
        tiers=tiers,
        decision_log=decisions,
        clock=clock,
        auditor=Auditor(rng=random.Random(5)),
    )
    async with engine:
        gateway = Gateway(engine, name="tiny", settings=Settings(), decisions=decisions)
        for _ in range(3):
            await gateway.engine.predict({"text": "a film"})
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        lines = decisions.counting.metrics.text().splitlines()

    assert "edgewise_audit_spent_usd 0.75" in lines
    assert not [line for line in lines if line.startswith("edgewise_cost_usd_total{")]
