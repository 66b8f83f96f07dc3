"""Store and forward: what waits is sent when a tier is back, in order, and what can't be ends."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgewise.records import (
    BreakerRules,
    BudgetRules,
    OfflineRules,
    Policy,
    RetryRules,
    ServiceFormula,
    Simulation,
    SpendingLimit,
    TierKind,
    TierPolicy,
)
from edgewise.simulate import AnswerTable, Outage, Scenario, TraceBlock, simulate

CLOUD = TierPolicy(
    name="cloud", kind=TierKind.CLOUD, usd_per_request=0.01, service=ServiceFormula(base_ms=100.0)
)
RULES = OfflineRules(path="queue.db")
POLICY = Policy(
    task="t",
    labels=(),
    tiers=(CLOUD,),
    offline=RULES,
    retry=RetryRules(most=0),
    breaker=BreakerRules(minimum_calls=1, window=1, open_s=1.0),
)
TABLE = AnswerTable(
    confidence=np.array([0.2]), near_correct=np.array([1.0]), far_correct=np.array([1.0])
)
DARK = (Outage(tier="cloud", from_s=0.0, to_s=10.0),)


def run(policy: Policy, *moments_s: float, late: bool = True, **more: Any) -> Simulation:
    n = len(moments_s)
    block = TraceBlock(
        first=0,
        t_s=np.array(moments_s),
        input_tokens=np.full(n, 10.0),
        output_tokens=np.ones(n),
        late=np.full(n, late),
        lines=range(2, n + 2),
    )
    return simulate(Scenario(policy=policy, answers=TABLE, **more), [block])


def test_what_waits_is_not_answered_by_the_tier_that_was_doubted() -> None:
    site = replace(CLOUD, name="site", kind=TierKind.SITE, threshold=0.8)

    found = run(replace(POLICY, tiers=(site, CLOUD)), 0.0, outages=DARK)

    assert found.late is not None
    assert (found.late.stored, found.late.answered) == (1, 1)
    assert found.late.wait_p50_s is not None
    assert found.late.wait_p50_s >= 9.0  # the cloud is back at 10 s


def test_what_waits_is_answered_when_the_tier_is_back() -> None:
    found = run(POLICY, 0.0, 1.0, 2.0, 20.0, outages=DARK)

    assert found.share == {"cloud": 0.25, "queued": 0.75}
    assert found.reasons["queued"] == 3
    assert found.late is not None
    assert (found.late.stored, found.late.answered) == (3, 3)
    # It is back at 10 s; the circuit lets a call through once a second, and it is looked twice.
    assert found.late.wait_p50_s == pytest.approx(9.5, abs=1.0)
    assert found.quality.value == 1.0
    assert found.cost_usd == pytest.approx(0.04)
    assert found.deadline_miss_rate == 0.0
    assert found.latency_ms.p50 == pytest.approx(100.0)


def test_a_caller_that_can_not_wait_has_no_answer() -> None:
    found = run(POLICY, 0.0, 20.0, late=False, outages=DARK)

    assert found.share == {"cloud": 0.5, "none": 0.5}
    assert found.late is not None
    assert found.late.stored == 0
    assert any("nothing is stored for later" in line for line in found.warnings)


def test_what_has_waited_too_long_ends() -> None:
    policy = replace(POLICY, offline=replace(RULES, max_age_s=3.0))

    found = run(policy, 0.0, 8.5, outages=DARK)

    assert found.late is not None
    assert (found.late.expired, found.late.answered) == (1, 1)


def test_what_is_stored_and_ends_without_an_answer_has_none_and_misses_its_deadline() -> None:
    aged = replace(POLICY, offline=replace(RULES, max_age_s=3.0), deadline_ms=60_000.0)
    tried = replace(POLICY, offline=replace(RULES, max_tries=3), deadline_ms=60_000.0)

    expired = run(aged, 0.0, 8.5, outages=DARK)
    given_up = run(tried, 0.0, failure_share={"cloud": 1.0})

    assert expired.share == {"cloud": 0.0, "queued": 0.5, "none": 0.5}
    assert expired.deadline_miss_rate == 0.5
    assert given_up.share == {"cloud": 0.0, "none": 1.0}
    assert given_up.deadline_miss_rate == 1.0


def test_what_has_waited_too_long_while_others_are_sent_ends() -> None:
    policy = replace(POLICY, offline=replace(RULES, max_age_s=11.0))

    found = run(policy, *[0.0] * 100, outages=DARK)

    # From 10.5 s on four go every 0.1 s, and nothing is sent that is 11 s old.
    assert found.late is not None
    assert found.late.answered + found.late.expired == 100
    assert found.late.answered < 60
    assert found.late.wait_p95_s is not None
    assert found.late.wait_p95_s < 11.2


def test_a_full_queue_refuses() -> None:
    by_count = replace(POLICY, offline=replace(RULES, max_count=1))
    by_bytes = replace(POLICY, offline=replace(RULES, max_bytes=2 * RULES.max_answer_bytes))

    for policy in (by_count, by_bytes):
        found = run(policy, 0.0, 1.0, outages=DARK)

        assert found.late is not None
        assert (found.late.stored, found.late.refused) == (1, 1)
        assert found.share == {"cloud": 0.0, "queued": 0.5, "none": 0.5}


def test_a_tier_that_fails_again_and_again_is_given_up() -> None:
    policy = replace(POLICY, offline=replace(RULES, max_tries=3))

    found = run(policy, 0.0, failure_share={"cloud": 1.0})

    assert found.late is not None
    assert (found.late.stored, found.late.given_up) == (1, 1)
    assert found.late.wait_p50_s is None
    # Once when it came, and three tries of what was stored.
    assert found.attempts["cloud"] == 4


def test_an_outage_counts_no_try() -> None:
    policy = replace(POLICY, offline=replace(RULES, max_tries=1))

    found = run(policy, 0.0, outages=DARK)

    assert found.late is not None
    assert (found.late.answered, found.late.given_up) == (1, 0)
    assert found.attempts["cloud"] > 2


def test_a_doubtful_answer_waits_for_a_better_one() -> None:
    edge = TierPolicy(
        name="edge", kind=TierKind.DEVICE, threshold=0.5, service=ServiceFormula(base_ms=5.0)
    )
    policy = replace(POLICY, tiers=(edge, CLOUD))

    found = run(policy, *(float(k) for k in range(12)), outages=DARK)

    assert found.late is not None
    assert found.late.answered == found.late.stored
    assert found.share["queued"] == pytest.approx(10 / 12, abs=1 / 12 + 1e-9)
    assert found.share["edge"] == 0.0


def test_more_than_a_few_are_sent_a_few_at_a_time() -> None:
    found = run(POLICY, *(k / 10 for k in range(20)), outages=DARK)

    assert found.late is not None
    assert (found.late.stored, found.late.answered) == (20, 20)
    assert found.late.wait_p95_s is not None
    assert found.late.wait_p95_s < 14.0


def test_what_can_not_go_now_does_not_hold_up_what_can() -> None:
    site = replace(CLOUD, name="site", kind=TierKind.SITE, threshold=0.8)
    policy = replace(POLICY, tiers=(site, CLOUD), offline=replace(RULES, max_age_s=30.0))
    dark = (
        Outage(tier="cloud", from_s=0.0, to_s=600.0),
        Outage(tier="site", from_s=1.0, to_s=2.0),
    )

    found = run(policy, *[0.0] * 9, 1.5, outages=dark)

    # Nine wait for the cloud alone, for the site's answer was doubted; the tenth is the site's.
    assert found.late is not None
    assert (found.late.stored, found.late.answered, found.late.expired) == (10, 1, 9)
    assert found.late.wait_p95_s is not None
    assert found.late.wait_p95_s < 10.0


def test_hundreds_that_can_not_go_now_are_passed_over_in_turn() -> None:
    site = replace(CLOUD, name="site", kind=TierKind.SITE, threshold=0.8)
    policy = replace(
        POLICY,
        tiers=(site, CLOUD),
        offline=replace(RULES, max_age_s=60.0),
        breaker=BreakerRules(minimum_calls=3, window=3, open_s=100.0),
    )
    dark = (
        Outage(tier="cloud", from_s=0.0, to_s=600.0),
        Outage(tier="site", from_s=1.0, to_s=2.0),
    )

    found = run(policy, *[0.0] * 600, 1.5, outages=dark)

    assert found.late is not None
    assert (found.late.stored, found.late.answered, found.late.expired) == (601, 1, 600)
    # It is looked at 0.6 s, and 256 are passed over; so it is at 5.6 s, and the last at 10.6 s.
    assert found.late.wait_p95_s == pytest.approx(10.6 + 0.1 - 1.5)


def test_what_there_is_no_money_for_waits_until_there_is() -> None:
    budget = BudgetRules(path="spent", total=SpendingLimit(usd_per_day=0.01))
    policy = replace(POLICY, budget=budget, offline=replace(RULES, max_age_s=100.0))

    found = run(policy, 0.0, 0.0, outages=DARK)
    night = (Outage(tier="cloud", from_s=0.0, to_s=86_390.0),)
    dawn = run(policy, 86_380.0, 86_380.0, outages=night)

    assert found.late is not None
    assert (found.late.answered, found.late.expired) == (1, 1)
    assert dawn.late is not None
    assert (dawn.late.answered, dawn.late.expired) == (2, 0)
