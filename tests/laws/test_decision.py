"""Laws of the decision, on random policies, requests, states and outcomes."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import PrivacyViolation
from edgewise.records import (
    Action,
    Attempt,
    Outcome,
    Policy,
    Reason,
    RequestFacts,
    Step,
    TierKind,
    TierState,
)
from edgewise.route import allowed_tiers, decide
from edgewise.testing.route import attempts_at, facts, policies, states, systems


@dataclass
class Played:
    policy: Policy
    facts: RequestFacts
    steps: list[Step]
    attempts: list[Attempt]


@st.composite
def played(draw: st.DrawFn) -> Played:
    """One request from its first step to its last; the world changes between steps."""
    policy = draw(policies())
    one = draw(facts(policy))
    found = Played(policy, one, [], [])
    elapsed_ms = draw(st.floats(0.0, 10.0))
    for _ in range(len(policy.tiers) * (1 + policy.retry.most) + 1):
        now = draw(states(policy))
        step = decide(policy, one, now, found.attempts, elapsed_ms, draw(systems()))
        found.steps.append(step)
        if step.action is not Action.ASK:
            return found
        assert step.tier is not None
        attempt = draw(attempts_at(step.tier))
        elapsed_ms += attempt.latency_ms
        found.attempts.append(attempt)
    raise AssertionError("the request did not end")


@given(played())
@settings(deadline=None)
def test_no_path_leaves_the_privacy_set(run: Played) -> None:
    allowed = allowed_tiers(run.policy, run.facts)
    kinds = {tier.name: tier.kind for tier in run.policy.tiers}
    home = {name.casefold(): tiers for name, tiers in run.policy.privacy.residency.items()}

    for step in run.steps:
        assert step.allowed == allowed
        assert step.tier is None or step.tier in allowed
        assert step.hedge is None or step.hedge.tier in allowed
        if run.facts.private or run.facts.detected:
            assert step.tier is None or kinds[step.tier] is TierKind.DEVICE
        if run.facts.region is not None and run.facts.region.casefold() in home:
            assert step.tier is None or step.tier in home[run.facts.region.casefold()]


@given(played())
@settings(deadline=None)
def test_every_request_ends_and_no_tier_is_asked_again_but_as_a_retry(run: Played) -> None:
    asked = [step.tier for step in run.steps if step.action is Action.ASK]
    again = [step for step in run.steps if Reason.RETRY in step.reasons]

    assert run.steps[-1].action is not Action.ASK
    assert len(asked) - len(again) == len(set(asked)) <= len(run.policy.tiers)
    for tier in set(asked):
        assert asked.count(tier) <= 1 + run.policy.retry.most
    assert not again or run.facts.idempotent


@given(played())
@settings(deadline=None)
def test_a_request_is_stored_only_where_it_may_wait_for_a_remote_tier(run: Played) -> None:
    last = run.steps[-1]
    kinds = {tier.name: tier.kind for tier in run.policy.tiers}

    if last.action is Action.QUEUE:
        assert run.facts.allow_late
        assert any(kinds[name] is not TierKind.DEVICE for name in last.allowed)
        assert not run.facts.private
        assert not run.facts.detected


@given(played())
@settings(deadline=None)
def test_a_hedge_starts_within_the_time_of_the_first(run: Played) -> None:
    for step in run.steps:
        if step.hedge is not None:
            assert step.action is Action.ASK
            assert step.hedge.tier != step.tier
            assert run.facts.idempotent
            assert step.timeout_ms is None or step.hedge.after_ms < step.timeout_ms


@given(played())
@settings(deadline=None)
def test_every_step_has_a_reason_and_an_answer_was_given(run: Played) -> None:
    answered = {one.tier for one in run.attempts if one.outcome is Outcome.ANSWERED}
    last = run.steps[-1]

    assert all(step.reasons for step in run.steps)
    assert (last.action is Action.ANSWER) == (last.tier in answered)
    assert last.action in (Action.ANSWER, Action.QUEUE) or not answered
    assert last.action is not Action.ANSWER or answered


@given(played())
@settings(deadline=None)
def test_a_timeout_never_exceeds_what_is_left(run: Played) -> None:
    deadline_ms = run.facts.deadline_ms
    deadline_ms = run.policy.deadline_ms if deadline_ms is None else deadline_ms

    for step in run.steps:
        if step.action is Action.ASK:
            assert (step.timeout_ms is None) == (deadline_ms is None)
            assert step.timeout_ms is None or 0.0 < step.timeout_ms <= (deadline_ms or 0.0)


@given(st.data())
@settings(deadline=None)
def test_force_stays_within_the_set_or_is_refused(data: st.DataObject) -> None:
    policy = data.draw(policies())
    one = data.draw(facts(policy, forced=True).filter(lambda f: f.force_location is not None))
    now = data.draw(states(policy))

    if one.force_location not in allowed_tiers(policy, one):
        with pytest.raises(PrivacyViolation):
            decide(policy, one, now)
        return
    step = decide(policy, one, now)

    assert step.tier in (None, one.force_location)


@given(st.data())
@settings(deadline=None)
def test_the_same_question_has_the_same_answer(data: st.DataObject) -> None:
    policy = data.draw(policies())
    one, now = data.draw(facts(policy)), data.draw(states(policy))
    tried = data.draw(st.none() | attempts_at(policy.tiers[0].name))
    attempts = [] if tried is None else [tried]

    assert decide(policy, one, now, attempts, 1.0) == decide(policy, one, now, attempts, 1.0)


@given(st.data())
@settings(deadline=None)
def test_more_confidence_never_turns_a_kept_answer_into_a_deferral(data: st.DataObject) -> None:
    policy = data.draw(policies())
    one, now = data.draw(facts(policy)), data.draw(states(policy))
    tier = data.draw(st.sampled_from([tier.name for tier in policy.tiers]))
    low, high = sorted(data.draw(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0))))
    attempt = Attempt(tier=tier, outcome=Outcome.ANSWERED, latency_ms=1.0, confidence=low)

    before = decide(policy, one, now, [attempt], 1.0)
    after = decide(policy, one, now, [replace(attempt, confidence=high)], 1.0)

    if before.action is Action.ANSWER:
        assert after.action is Action.ANSWER
        assert after.tier == before.tier


@given(st.data())
@settings(deadline=None)
def test_a_private_request_is_never_sent_farther_than_a_public_one_may_go(
    data: st.DataObject,
) -> None:
    policy = data.draw(policies())
    one = data.draw(facts(policy))

    public = allowed_tiers(policy, replace(one, private=False, detected=(), region=None))
    private = allowed_tiers(policy, replace(one, private=True))

    assert set(private) <= set(allowed_tiers(policy, one)) <= set(public)


@given(st.data())
@settings(deadline=None)
def test_state_does_not_change_the_privacy_set(data: st.DataObject) -> None:
    policy = data.draw(policies())
    one = data.draw(facts(policy))
    first: dict[str, TierState] = data.draw(states(policy))
    second: dict[str, TierState] = data.draw(states(policy))

    assert decide(policy, one, first).allowed == decide(policy, one, second).allowed
