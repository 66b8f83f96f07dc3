"""Pre-routing: where the table of answers says a gain, the decision weighs it."""

from dataclasses import replace

import numpy as np
import pytest

from edgewise.records import (
    Policy,
    PreRouteRules,
    Price,
    ServiceFormula,
    Simulation,
    TierKind,
    TierPolicy,
)
from edgewise.simulate import AnswerTable, Scenario, TraceBlock, has_feedback, simulate

EDGE = TierPolicy(
    name="edge", kind=TierKind.DEVICE, threshold=0.5, service=ServiceFormula(base_ms=10.0)
)
CLOUD = TierPolicy(
    name="cloud", kind=TierKind.CLOUD, rtt_p50_ms=50.0, rtt_p95_ms=50.0, usd_per_request=0.01
)
POLICY = Policy(task="t", labels=(), tiers=(EDGE, CLOUD), preroute=PreRouteRules(min_gain=0.3))
TABLE = AnswerTable(
    confidence=np.array([0.9, 0.9, 0.1]),
    near_correct=np.array([1.0, 0.0, 0.0]),
    far_correct=np.array([1.0, 1.0, 1.0]),
    gain=np.array([0.0, 0.5, 0.2]),
    rows={"plain": 0, "hard": 1, "unsure": 2},
)


def run(policy: Policy, table: AnswerTable, *texts: str) -> Simulation:
    n = len(texts)
    block = TraceBlock(
        first=0,
        t_s=np.arange(float(n)) * 100.0,
        input_tokens=np.full(n, 10.0),
        output_tokens=np.ones(n),
        text_ids=texts,
        lines=range(2, n + 2),
    )
    return simulate(Scenario(policy=policy, answers=table), [block])


def test_a_text_that_gains_enough_is_sent_without_asking_the_edge() -> None:
    found = run(POLICY, TABLE, "plain", "hard", "unsure", "hard")

    assert found.method == "events"
    assert found.reasons["pre_routed"] == 2
    assert found.attempts == {"edge": 2, "cloud": 3}
    assert found.share == {"edge": 0.25, "cloud": 0.75}
    assert found.quality.value == 1.0
    assert not any("pre-routed" in line for line in found.warnings)


def test_a_gain_is_weighed_against_its_price_and_its_delay() -> None:
    dear = PreRouteRules(min_gain=0.3, usd_per_quality=0.02)
    slow = PreRouteRules(min_gain=0.3, late_ms_per_quality=100.0)

    # 0.01 USD at 0.02 USD a point of quality takes 0.5 of a gain of 0.5, and 50 ms take as much.
    for rules in (dear, slow):
        found = run(replace(POLICY, preroute=rules), TABLE, "hard")

        assert found.attempts == {"edge": 1, "cloud": 0}


def test_a_gain_is_weighed_against_the_price_of_tokens() -> None:
    rules = PreRouteRules(min_gain=0.3, usd_per_quality=0.02)

    # 10 tokens read and one made at 0.001 USD each take 0.55 of a gain of 0.5; at 0.0001, 0.055.
    for usd, asked in ((1000.0, {"edge": 1, "cloud": 0}), (100.0, {"edge": 0, "cloud": 1})):
        price = Price(usd_per_million_tokens_in=usd, usd_per_million_tokens_out=usd)
        cloud = replace(CLOUD, usd_per_request=0.0, token_price=price)
        policy = replace(POLICY, tiers=(EDGE, cloud), preroute=rules)

        assert run(policy, TABLE, "hard").attempts == asked


def test_without_gains_the_result_says_what_is_left_out() -> None:
    table = replace(TABLE, gain=None)

    found = run(POLICY, table, "hard", "plain")

    assert found.method == "flow"
    assert found.share["edge"] == 1.0
    assert any("`gain`" in line for line in found.warnings)


@pytest.mark.parametrize("late_ms_per_quality", [None, 100.0])
def test_gains_mean_nothing_to_a_policy_without_rules(late_ms_per_quality: float | None) -> None:
    rules = PreRouteRules(min_gain=0.3, late_ms_per_quality=late_ms_per_quality)
    known = Scenario(policy=replace(POLICY, preroute=rules), answers=TABLE)

    assert has_feedback(known)
    assert not has_feedback(replace(known, policy=replace(POLICY, preroute=None)))
    assert not has_feedback(replace(known, answers=replace(TABLE, gain=None)))
