"""An audit widens nothing: whatever the policy, a request reaches only tiers that may see it."""

import asyncio
import contextlib
import random
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import EdgewiseError
from edgewise.observe import Auditor
from edgewise.records import (
    AuditRules,
    Input,
    Policy,
    Prediction,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
)
from edgewise.route import HybridInferenceEngine
from edgewise.route.decide import allowed_tiers
from edgewise.route.facts import Asked, facts_of
from edgewise.testing.route import FakeClock, FakeTier, ListSink, policies

INPUTS = st.fixed_dictionaries(
    {"text": st.sampled_from(["a film", "write to ann@example.org"])},
    optional={
        "privacy_flag": st.booleans(),
        "region": st.sampled_from(["eu", "us", "ch", "EU"]),
    },
)
ANSWERS = st.sampled_from(
    [
        Prediction("yes", 0.99, (0.01, 0.99)),
        Prediction("no", 0.55, (0.55, 0.45)),
        Prediction("yes", 0.9, ()),
    ]
)


async def ask_all(
    policy: Policy, answers: list[Prediction], inputs: list[Any], *, judged: bool
) -> None:
    clock, sink = FakeClock(), ListSink()
    tiers = {
        tier.name: FakeTier(clock, [answer], remote=place > 0)
        for place, (tier, answer) in enumerate(zip(policy.tiers, answers, strict=False))
    }
    shown: list[Input] = []

    async def judge(one: Input, near: Prediction, far: Prediction) -> tuple[float, float]:
        del near, far
        shown.append(one)
        return 0.5, 0.5

    engine = HybridInferenceEngine(
        policy=policy,
        clock=clock,
        tiers=tiers,
        decision_log=sink,
        auditor=Auditor(rng=random.Random(0)),
        judge=judge if judged else None,
    )
    by_id: dict[str, tuple[str, ...]] = {}
    async with engine:
        for one in inputs:
            with contextlib.suppress(EdgewiseError):
                await engine.predict(one)
            for _ in range(12):
                await asyncio.sleep(0)
    for decision in sink.decisions:
        by_id[decision.request_id] = allowed_tiers(policy, decision.facts)
    for name, tier in tiers.items():
        for asked in tier.ids:
            assert name in by_id[asked.removesuffix("-audit")]
    for one in shown:
        kinds = PrivacyRules(detect=policy.privacy.detect, residency=policy.privacy.residency)
        facts = facts_of(replace(policy, privacy=kinds), one, lambda _: 1, Asked())
        assert policy.tiers[-1].name in allowed_tiers(policy, facts)


@settings(max_examples=80, deadline=None)
@given(
    policy=policies(),
    answers=st.lists(ANSWERS, min_size=4, max_size=4),
    inputs=st.lists(INPUTS, min_size=1, max_size=4),
    judged=st.booleans(),
    redacts=st.booleans(),
)
def test_no_audit_reaches_a_tier_that_may_not_see_the_request(
    policy: Policy,
    answers: list[Prediction],
    inputs: list[Any],
    judged: bool,
    redacts: bool,
) -> None:
    action = PrivacyAction.REDACT if redacts else PrivacyAction.KEEP
    audited = replace(
        policy,
        audit=AuditRules(share=1.0, at_once=100),
        privacy=PrivacyRules(
            detect=("email",),
            residency=policy.privacy.residency,
            actions=PrivacyActions(default=action),
        ),
        deadline_ms=None,
    )

    asyncio.run(ask_all(audited, answers, inputs, judged=judged))
