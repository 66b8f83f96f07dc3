"""No private payload reaches a tier that may not see it, and the count would see one that did."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from edgewise.records import (
    Action,
    Attempt,
    Policy,
    Reason,
    RequestFacts,
    Step,
    SystemState,
    TierState,
)
from edgewise.route import decide
from edgewise.testing.leaks import Decide, count_leaks


def test_no_path_through_the_decision_leaks() -> None:
    played = count_leaks(np.random.default_rng(11), 20_000)

    assert played.leaks == 0, played.first_leak
    assert played.requests == 20_000
    assert played.private > 5_000
    assert played.asked > 5_000
    assert 1_000 < played.refused < 10_000
    assert len(played.paths) > 1_000
    seen = {word for path in played.paths for word in path}
    assert {reason.value for reason in Reason} <= seen


def forgets_the_flag(
    policy: Policy,
    facts: RequestFacts,
    states: Mapping[str, TierState],
    attempts: Sequence[Attempt],
    elapsed_ms: float,
    system: SystemState,
) -> Step:
    return decide(policy, replace(facts, private=False), states, attempts, elapsed_ms, system)


def forgets_what_was_found_after_a_failure(
    policy: Policy,
    facts: RequestFacts,
    states: Mapping[str, TierState],
    attempts: Sequence[Attempt],
    elapsed_ms: float,
    system: SystemState,
) -> Step:
    facts = replace(facts, detected=()) if attempts else facts
    return decide(policy, facts, states, attempts, elapsed_ms, system)


def forgets_where_it_lives(
    policy: Policy,
    facts: RequestFacts,
    states: Mapping[str, TierState],
    attempts: Sequence[Attempt],
    elapsed_ms: float,
    system: SystemState,
) -> Step:
    return decide(policy, replace(facts, region=None), states, attempts, elapsed_ms, system)


def asks_the_farthest_when_all_else_failed(
    policy: Policy,
    facts: RequestFacts,
    states: Mapping[str, TierState],
    attempts: Sequence[Attempt],
    elapsed_ms: float,
    system: SystemState,
) -> Step:
    step = decide(policy, facts, states, attempts, elapsed_ms, system)
    last = policy.tiers[-1].name
    if step.action is not Action.GIVE_UP or last in [one.tier for one in attempts]:
        return step
    return replace(step, action=Action.ASK, tier=last)


@pytest.mark.parametrize(
    "broken",
    [
        forgets_the_flag,
        forgets_what_was_found_after_a_failure,
        forgets_where_it_lives,
        asks_the_farthest_when_all_else_failed,
    ],
)
def test_a_decision_that_leaks_is_caught(broken: Decide) -> None:
    played = count_leaks(np.random.default_rng(12), 5_000, decide=broken)

    assert played.leaks > 0
    assert played.first_leak
