"""What feeds back: outages, retries, breakers, hedges, budgets, deadlines, drift, queues' rules."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plan_numbers import PROFILE

from edgewise.errors import InvalidRecord
from edgewise.records import (
    AuditRules,
    Autoscaling,
    Batching,
    BudgetRules,
    DeviceRule,
    Energy,
    HedgeRules,
    OnVoid,
    Policy,
    Price,
    QueueRules,
    RetryRules,
    ServiceFormula,
    Simulation,
    SpendingLimit,
    TierKind,
    TierPolicy,
)
from edgewise.simulate import AnswerTable, Drift, Network, Outage, Scenario, TraceBlock, simulate

EDGE = TierPolicy(
    name="edge",
    kind=TierKind.DEVICE,
    threshold=0.5,
    service=ServiceFormula(base_ms=10.0),
)
CLOUD = TierPolicy(
    name="cloud",
    kind=TierKind.CLOUD,
    rtt_p50_ms=50.0,
    rtt_p95_ms=50.0,
    usd_per_request=0.01,
    service=ServiceFormula(base_ms=100.0),
)
ALONE = Policy(task="t", labels=(), tiers=(CLOUD,))
BOTH = Policy(task="t", labels=(), tiers=(EDGE, CLOUD))


def table(confidence: float) -> AnswerTable:
    return AnswerTable(
        confidence=np.array([confidence]),
        near_correct=np.array([1.0]),
        far_correct=np.array([1.0]),
    )


UNSURE, SURE = table(0.2), table(0.9)


def at(*moments_s: float) -> list[TraceBlock]:
    n = len(moments_s)
    return [
        TraceBlock(
            first=0,
            t_s=np.array(moments_s),
            input_tokens=np.full(n, 10.0),
            output_tokens=np.ones(n),
            lines=range(2, n + 2),
        )
    ]


def run(
    policy: Policy, *moments_s: float, answers: AnswerTable = UNSURE, **more: Any
) -> Simulation:
    return simulate(Scenario(policy=policy, answers=answers, **more), at(*moments_s))


def test_an_outage_sends_requests_back_to_the_edges_answer() -> None:
    policy = replace(BOTH, retry=RetryRules(most=0))

    found = run(policy, 0.0, 1.0, 2.0, outages=(Outage(tier="cloud", from_s=0.5, to_s=1.5),))

    assert found.method == "events"
    assert found.share == {"edge": pytest.approx(1 / 3), "cloud": pytest.approx(2 / 3)}
    assert found.reasons["fallback"] == 1
    assert found.attempts == {"edge": 3, "cloud": 3}
    assert found.cost_usd == pytest.approx(0.02)


def test_without_another_tier_an_outage_leaves_requests_unanswered() -> None:
    found = run(ALONE, 0.0, 10.0, outages=(Outage(tier="cloud", from_s=0.0, to_s=5.0),))

    assert found.share == {"cloud": 0.5, "none": 0.5}
    assert found.latency_ms.p50 == pytest.approx(150.0)
    assert found.deadline_miss_rate == 0.0


def test_a_retry_meets_the_tier_when_it_is_back() -> None:
    policy = replace(ALONE, retry=RetryRules(most=1, pause_ms=100.0))
    outage = Outage(tier="cloud", from_s=0.0, to_s=0.05)

    found = run(policy, 0.0, outages=(outage,))

    assert found.share == {"cloud": 1.0}
    assert found.reasons["retry"] == 1
    assert found.attempts == {"cloud": 2}
    # A round trip to learn of the failure, a pause of up to 100 ms, and the call.
    assert 200.0 <= (found.latency_ms.p50 or 0.0) <= 300.0


def test_a_breaker_stops_asking_a_tier_that_fails() -> None:
    policy = replace(BOTH, retry=RetryRules(most=0))
    moments = [k * 0.1 for k in range(40)]

    found = run(policy, *moments, outages=(Outage(tier="cloud", from_s=0.0, to_s=100.0),))

    assert found.share["edge"] == 1.0
    assert found.attempts["cloud"] < 10
    assert found.reasons["circuit_open"] > 30


def test_a_share_of_calls_fails_at_random_but_the_same_for_a_seed() -> None:
    policy = replace(ALONE, retry=RetryRules(most=0))
    moments = [float(k) for k in range(400)]

    found = run(policy, *moments, failure_share={"cloud": 0.1}, seed=1)
    other = run(policy, *moments, failure_share={"cloud": 0.1}, seed=1)

    assert 0.05 < found.share["none"] < 0.2
    assert replace(found, wall_s=0.0) == replace(other, wall_s=0.0)


def test_a_hedge_races_the_late_tier_and_its_cost_is_counted() -> None:
    slow = replace(CLOUD, name="slow", service=ServiceFormula(base_ms=500.0), group="g")
    fast = replace(CLOUD, name="fast", group="g", rtt_p50_ms=60.0, rtt_p95_ms=60.0)
    policy = Policy(task="t", labels=(), tiers=(slow, fast), hedge=HedgeRules(share=1.0))

    found = run(policy, 0.0)

    # Late after the expected 50 ms, then a round trip of 60 ms and 100 ms of service.
    assert found.share == {"slow": 0.0, "fast": 1.0}
    assert found.latency_ms.p50 == pytest.approx(210.0)
    assert found.cost_usd == pytest.approx(0.02)
    assert found.reasons["hedged"] == 1


def test_a_tier_that_its_own_call_fills_is_waited_for() -> None:
    slow = replace(EDGE, service=ServiceFormula(base_ms=100.0))
    cloud = replace(CLOUD, max_in_flight=1)
    policy = Policy(task="t", labels=(), tiers=(slow, cloud), hedge=HedgeRules(share=1.0))

    found = run(policy, 0.0)

    assert found.reasons["hedged"] == 1
    assert "busy" not in found.reasons
    assert found.share == {"edge": 0.0, "cloud": 1.0}


def test_a_budget_stops_calls_until_the_next_day() -> None:
    rules = BudgetRules(path="", total=SpendingLimit(usd_per_day=0.025))
    policy = replace(BOTH, budget=rules)

    found = run(policy, 0.0, 1.0, 2.0, 3.0, 86_400.0, 40 * 86_400.0)

    assert found.cost_usd == pytest.approx(0.04)
    assert found.share["cloud"] == pytest.approx(4 / 6)
    assert found.reasons["budget_spent"] == 2


def test_money_that_a_failed_call_did_not_cost_may_be_spent() -> None:
    rules = BudgetRules(path="", each_caller=SpendingLimit(usd_per_month=0.01))
    policy = replace(BOTH, budget=rules, retry=RetryRules(most=0))

    found = run(policy, 0.0, 1.0, 2.0, outages=(Outage(tier="cloud", from_s=0.0, to_s=0.5),))

    assert found.cost_usd == pytest.approx(0.01)
    assert found.share["cloud"] == pytest.approx(1 / 3)


def test_money_of_yesterday_is_not_given_back_today() -> None:
    rules = BudgetRules(path="", each_caller=SpendingLimit(usd_per_day=0.01))
    far = replace(CLOUD, rtt_p50_ms=10_000.0, rtt_p95_ms=10_000.0)
    policy = Policy(task="t", labels=(), tiers=(EDGE, far), budget=rules, retry=RetryRules(most=0))
    down = Outage(tier="cloud", from_s=0.0, to_s=86_400.0)

    # The first fails ten seconds after it was sent, in the next day, whose money the second takes.
    found = run(policy, 86_395.0, 86_401.0, 86_420.0, outages=(down,))

    assert found.cost_usd == pytest.approx(0.01)
    assert found.share["cloud"] == pytest.approx(1 / 3)


def test_calls_at_once_do_not_overrun_a_budget() -> None:
    rules = BudgetRules(path="", total=SpendingLimit(usd_per_day=0.01))
    policy = replace(BOTH, budget=rules)

    found = run(policy, 0.0, 0.0)

    assert found.cost_usd == pytest.approx(0.01)


HALF_RIGHT = AnswerTable(
    confidence=np.array([0.2]), near_correct=np.array([0.0]), far_correct=np.array([1.0])
)


@pytest.mark.parametrize("more", [{}, {"deadline_ms": 60_000.0}], ids=["flow", "events"])
def test_an_input_larger_than_any_number_of_bytes_is_too_large(more: dict[str, Any]) -> None:
    blocks = at(0.0)
    blocks[0].input_tokens[:] = 1e300

    found = simulate(Scenario(policy=replace(ALONE, **more), answers=UNSURE), blocks)

    assert found.share["none"] == 1.0
    assert found.reasons["too_large"] == 1


def test_answers_of_equal_clouds_are_judged_alike() -> None:
    east, west = (replace(CLOUD, name=name, group="far") for name in ("east", "west"))
    policy = Policy(task="t", labels=(), tiers=(EDGE, east, west))

    found = run(policy, 0.0, answers=HALF_RIGHT)

    assert found.share["east"] == 1.0
    assert found.quality.value == 1.0


def test_answers_between_the_ends_are_said_to_be_left_out_of_the_quality() -> None:
    site = replace(CLOUD, name="site", kind=TierKind.SITE)
    cut_off = {"outages": (Outage(tier="cloud", from_s=0.0, to_s=1e6),)}
    policy = Policy(task="t", labels=(), tiers=(EDGE, site, CLOUD))

    found = run(policy, 0.0, answers=HALF_RIGHT, **cut_off)

    assert found.share["site"] == 1.0
    assert found.quality.value is None
    assert found.warnings == ("quality leaves out site: no table tells who is right there",)
    assert run(BOTH, 0.0, answers=HALF_RIGHT).warnings == ()


@pytest.mark.parametrize("more", [{}, {"deadline_ms": 60_000.0}], ids=["flow", "events"])
@pytest.mark.parametrize(
    ("tier", "quality"), [(CLOUD, 1.0), (replace(CLOUD, kind=TierKind.SITE), 0.0), (EDGE, 0.0)]
)
def test_a_tier_alone_is_judged_by_what_it_is(
    tier: TierPolicy, quality: float, more: dict[str, Any]
) -> None:
    policy = Policy(task="t", labels=(), tiers=(tier,), **more)

    assert run(policy, 0.0, answers=HALF_RIGHT).quality.value == quality


TOKENS = Price(usd_per_million_tokens_in=1000.0, usd_per_million_tokens_out=5000.0)


@pytest.mark.parametrize("more", [{}, {"deadline_ms": 60_000.0}], ids=["flow", "events"])
def test_tokens_cost_their_price_on_top_of_a_call(more: dict[str, Any]) -> None:
    cloud = replace(CLOUD, token_price=TOKENS)
    policy = Policy(task="t", labels=(), tiers=(EDGE, cloud), **more)

    found = run(policy, 0.0, 1.0)

    # Two calls of 10 tokens in and 1 out each.
    assert found.method == ("events" if more else "flow")
    assert found.cost_usd == pytest.approx(2 * (0.01 + 10 * 0.001 + 1 * 0.005))


def test_tokens_are_paid_from_the_budget() -> None:
    cloud = replace(CLOUD, usd_per_request=0.0, token_price=TOKENS)
    limit = BudgetRules(path="spent", total=SpendingLimit(usd_per_day=0.04))
    policy = Policy(task="t", labels=(), tiers=(EDGE, cloud), budget=limit)

    found = run(policy, 0.0, 10.0, 20.0, 30.0)

    # A call is 0.015 USD: the third would overrun the day.
    assert found.attempts["cloud"] == 2
    assert found.cost_usd == pytest.approx(0.03)


def test_a_deadline_cuts_a_call_off_and_counts_as_missed() -> None:
    policy = replace(ALONE, deadline_ms=120.0, retry=RetryRules(most=0))

    found = run(policy, 0.0, 10.0)

    assert found.share == {"cloud": 0.0, "none": 1.0}
    assert found.deadline_miss_rate == 1.0
    assert found.deadline_ms == 120.0
    assert found.latency_ms.p50 is None


def test_a_deadline_that_leaves_no_time_keeps_the_edges_answer() -> None:
    policy = replace(BOTH, deadline_ms=40.0)

    found = run(policy, 0.0)

    assert found.share == {"edge": 1.0, "cloud": 0.0}
    assert found.deadline_miss_rate == 0.0
    assert found.reasons["deadline_too_short"] == 1


def test_who_gave_up_waiting_is_not_served() -> None:
    tier = replace(CLOUD, servers=1, rtt_p50_ms=0.0, rtt_p95_ms=0.0)
    policy = replace(ALONE, tiers=(tier,), deadline_ms=150.0, retry=RetryRules(most=0))

    found = run(policy, 0.0, 0.0, 0.0)

    assert found.queue["cloud"].requests == 3
    assert found.share["cloud"] == pytest.approx(1 / 3)
    # The second is begun after 100 ms, and its caller leaves at 150 ms; the third never begins.
    assert found.queue["cloud"].mean_service_ms == pytest.approx(100.0)
    assert found.queue["cloud"].mean_wait_ms == pytest.approx(50.0)


def test_drift_makes_sure_answers_wrong_until_the_audit_finds_it() -> None:
    policy = replace(BOTH, audit=AuditRules(on_void=OnVoid.CLOUD_ONLY))
    drift = Drift(from_s=1.5, wrong_share=1.0, found_after_s=2.0)

    found = run(policy, 0.0, 1.0, 2.0, 3.0, 4.0, answers=SURE, drift=drift)

    assert found.share["edge"] == pytest.approx(4 / 5)
    assert found.quality.value == pytest.approx(3 / 5)
    assert found.reasons["certificate_void"] == 1


def test_an_outage_and_a_drift_beside_the_trace_are_said_to_change_nothing() -> None:
    outages = (
        Outage(tier="cloud", from_s=0.0, to_s=10.0),
        Outage(tier="cloud", from_s=12.0, to_s=100.0),
        Outage(tier="cloud", from_s=100.0, to_s=101.0),
    )

    found = simulate(
        Scenario(
            policy=BOTH, answers=SURE, outages=outages, drift=Drift(from_s=20.5, wrong_share=0.1)
        ),
        at(10.0, 20.0),
    )

    trace = "the trace is from 10 to 20 s on its own clock"
    assert found.warnings == (
        f"no request comes in the outage of cloud from 0 to 10 s: {trace}",
        f"no request comes in the outage of cloud from 100 to 101 s: {trace}",
        f"no request comes after the drift begins at 20.5 s: {trace}",
    )


def test_requests_a_minute_move_work_off_the_device() -> None:
    rule = DeviceRule(name="busy", requests_per_min_above=2.0)
    policy = replace(BOTH, device=(rule,))

    found = run(policy, 0.0, 1.0, 2.0, 3.0, answers=SURE)

    assert found.share["cloud"] == pytest.approx(2 / 4)
    assert found.reasons["device_state"] == 2


def test_a_full_line_refuses() -> None:
    tier = replace(CLOUD, servers=1, queue=QueueRules(most_waiting=1))
    policy = replace(ALONE, tiers=(tier,), retry=RetryRules(most=0))

    found = run(policy, 0.0, 0.0, 0.0)

    assert found.queue["cloud"].refused == 1
    assert found.share["none"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("queue", "more", "served"),
    [
        (QueueRules(most_waiting=1), {}, 2),
        (QueueRules(), {"outages": (Outage(tier="edge", from_s=0.0, to_s=1.0),)}, 0),
        (QueueRules(), {"failure_share": {"edge": 1.0}}, 0),
    ],
)
def test_a_call_that_no_server_worked_on_takes_no_energy(
    queue: QueueRules, more: dict[str, Any], served: int
) -> None:
    tier = replace(EDGE, threshold=None, servers=1, queue=queue)
    profile = replace(PROFILE, energy=Energy(joules_per_request=2.0, origin="measured"))

    found = run(
        replace(ALONE, tiers=(tier,), retry=RetryRules(most=0)),
        *(0.0, 0.0, 0.0),
        profiles={"edge": profile},
        **more,
    )

    assert found.attempts["edge"] == 3
    assert found.energy is not None
    assert found.energy.joules == 2.0 * served


def test_a_full_line_stays_full_however_many_it_refuses() -> None:
    slow = ServiceFormula(base_ms=10_000.0)
    tier = replace(CLOUD, servers=1, service=slow, queue=QueueRules(most_waiting=1))
    policy = replace(ALONE, tiers=(tier,), retry=RetryRules(most=0))

    found = run(policy, *(n / 10 for n in range(6)))

    # One is served and one waits for it, whoever comes meanwhile.
    assert found.queue["cloud"].refused == 4
    assert found.share["cloud"] == pytest.approx(2 / 6)
    assert found.latency_ms.p99 == pytest.approx(19_950.0, rel=0.01)


def test_servers_that_refused_go_when_they_are_idle() -> None:
    rules = QueueRules(most_waiting=0, autoscaling=Autoscaling(most=2, look_s=1.0, delay_s=100.0))
    tier = replace(CLOUD, servers=1, queue=rules)
    policy = replace(ALONE, tiers=(tier,), retry=RetryRules(most=0))

    found = run(policy, 0.0, 0.01, 0.02)

    assert found.queue["cloud"].refused == 2


def test_who_gives_up_on_the_way_takes_nobodys_place() -> None:
    up = Network(at_s=np.array([0.0]), rtt_ms=None, up_bits=np.array([8.0]))
    rules = QueueRules(most_waiting=1)
    tier = replace(CLOUD, servers=1, service=ServiceFormula(base_ms=5_000.0), queue=rules)
    policy = replace(ALONE, tiers=(tier,), retry=RetryRules(most=0), deadline_ms=12_000.0)

    # A byte a second: 40 bytes of the first two are on their way when their callers give up.
    blocks = at(0.0, 0.0, 100.0, 100.0, 100.0)
    blocks[0].input_tokens[2:] = 0.0
    found = simulate(Scenario(policy=policy, answers=UNSURE, network=up), blocks)

    assert found.queue["cloud"].requests == 3
    assert found.queue["cloud"].refused == 1


def test_a_batch_begins_when_it_is_full_or_its_first_has_waited() -> None:
    rules = QueueRules(batching=Batching(most=2, wait_ms=40.0, added_share=0.5))
    tier = replace(CLOUD, servers=2, queue=rules, rtt_p50_ms=0.0, rtt_p95_ms=0.0)
    policy = replace(ALONE, tiers=(tier,))

    full = run(policy, 0.0, 0.02)
    alone = run(policy, 0.0)

    assert full.latency_ms.p50 == pytest.approx((170.0 + 150.0) / 2)
    assert full.queue["cloud"].mean_wait_ms == pytest.approx(10.0)
    assert alone.latency_ms.p50 == pytest.approx(140.0)


def test_servers_are_added_after_a_delay_and_go_when_they_are_idle() -> None:
    rules = QueueRules(
        autoscaling=Autoscaling(least=1, most=4, delay_s=2.0, look_s=1.0, target_utilization=0.5)
    )
    tier = replace(CLOUD, queue=rules, service=ServiceFormula(base_ms=1000.0))
    policy = replace(ALONE, tiers=(tier,))
    busy = [k * 0.5 for k in range(60)]

    scaled = run(policy, *busy, 200.0)
    fixed = run(
        replace(policy, tiers=(replace(tier, queue=QueueRules(), servers=1),)), *busy, 200.0
    )

    assert scaled.queue["cloud"].servers == 4
    assert scaled.queue["cloud"].mean_wait_ms < fixed.queue["cloud"].mean_wait_ms / 4
    assert scaled.queue["cloud"].utilization < 1.0


@pytest.mark.parametrize(("most", "unstable"), [(2, ("cloud",)), (20, ())])
def test_the_most_servers_that_may_come_are_too_few_or_not(
    most: int, unstable: tuple[str, ...]
) -> None:
    rules = QueueRules(autoscaling=Autoscaling(most=most, look_s=1.0, delay_s=0.0))
    tier = replace(CLOUD, service=ServiceFormula(base_ms=1000.0), queue=rules)

    found = run(replace(ALONE, tiers=(tier,)), *(n / 10 for n in range(400)))

    # Ten a second of a second each.
    assert found.unstable == unstable
    if unstable:
        assert found.queue["cloud"].utilization == pytest.approx(400 / (2 * 39.9))
    assert not any("as many servers as are needed" in words for words in found.assumed)


def test_a_device_has_its_own_servers_here_too() -> None:
    policy = replace(BOTH, deadline_ms=1000.0)
    block = replace(at(0.0, 0.0, 0.0)[0], devices=("a", "b", "a"))

    found = simulate(Scenario(policy=policy, answers=SURE), [block])

    assert found.queue["edge"].servers == 2
    assert found.queue["edge"].share_waiting == pytest.approx(1 / 3)


@pytest.mark.parametrize("deadline_ms", [None, 1000.0])
def test_the_formula_of_devices_with_own_servers_is_that_of_one_device(
    deadline_ms: float | None,
) -> None:
    edge = replace(EDGE, service=ServiceFormula(base_ms=100.0), servers=1)
    policy = Policy(task="t", labels=(), tiers=(edge,), deadline_ms=deadline_ms)
    block = replace(
        at(*(0.05 * n for n in range(101)))[0], devices=("a", "b", "c", "d") * 25 + ("a",)
    )

    queue = simulate(Scenario(policy=policy, answers=SURE), [block]).queue["edge"]

    # 101 requests in 5 s are 5.05 a second for each of four: M/M/1 at a load of 0.505.
    assert queue.servers == 4
    assert queue.formula_wait_ms == pytest.approx(100 * 0.505 / 0.495)


@pytest.mark.parametrize(
    ("queue", "deadline_ms"),
    [
        (None, None),
        (None, 60_000.0),
        (QueueRules(batching=Batching(most=1, wait_ms=0.0)), None),
        (QueueRules(autoscaling=Autoscaling(least=2, most=2)), None),
    ],
)
def test_a_device_that_is_brought_too_much_is_named_among_idle_ones(
    queue: QueueRules | None, deadline_ms: float | None
) -> None:
    edge = replace(EDGE, service=ServiceFormula(base_ms=1000.0), servers=2, queue=queue)
    policy = Policy(task="t", labels=(), tiers=(edge,), deadline_ms=deadline_ms)
    moments_s = [0.25 * n for n in range(42)]
    block = replace(at(*moments_s)[0], devices=(*["a"] * 40, "b", "c"))

    found = simulate(Scenario(policy=policy, answers=SURE), [block])
    calm = simulate(Scenario(policy=policy, answers=SURE), [replace(block, t_s=2.0 * block.t_s)])

    # 39 s of work come to one device of two servers in 10.25 s, the last request's left out.
    words = "edge: the busiest of its 3 devices is brought 1.90 times what its servers can do, so "
    assert [one for one in found.warnings if "busiest" in one] == [
        f"{words}waits grow there for as long as requests come"
    ]
    assert found.queue["edge"].stable
    assert not [one for one in calm.warnings if "busiest" in one]


@pytest.mark.parametrize(
    ("more", "where", "what"),
    [
        ({"rate": 0.0}, "Scenario.rate", "`rate` is not from 1e-09 to 1e+09: 0.0"),
        ({"rate": 1e308}, "Scenario.rate", "`rate` is not from 1e-09 to 1e+09: 1e+308"),
        (
            {"bytes_per_token": 1e308},
            "Scenario.bytes_per_token",
            "`bytes_per_token` is not from 1e-09 to 1e+09: 1e+308",
        ),
        ({"failure_share": {"sky": 0.1}}, "Scenario", "no tier `sky`"),
        ({"failure_share": {"edge": 2.0}}, "Scenario.failure_share.edge", "no share: 2.0"),
    ],
)
def test_a_scenario_checks_itself(more: dict[str, Any], where: str, what: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        Scenario(policy=BOTH, answers=SURE, **more)

    assert (caught.value.where, caught.value.what) == (where, what)
    assert caught.value.hint


def test_outages_and_drift_check_themselves() -> None:
    with pytest.raises(InvalidRecord) as caught:
        Outage(tier="cloud", from_s=2.0, to_s=1.0)
    assert (caught.value.where, caught.value.what) == ("Outage", "an outage from 2.0 to 1.0 s")
    assert caught.value.hint

    with pytest.raises(InvalidRecord) as drifted:
        Drift(from_s=0.0, wrong_share=1.5)
    assert drifted.value.where == "Drift"
    assert drifted.value.what == "a share of 1.5 from 0.0 s on"
    assert drifted.value.hint
