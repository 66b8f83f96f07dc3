"""The decision, path by path."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from edgewise.errors import PrivacyViolation, UsageError
from edgewise.records import (
    Action,
    Attempt,
    LatencyLimit,
    Outcome,
    Policy,
    PrivacyRules,
    Reason,
    RequestFacts,
    Step,
    TierKind,
    TierPolicy,
    TierState,
    digest,
)
from edgewise.route.candidates import expected_ms
from edgewise.route.decide import decide, location_of, resolve_location

EDGE = TierPolicy(
    name="edge",
    kind=TierKind.DEVICE,
    threshold=0.8,
    latency=(
        LatencyLimit(up_to_length=16, p50_ms=2.0, p95_ms=4.0),
        LatencyLimit(up_to_length=128, p50_ms=20.0, p95_ms=40.0),
    ),
)
SITE = TierPolicy(name="hall", kind=TierKind.SITE, threshold=0.9, rtt_p50_ms=10.0, rtt_p95_ms=20.0)
CLOUD = TierPolicy(name="cloud", kind=TierKind.CLOUD, rtt_p50_ms=60.0, rtt_p95_ms=180.0)
FACTS = RequestFacts(request_id="r", input_length=8, input_bytes=40)
OPEN = TierState(circuit_open=True)


def policy(*tiers: TierPolicy, **changes: Any) -> Policy:
    made = Policy(task="text-classification", labels=("no", "yes"), tiers=tiers or (EDGE, CLOUD))
    return replace(made, **changes)


def answered(tier: str, confidence: float | None) -> Attempt:
    return Attempt(tier=tier, outcome=Outcome.ANSWERED, latency_ms=5.0, confidence=confidence)


def failed(tier: str, outcome: Outcome = Outcome.FAILED) -> Attempt:
    return Attempt(tier=tier, outcome=outcome, latency_ms=5.0, error="RemoteError")


def outcome(step: Step) -> tuple[Action, str | None, tuple[Reason, ...]]:
    return step.action, step.tier, step.reasons


def test_the_nearest_tier_is_asked_first() -> None:
    step = decide(policy(), FACTS, {})

    assert outcome(step) == (Action.ASK, "edge", (Reason.NEAREST_FIRST,))
    assert step.allowed == ("edge", "cloud")
    assert step.timeout_ms is None


def test_a_confident_answer_stands() -> None:
    step = decide(policy(), FACTS, {}, [answered("edge", 0.8)])

    assert outcome(step) == (Action.ANSWER, "edge", (Reason.CONFIDENT,))


def test_a_doubtful_answer_is_deferred() -> None:
    step = decide(policy(), FACTS, {}, [answered("edge", 0.79)])

    assert outcome(step) == (Action.ASK, "cloud", (Reason.LOW_CONFIDENCE,))


def test_an_unknown_confidence_is_deferred() -> None:
    step = decide(policy(), FACTS, {}, [answered("edge", None)])

    assert outcome(step) == (Action.ASK, "cloud", (Reason.LOW_CONFIDENCE,))


def test_without_a_threshold_every_answer_is_deferred() -> None:
    uncertified = policy(replace(EDGE, threshold=None), CLOUD)

    step = decide(uncertified, FACTS, {}, [answered("edge", 1.0)])

    assert outcome(step) == (Action.ASK, "cloud", (Reason.UNCERTIFIED,))


def test_the_last_tiers_answer_stands() -> None:
    step = decide(policy(), FACTS, {}, [answered("edge", 0.1), answered("cloud", 0.2)])

    assert outcome(step) == (Action.ANSWER, "cloud", (Reason.LAST_TIER,))


def test_a_doubtful_answer_stands_where_the_cloud_is_out() -> None:
    step = decide(policy(), FACTS, {"cloud": OPEN}, [answered("edge", 0.1)])

    reasons = (Reason.LOW_CONFIDENCE, Reason.CIRCUIT_OPEN, Reason.DEFERRAL_IMPOSSIBLE)
    assert outcome(step) == (Action.ANSWER, "edge", reasons)


def test_a_doubtful_answer_stands_where_no_time_is_left() -> None:
    step = decide(policy(deadline_ms=100.0), FACTS, {}, [answered("edge", 0.1)], 100.0)

    reasons = (Reason.LOW_CONFIDENCE, Reason.DEADLINE_PASSED, Reason.DEFERRAL_IMPOSSIBLE)
    assert outcome(step) == (Action.ANSWER, "edge", reasons)


def test_the_cloud_is_not_asked_where_it_would_be_late() -> None:
    step = decide(policy(deadline_ms=100.0), FACTS, {}, [answered("edge", 0.1)], 50.0)

    reasons = (Reason.LOW_CONFIDENCE, Reason.DEADLINE_TOO_SHORT, Reason.DEFERRAL_IMPOSSIBLE)
    assert outcome(step) == (Action.ANSWER, "edge", reasons)


def test_deferral_goes_to_the_next_tier_that_can() -> None:
    three = policy(EDGE, SITE, CLOUD)

    to_site = decide(three, FACTS, {}, [answered("edge", 0.1)])
    past_site = decide(three, FACTS, {"hall": OPEN}, [answered("edge", 0.1)])

    assert to_site.tier == "hall"
    assert past_site.tier == "cloud"


def test_deferral_does_not_go_back_to_a_nearer_tier() -> None:
    slow = policy(replace(EDGE, latency_limit_ms=1.0), SITE, CLOUD)

    step = decide(slow, FACTS, {"cloud": OPEN}, [answered("hall", 0.1)])

    assert step.action is Action.ANSWER
    assert step.tier == "hall"


def test_a_private_request_stays_on_the_device() -> None:
    private = replace(FACTS, private=True, detected=("email",))

    first = decide(policy(EDGE, SITE, CLOUD), private, {})
    then = decide(policy(EDGE, SITE, CLOUD), private, {}, [answered("edge", 0.1)])

    assert first.allowed == ("edge",)
    assert first.reasons == (Reason.PRIVACY_FLAG, Reason.PRIVACY_DETECTED, Reason.NEAREST_FIRST)
    assert (then.action, then.tier) == (Action.ANSWER, "edge")
    assert Reason.DEFERRAL_IMPOSSIBLE in then.reasons


def test_a_private_request_without_a_device_is_given_up() -> None:
    step = decide(policy(SITE, CLOUD), replace(FACTS, private=True), {})

    reasons = (Reason.PRIVACY_FLAG, Reason.NO_TIER_LEFT)
    assert outcome(step) == (Action.GIVE_UP, None, reasons)
    assert step.allowed == ()


def test_residency_limits_the_tiers_whatever_the_case_of_the_region() -> None:
    rules = PrivacyRules(residency={"us": ("cloud",), "EU": ("edge", "hall")})
    three = policy(EDGE, SITE, CLOUD, privacy=rules)

    assert decide(three, replace(FACTS, region=" eu"), {}).allowed == ("edge", "hall")
    assert decide(three, replace(FACTS, region="ch"), {}).allowed == ("edge", "hall", "cloud")
    assert Reason.RESIDENCY in decide(three, replace(FACTS, region="us"), {}).reasons


def test_force_asks_that_tier_alone() -> None:
    forced = replace(FACTS, force_location="cloud")

    first = decide(policy(), forced, {})
    kept = decide(policy(), replace(FACTS, force_location="edge"), {}, [answered("edge", 0.1)])
    lost = decide(policy(), forced, {}, [failed("cloud")])
    out = decide(policy(), forced, {"cloud": OPEN})

    assert outcome(first) == (Action.ASK, "cloud", (Reason.FORCED,))
    assert outcome(kept) == (Action.ANSWER, "edge", (Reason.FORCED,))
    assert outcome(lost) == (Action.GIVE_UP, None, (Reason.TIER_FAILED, Reason.NO_TIER_LEFT))
    assert outcome(out) == (Action.GIVE_UP, None, (Reason.CIRCUIT_OPEN, Reason.NO_TIER_LEFT))


def test_force_out_of_the_privacy_set_is_refused() -> None:
    rules = PrivacyRules(residency={"eu": ("edge",)})
    forced = replace(FACTS, force_location="cloud", private=True, region="eu")

    with pytest.raises(PrivacyViolation) as caught:
        decide(policy(privacy=rules), forced, {})

    expected = "tier `cloud` may not see this request (privacy_flag, residency)"
    assert caught.value.what == expected
    assert caught.value.where == "force_location"
    assert caught.value.hint == "allowed: edge; leave force_location out"


def test_an_unknown_forced_tier_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        decide(policy(), replace(FACTS, force_location="moon"), {})

    assert caught.value.what == "no tier is called `moon`"
    assert caught.value.where == "force_location"
    assert "edge, cloud" in caught.value.hint


def test_edge_and_cloud_mean_the_nearest_and_the_farthest() -> None:
    named = policy(replace(EDGE, name="phone"), SITE, replace(CLOUD, name="frankfurt"))

    assert resolve_location(named, "edge") == "phone"
    assert resolve_location(named, "cloud") == "frankfurt"
    assert resolve_location(named, "hall") == "hall"
    assert resolve_location(policy(replace(EDGE, name="phone")), "edge") == "phone"
    assert resolve_location(policy(replace(CLOUD, name="far")), "cloud") == "far"


@pytest.mark.parametrize(("tier", "location"), [(CLOUD, "edge"), (EDGE, "cloud")])
def test_a_lone_tier_does_not_pass_for_the_other_end(tier: TierPolicy, location: str) -> None:
    with pytest.raises(UsageError):
        resolve_location(policy(tier), location)


def test_a_tier_that_is_too_slow_is_not_the_first_choice() -> None:
    limited = policy(replace(EDGE, latency_limit_ms=10.0), CLOUD)

    short = decide(limited, FACTS, {})
    long = decide(limited, replace(FACTS, input_length=17), {})

    assert short.tier == "edge"
    assert outcome(long) == (Action.ASK, "cloud", (Reason.EDGE_TOO_SLOW,))


def test_a_slow_tier_is_asked_where_no_farther_one_can_answer() -> None:
    limited = policy(replace(EDGE, latency_limit_ms=1.0), CLOUD)

    step = decide(limited, FACTS, {"cloud": OPEN})

    reasons = (Reason.CIRCUIT_OPEN, Reason.EDGE_TOO_SLOW, Reason.NEAREST_FIRST)
    assert outcome(step) == (Action.ASK, "edge", reasons)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (TierState(ready=False), Reason.NOT_LOADED),
        (TierState(circuit_open=True), Reason.CIRCUIT_OPEN),
    ],
)
def test_a_tier_that_is_out_is_passed_over(state: TierState, reason: Reason) -> None:
    step = decide(policy(), FACTS, {"edge": state})

    assert outcome(step) == (Action.ASK, "cloud", (reason, Reason.NEAREST_FIRST))


def test_an_input_too_large_for_the_edge_goes_to_the_cloud() -> None:
    step = decide(policy(replace(EDGE, max_input_bytes=39), CLOUD), FACTS, {})

    assert outcome(step) == (Action.ASK, "cloud", (Reason.TOO_LARGE, Reason.NEAREST_FIRST))


def test_nothing_usable_is_given_up_with_each_cause() -> None:
    step = decide(policy(), FACTS, {"edge": TierState(ready=False), "cloud": OPEN})

    reasons = (Reason.NOT_LOADED, Reason.CIRCUIT_OPEN, Reason.NO_TIER_LEFT)
    assert outcome(step) == (Action.GIVE_UP, None, reasons)


def test_a_tier_expected_to_be_late_is_passed_over() -> None:
    long = replace(FACTS, input_length=100, deadline_ms=15.0)

    step = decide(policy(EDGE, SITE, CLOUD), long, {})

    assert (step.tier, step.timeout_ms) == ("hall", 15.0)
    assert step.reasons == (
        Reason.DEADLINE_TOO_SHORT,
        Reason.DEADLINE_TOO_SHORT,
        Reason.NEAREST_FIRST,
    )


def test_the_nearest_is_asked_where_none_is_expected_in_time() -> None:
    step = decide(policy(), replace(FACTS, deadline_ms=1.0), {}, (), 0.5)

    assert (step.action, step.tier, step.timeout_ms) == (Action.ASK, "edge", 0.5)
    assert step.reasons[-1] is Reason.NEAREST_FIRST


def test_a_deadline_that_has_passed_is_given_up() -> None:
    step = decide(policy(), replace(FACTS, deadline_ms=1.0), {}, (), 1.0)

    assert step.action is Action.GIVE_UP
    assert step.reasons[-2:] == (Reason.DEADLINE_PASSED, Reason.NO_TIER_LEFT)


def test_a_requests_own_deadline_goes_before_the_policys() -> None:
    step = decide(policy(deadline_ms=50.0), replace(FACTS, deadline_ms=500.0), {})

    assert step.timeout_ms == 500.0


def test_a_failed_edge_falls_back_to_the_cloud() -> None:
    step = decide(policy(), FACTS, {}, [failed("edge")])

    assert outcome(step) == (Action.ASK, "cloud", (Reason.TIER_FAILED, Reason.FALLBACK))


def test_a_failed_cloud_falls_back_to_the_edge() -> None:
    limited = policy(replace(EDGE, latency_limit_ms=1.0), CLOUD)

    step = decide(limited, FACTS, {}, [failed("cloud")])
    then = decide(limited, FACTS, {}, [failed("cloud"), answered("edge", 0.1)])

    assert outcome(step) == (Action.ASK, "edge", (Reason.TIER_FAILED, Reason.FALLBACK))
    assert (then.action, then.tier) == (Action.ANSWER, "edge")


def test_of_nearer_tiers_the_farthest_is_the_first_to_fall_back_on() -> None:
    three = policy(replace(EDGE, latency_limit_ms=1.0), SITE, CLOUD)

    step = decide(three, FACTS, {}, [failed("cloud")])

    assert step.tier == "hall"


def test_a_kept_answer_stands_where_deferral_failed() -> None:
    step = decide(policy(), FACTS, {}, [answered("edge", 0.1), failed("cloud")])

    assert outcome(step) == (Action.ANSWER, "edge", (Reason.TIER_FAILED, Reason.FALLBACK))


def test_a_kept_answer_stands_where_the_deadline_passed() -> None:
    tried = [answered("edge", 0.1), failed("cloud", Outcome.TIMED_OUT)]

    step = decide(policy(deadline_ms=100.0), FACTS, {}, tried, 100.0)

    reasons = (Reason.TIER_FAILED, Reason.DEADLINE_PASSED, Reason.FALLBACK)
    assert outcome(step) == (Action.ANSWER, "edge", reasons)


def test_a_failure_at_the_deadline_is_given_up() -> None:
    tried = [failed("edge", Outcome.TIMED_OUT)]

    step = decide(policy(deadline_ms=100.0), FACTS, {}, tried, 100.0)

    reasons = (Reason.TIER_FAILED, Reason.DEADLINE_PASSED, Reason.NO_TIER_LEFT)
    assert outcome(step) == (Action.GIVE_UP, None, reasons)


def test_a_late_tier_is_the_last_resort_after_a_failure() -> None:
    step = decide(policy(), replace(FACTS, deadline_ms=30.0), {}, [failed("edge")], 5.0)

    reasons = (Reason.TIER_FAILED, Reason.DEADLINE_TOO_SHORT, Reason.FALLBACK)
    assert outcome(step) == (Action.ASK, "cloud", reasons)
    assert step.timeout_ms == 25.0


def test_a_hanging_cloud_leaves_the_edge_time_to_answer() -> None:
    limited = policy(replace(EDGE, latency_limit_ms=1.0), CLOUD)

    roomy = decide(limited, replace(FACTS, deadline_ms=500.0), {})
    tight = decide(limited, replace(FACTS, deadline_ms=100.0), {})

    assert (roomy.tier, roomy.timeout_ms) == ("cloud", 496.0)
    assert (tight.tier, tight.timeout_ms) == ("cloud", 100.0)


def test_a_deferral_may_use_all_the_time_since_an_answer_is_kept() -> None:
    step = decide(policy(deadline_ms=500.0), FACTS, {}, [answered("edge", 0.1)], 5.0)

    assert step.timeout_ms == 495.0


def test_a_tiers_state_goes_before_the_policys_round_trip() -> None:
    seen = TierState(rtt_p50_ms=7.0, rtt_p95_ms=9.0)

    assert expected_ms(CLOUD, None, 8) == (60.0, 180.0)
    assert expected_ms(CLOUD, seen, 8) == (7.0, 9.0)
    assert expected_ms(EDGE, seen, 1000) == (27.0, 49.0)


def test_an_attempt_of_another_policy_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        decide(policy(), FACTS, {}, [answered("moon", 0.5)])

    assert caught.value.what == "an attempt names the unknown tier `moon`"
    assert caught.value.where == "attempts"
    assert caught.value.hint == "use the same policy"


@pytest.mark.parametrize(
    ("attempts", "tier", "reasons", "location"),
    [
        ([answered("edge", 0.9)], "edge", (), "edge"),
        ([answered("cloud", 0.9)], "cloud", (), "cloud"),
        ([answered("edge", 0.1), answered("cloud", 0.9)], "cloud", (), "cloud_fallback"),
        ([failed("edge"), answered("cloud", 0.9)], "cloud", (), "cloud_fallback"),
        ([answered("edge", 0.1), failed("cloud")], "edge", (), "edge_fallback"),
        ([failed("cloud"), answered("edge", 0.9)], "edge", (), "edge_fallback"),
        ([answered("edge", 0.1)], "edge", (Reason.CIRCUIT_OPEN,), "edge_fallback"),
        ([answered("edge", 0.1)], "edge", (Reason.DEFERRAL_IMPOSSIBLE,), "edge"),
        ([answered("cloud", 0.1)], "cloud", (Reason.NOT_LOADED,), "cloud_fallback"),
    ],
)
def test_the_location_tells_how_an_answer_came_about(
    attempts: Sequence[Attempt], tier: str, reasons: Sequence[Reason], location: str
) -> None:
    assert location_of(policy(), attempts, tier, reasons) == location


def test_with_three_tiers_the_location_is_the_tiers_name() -> None:
    tried = [answered("edge", 0.1), answered("hall", 1.0)]

    assert location_of(policy(EDGE, SITE, CLOUD), tried, "hall") == "hall"


def test_of_two_equal_tiers_neither_passes_for_the_edge_or_the_cloud() -> None:
    phones = [replace(EDGE, name=name, group="phones") for name in ("mine", "yours")]
    failed = Attempt(tier="mine", outcome=Outcome.FAILED, latency_ms=1.0)

    assert location_of(policy(*phones), [failed, answered("yours", 0.9)], "yours") == "yours"
    assert location_of(policy(*phones), [answered("mine", 0.9)], "mine") == "mine"


def test_a_lone_tiers_location_is_its_end() -> None:
    assert location_of(policy(replace(EDGE, name="phone")), [], "phone") == "edge"
    assert location_of(policy(replace(CLOUD, name="far")), [], "far") == "cloud"


def test_of_two_spellings_of_a_region_the_first_holds() -> None:
    rules = PrivacyRules(residency={"EU": ("edge",), " eu": ("edge", "cloud")})

    assert decide(policy(privacy=rules), replace(FACTS, region="eu "), {}).allowed == ("edge",)


def test_what_a_policy_comes_to_is_no_part_of_it() -> None:
    asked, fresh = policy(), policy()
    changed = replace(asked, tiers=(CLOUD,))

    assert asked.lineup is asked.lineup
    assert asked == fresh
    assert digest(asked) == digest(fresh)
    assert copy.deepcopy(asked).lineup.names == ("edge", "cloud")
    assert changed.lineup.names == ("cloud",)
