"""What the gateway's metrics tell of money."""

import asyncio
import random
from dataclasses import replace

from edgewise.gateway.app import Gateway
from edgewise.gateway.counting import Counting, Decisions
from edgewise.gateway.settings import Settings
from edgewise.observe import Auditor
from edgewise.records import (
    AuditRules,
    Policy,
    Prediction,
    TierKind,
    TierPolicy,
)
from edgewise.route import HybridInferenceEngine
from edgewise.testing.route import CERTIFIED, FakeClock, FakeTier

POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.6),
        TierPolicy(name="cloud", kind=TierKind.CLOUD, usd_per_request=0.25),
    ),
    certificate=replace(CERTIFIED, threshold=0.6),
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
        async with asyncio.timeout(5):
            while engine.audit is None or engine.audit.spent_usd < 0.75:
                await asyncio.sleep(0)
        lines = decisions.counting.metrics.text().splitlines()

    assert "edgewise_audit_spent_usd 0.75" in lines
    assert not [line for line in lines if line.startswith("edgewise_cost_usd_total{")]
