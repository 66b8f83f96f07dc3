"""The decision where tiers are equal, fail in passing, are late, or must not be asked first."""

from dataclasses import replace
from typing import Any

import pytest

from edgewise.errors import InvalidRecord
from edgewise.records import (
    Action,
    Attempt,
    AuditRules,
    DeviceRule,
    DeviceState,
    Hedge,
    HedgeRules,
    OnVoid,
    Outcome,
    Policy,
    PreRouteRules,
    Reason,
    RequestFacts,
    RetryRules,
    Step,
    SystemState,
    TierKind,
    TierPolicy,
    TierState,
)
from edgewise.route.candidates import expected_ms
from edgewise.route.decide import decide

EDGE = TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8, rtt_p50_ms=2.0, rtt_p95_ms=4.0)
CLOUD = TierPolicy(
    name="cloud",
    kind=TierKind.CLOUD,
    rtt_p50_ms=60.0,
    rtt_p95_ms=180.0,
    usd_per_request=0.002,
)
WEST = replace(CLOUD, name="west", group="clouds")
EAST = replace(CLOUD, name="east", group="clouds")
FACTS = RequestFacts(request_id="r", input_length=8, input_bytes=40)
LATE = replace(FACTS, allow_late=True)
QUEUE = SystemState(queue_open=True)


def policy(*tiers: TierPolicy, **changes: Any) -> Policy:
    made = Policy(task="text-classification", labels=("no", "yes"), tiers=tiers or (EDGE, CLOUD))
    return replace(made, **changes)


def answered(tier: str, confidence: float | None) -> Attempt:
    return Attempt(tier=tier, outcome=Outcome.ANSWERED, latency_ms=5.0, confidence=confidence)


def failed(tier: str, *, passing: bool = False) -> Attempt:
    return Attempt(
        tier=tier, outcome=Outcome.FAILED, latency_ms=5.0, error="RemoteError", passing=passing
    )


def told(step: Step) -> tuple[Action, str | None, tuple[Reason, ...]]:
    return step.action, step.tier, step.reasons


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (TierState(rest_ms=10.0), Reason.TOLD_TO_WAIT),
        (TierState(busy=True), Reason.BUSY),
        (TierState(budget_left=False), Reason.BUDGET_SPENT),
    ],
)
def test_a_doubtful_answer_stands_where_the_cloud_may_not_be_asked(
    state: TierState, why: Reason
) -> None:
    step = decide(policy(), FACTS, {"cloud": state}, [answered("edge", 0.1)])

    reasons = (Reason.LOW_CONFIDENCE, why, Reason.DEFERRAL_IMPOSSIBLE)
    assert told(step) == (Action.ANSWER, "edge", reasons)


def test_what_the_link_carries_slowly_is_expected_later() -> None:
    state = TierState(rtt_p50_ms=60.0, rtt_p95_ms=180.0, ms_per_byte=0.01)

    assert expected_ms(CLOUD, state, 8, 10_000) == (160.0, 280.0)


def test_equal_tiers_share_load() -> None:
    two = policy(EDGE, WEST, EAST)
    doubt = [answered("edge", 0.1)]
    busy = {"west": TierState(in_flight=3, rtt_p50_ms=60.0), "east": TierState(rtt_p50_ms=60.0)}
    lossy = {"west": TierState(loss_share=0.5, rtt_p50_ms=60.0), "east": TierState(rtt_p50_ms=90.0)}

    assert decide(two, FACTS, {}, doubt).tier == "west"
    assert decide(two, FACTS, busy, doubt).tier == "east"
    assert decide(two, FACTS, lossy, doubt).tier == "east"


def test_an_equal_tier_stands_in_for_one_that_failed() -> None:
    two = policy(EDGE, WEST, EAST)

    step = decide(two, FACTS, {}, [answered("edge", 0.1), failed("west", passing=True)])
    last = decide(two, FACTS, {}, [answered("edge", 0.1), failed("west"), answered("east", 0.3)])

    assert told(step) == (Action.ASK, "east", (Reason.TIER_FAILED, Reason.STAND_IN))
    assert told(last) == (Action.ANSWER, "east", (Reason.LAST_TIER,))


def test_equal_devices_are_the_nearest_tier_together() -> None:
    two = policy(replace(EDGE, name="a", group="here"), replace(EDGE, name="b", group="here"))

    step = decide(two, FACTS, {"a": TierState(circuit_open=True)})

    assert told(step) == (Action.ASK, "b", (Reason.NEAREST_FIRST,))


def test_one_reason_of_two_equal_tiers_is_told_once() -> None:
    two = tuple(replace(EDGE, name=name, group="here") for name in ("a", "b"))
    rule = DeviceRule(name="low", battery_below=0.2)

    step = decide(
        policy(*two, CLOUD, device=(rule,)),
        FACTS,
        {},
        system=SystemState(device=DeviceState(battery_share=0.1)),
    )

    assert told(step) == (Action.ASK, "cloud", (Reason.DEVICE_STATE,))


def test_the_tiers_of_a_group_follow_each_other() -> None:
    with pytest.raises(InvalidRecord, match="do not follow each other"):
        policy(WEST, EDGE, EAST)


def test_a_failure_in_passing_is_tried_once_more() -> None:
    tries = [answered("edge", 0.1), failed("cloud", passing=True)]

    again = decide(policy(), FACTS, {}, tries)
    then = decide(policy(), FACTS, {}, [*tries, tries[-1]])

    assert told(again) == (Action.ASK, "cloud", (Reason.TIER_FAILED, Reason.RETRY))
    assert (again.pause_ms, again.jitter_ms) == (0.0, 50.0)
    assert told(then) == (Action.ANSWER, "edge", (Reason.TIER_FAILED, Reason.FALLBACK))


@pytest.mark.parametrize(
    ("changes", "state", "more"),
    [
        ({}, TierState(retries_left=False), {}),
        ({}, TierState(circuit_open=True), {}),
        ({}, TierState(rest_ms=51.0), {}),
        ({}, TierState(), {"idempotent": False}),
        ({"retry": RetryRules(most=0)}, TierState(), {}),
        ({}, TierState(rtt_p50_ms=60.0), {"deadline_ms": 100.0}),
        ({}, TierState(rtt_p50_ms=60.0, rest_ms=40.0), {"deadline_ms": 140.0}),
    ],
)
def test_a_failure_is_not_retried_where_it_costs_too_much(
    changes: dict[str, Any], state: TierState, more: dict[str, Any]
) -> None:
    tries = [answered("edge", 0.1), failed("cloud", passing=True)]

    step = decide(policy(**changes), replace(FACTS, **more), {"cloud": state}, tries)

    assert step.action is Action.ANSWER


def test_a_tier_outside_the_privacy_set_is_not_asked_again() -> None:
    step = decide(policy(), replace(FACTS, private=True), {}, [failed("cloud", passing=True)])

    assert told(step)[:2] == (Action.ASK, "edge")


def test_a_retry_waits_as_long_as_the_tier_asked_where_the_deadline_allows() -> None:
    tries = [failed("cloud", passing=True)]
    states = {"cloud": TierState(rest_ms=500.0, rtt_p50_ms=60.0)}

    step = decide(policy(CLOUD), replace(FACTS, deadline_ms=1000.0), states, tries)

    assert step.reasons == (Reason.TIER_FAILED, Reason.RETRY)
    assert (step.pause_ms, step.jitter_ms) == (500.0, 50.0)


def test_a_tier_that_is_late_is_raced_by_the_next() -> None:
    racing = policy(hedge=HedgeRules())

    step = decide(racing, FACTS, {})

    assert step.hedge == Hedge(tier="cloud", after_ms=4.0)


def test_an_equal_tier_is_raced_before_a_nearer_one() -> None:
    racing = policy(replace(EDGE, latency_limit_ms=1.0), WEST, EAST, hedge=HedgeRules())

    step = decide(racing, FACTS, {})

    assert step.tier == "west"
    assert step.hedge == Hedge(tier="east", after_ms=180.0)


@pytest.mark.parametrize(
    ("facts", "system"),
    [
        (replace(FACTS, idempotent=False), SystemState()),
        (replace(FACTS, force_location="edge"), SystemState()),
        (replace(FACTS, private=True), SystemState()),
        (replace(FACTS, deadline_ms=3.0), SystemState()),
        (replace(FACTS, deadline_ms=50.0), SystemState()),
        (FACTS, SystemState(hedges_left=False)),
    ],
)
def test_nothing_is_raced_where_it_may_not_or_can_not_help(
    facts: RequestFacts, system: SystemState
) -> None:
    assert decide(policy(hedge=HedgeRules()), facts, {}, system=system).hedge is None


def test_a_gain_that_is_worth_it_goes_to_the_cloud_at_once() -> None:
    rules = PreRouteRules(min_gain=0.3)

    sent = decide(policy(preroute=rules), replace(FACTS, gain=0.3), {})
    kept = decide(policy(preroute=rules), replace(FACTS, gain=0.29), {})

    assert told(sent) == (Action.ASK, "cloud", (Reason.PRE_ROUTED,))
    assert told(kept) == (Action.ASK, "edge", (Reason.NEAREST_FIRST,))


def test_a_gain_is_weighed_against_money_and_time() -> None:
    facts = replace(FACTS, gain=0.3)
    dear = PreRouteRules(min_gain=0.1, usd_per_quality=0.009)
    slow = PreRouteRules(min_gain=0.1, late_ms_per_quality=280.0)
    fair = PreRouteRules(min_gain=0.1, usd_per_quality=0.021, late_ms_per_quality=600.0)

    assert decide(policy(preroute=dear), facts, {}).tier == "edge"
    assert decide(policy(preroute=slow), facts, {}).tier == "edge"
    assert decide(policy(preroute=fair), facts, {}).tier == "cloud"


def test_a_gain_sends_nothing_to_a_cloud_that_is_out() -> None:
    rules = PreRouteRules(min_gain=0.3)

    step = decide(
        policy(preroute=rules), replace(FACTS, gain=0.9), {"cloud": TierState(circuit_open=True)}
    )
    none = decide(policy(), replace(FACTS, gain=0.9), {})

    assert step.tier == "edge"
    assert none.tier == "edge"


def test_a_rule_over_the_device_makes_it_the_second_choice() -> None:
    rule = DeviceRule(name="low", on_battery=True, battery_below=0.2, requests_per_min_above=10)
    low = DeviceState(on_battery=True, battery_share=0.1, requests_per_min=20.0)
    ruled = policy(device=(rule,))

    away = decide(ruled, FACTS, {}, system=SystemState(device=low))
    calm = decide(ruled, FACTS, {}, system=SystemState(device=replace(low, requests_per_min=5)))
    alone = decide(
        ruled, replace(FACTS, private=True), {}, system=SystemState(device=low, queue_open=True)
    )

    assert told(away) == (Action.ASK, "cloud", (Reason.DEVICE_STATE,))
    assert told(calm) == (Action.ASK, "edge", (Reason.NEAREST_FIRST,))
    assert alone.tier == "edge"
    assert Reason.DEVICE_STATE in alone.reasons


@pytest.mark.parametrize(
    ("on_void", "threshold", "confidence", "expected"),
    [
        (OnVoid.WARN, None, 0.85, "edge"),
        (OnVoid.DEFER_MORE, 0.9, 0.85, "cloud"),
        (OnVoid.DEFER_MORE, 0.9, 0.95, "edge"),
        (OnVoid.DEFER_MORE, 0.5, 0.7, "cloud"),
        (OnVoid.DEFER_MORE, None, 1.0, "cloud"),
        (OnVoid.CLOUD_ONLY, 0.9, 1.0, "cloud"),
    ],
)
def test_a_void_certificate_keeps_what_the_policy_says(
    on_void: OnVoid, threshold: float | None, confidence: float, expected: str
) -> None:
    void = SystemState(certificate_void=True, threshold=threshold)

    step = decide(
        policy(audit=AuditRules(on_void=on_void)),
        FACTS,
        {},
        [answered("edge", confidence)],
        system=void,
    )

    assert step.tier == expected
    assert Reason.CERTIFICATE_VOID in step.reasons


def test_cloud_only_does_not_ask_the_edge_while_the_cloud_is_there() -> None:
    void = SystemState(certificate_void=True)
    only = policy(audit=AuditRules(on_void=OnVoid.CLOUD_ONLY))

    step = decide(only, FACTS, {}, system=void)
    alone = decide(only, FACTS, {"cloud": TierState(circuit_open=True)}, system=void)

    assert told(step) == (Action.ASK, "cloud", (Reason.CERTIFICATE_VOID,))
    assert alone.tier == "edge"


def test_a_farther_tiers_threshold_is_not_the_certificates() -> None:
    site = replace(CLOUD, name="hall", kind=TierKind.SITE, threshold=0.5)
    void = SystemState(certificate_void=True)

    step = decide(policy(EDGE, site, CLOUD), FACTS, {}, [answered("hall", 0.6)], system=void)

    assert told(step) == (Action.ANSWER, "hall", (Reason.CONFIDENT,))


def test_a_request_that_may_wait_is_stored_where_no_tier_is_left() -> None:
    out = {"edge": TierState(ready=False), "cloud": TierState(circuit_open=True)}

    step = decide(policy(), LATE, out, system=QUEUE)

    reasons = (Reason.NOT_LOADED, Reason.CIRCUIT_OPEN, Reason.QUEUED)
    assert told(step) == (Action.QUEUE, None, reasons)


def test_a_doubtful_answer_waits_for_a_better_one_where_the_caller_can() -> None:
    out = {"cloud": TierState(circuit_open=True)}
    doubt = [answered("edge", 0.1)]

    deferred = decide(policy(), LATE, out, doubt, system=QUEUE)
    broken = decide(policy(), LATE, {}, [*doubt, failed("cloud")], system=QUEUE)

    assert deferred.action is Action.QUEUE
    assert Reason.DEFERRAL_IMPOSSIBLE in deferred.reasons
    assert told(broken) == (Action.QUEUE, None, (Reason.TIER_FAILED, Reason.QUEUED))


def test_a_request_that_may_wait_keeps_time_to_be_stored() -> None:
    short, long = replace(LATE, deadline_ms=30.0), replace(LATE, deadline_ms=500.0)

    hurried = decide(policy(), short, {}, system=QUEUE)
    patient = decide(policy(), long, {}, [answered("edge", 0.1)], system=QUEUE)
    never = decide(policy(), replace(long, allow_late=False), {}, system=QUEUE)

    assert (hurried.timeout_ms, patient.timeout_ms) == (15.0, 480.0)
    assert never.timeout_ms == 500.0


@pytest.mark.parametrize(
    ("facts", "system"),
    [
        (LATE, SystemState()),
        (FACTS, QUEUE),
        (replace(LATE, private=True), QUEUE),
        (replace(LATE, idempotent=False), QUEUE),
        (replace(LATE, input_bytes=2_000_000), QUEUE),
    ],
)
def test_nothing_is_stored_that_may_not_or_can_not_leave(
    facts: RequestFacts, system: SystemState
) -> None:
    out = {"edge": TierState(ready=False), "cloud": TierState(circuit_open=True)}

    assert decide(policy(), facts, out, system=system).action is Action.GIVE_UP
