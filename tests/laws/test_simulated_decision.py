"""The decision that a simulation remembers is the decision that live traffic gets."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import PrivacyViolation
from edgewise.records import (
    Attempt,
    Outcome,
    Policy,
    RequestFacts,
    Step,
    SystemState,
    TierKind,
    TierPolicy,
    TierState,
)
from edgewise.route.decide import decide
from edgewise.simulate.deciding import Decider
from edgewise.testing.route import attempts_at, facts, policies, states, systems

Question = tuple[RequestFacts, dict[str, TierState], list[Attempt], float, SystemState]


@st.composite
def plain_policies(draw: st.DrawFn) -> Policy:
    """Policies of which much is remembered: no deadline, no hedge, no groups."""
    policy = draw(policies())
    tiers = [replace(tier, group="") for tier in policy.tiers]
    limit = st.none() | st.floats(0.0, 1000.0)
    tiers = [replace(tier, latency_limit_ms=draw(limit)) for tier in tiers]
    return replace(policy, deadline_ms=None, hedge=None, tiers=tuple(tiers))


@st.composite
def questions(draw: st.DrawFn, policy: Policy) -> Question:
    one = draw(facts(policy, forced=draw(st.booleans())))
    if draw(st.integers(0, 3)):
        one = replace(one, deadline_ms=None, gain=None)
    names = st.sampled_from([tier.name for tier in policy.tiers])
    attempts = [draw(attempts_at(draw(names))) for _ in range(draw(st.integers(0, 2)))]
    return one, draw(states(policy)), attempts, draw(st.floats(0.0, 500.0)), draw(systems())


@st.composite
def alike(draw: st.DrawFn, policy: Policy, question: Question) -> Question:
    """A question that differs in numbers alone, often on the same side of each comparison."""
    one, now, attempts, _, system = question
    edges = [limit.up_to_length for tier in policy.tiers for limit in tier.latency]
    lengths = st.integers(0, 600) | st.sampled_from([*edges, *(edge + 1 for edge in edges), 0])
    one = replace(one, request_id="other", input_length=draw(lengths))
    thresholds = [tier.threshold for tier in policy.tiers if tier.threshold is not None]
    sure = st.floats(0.0, 1.0) | st.sampled_from([*thresholds, 0.5])
    attempts = [
        replace(a, latency_ms=draw(st.floats(0.0, 300.0)), confidence=draw(sure))
        if a.outcome is Outcome.ANSWERED
        else a
        for a in attempts
    ]
    more = st.floats(0.0, 1000.0)
    now = {
        name: replace(
            state,
            rtt_p50_ms=draw(more),
            rtt_p95_ms=draw(more),
            in_flight=draw(st.integers(0, 9)),
            loss_share=draw(st.floats(0.0, 1.0)),
            ms_per_byte=draw(st.sampled_from([0.0, 0.01])),
        )
        for name, state in now.items()
    }
    return one, now, attempts, draw(st.floats(0.0, 500.0)), system


def answer(policy: Policy, decider: Decider | None, question: Question) -> Step | str:
    try:
        return decide(policy, *question) if decider is None else decider.step(*question)
    except PrivacyViolation as refused:
        return str(refused)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_remembered_step_is_the_one_that_decide_gives(data: st.DataObject) -> None:
    policy = data.draw(policies() | plain_policies())
    first = data.draw(st.lists(questions(policy), min_size=1, max_size=3))
    asked = [one for q in first for one in (q, data.draw(alike(policy, q)), q)]
    decider = Decider(policy)

    for question in asked:
        assert answer(policy, decider, question) == answer(policy, None, question)


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_what_moves_no_comparison_is_asked_once(data: st.DataObject) -> None:
    kinds = st.sampled_from(TierKind)
    tiers = (
        TierPolicy(name="edge", kind=data.draw(kinds), threshold=0.5),
        TierPolicy(name="cloud", kind=data.draw(kinds)),
    )
    decider = Decider(Policy(task="t", labels=(), tiers=tiers))

    steps = {
        id(
            decider.step(
                RequestFacts(request_id=str(i), input_length=i, input_bytes=i),
                {"edge": TierState(rtt_p50_ms=float(i))},
                [
                    Attempt(
                        tier="edge", outcome=Outcome.ANSWERED, latency_ms=i, confidence=0.5 + i / 20
                    )
                ],
                float(i),
            )
        )
        for i in range(9)
    }

    assert len(steps) == 1
