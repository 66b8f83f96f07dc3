"""The space of the search: choices and plans, which are the same thing in two forms."""

import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.optimize.explore import Budget, Space, choice_of, minutes_to_train, plan_of, violation
from edgewise.records import Candidate, Fidelity

SPACE = Space(
    layers=4,
    shares=("prune-ffn", "prune-heads"),
    trims=True,
    numbers=("float32", "fuse", "fuse,smooth,int8-dynamic"),
    trains=True,
)
CHOICES = st.fixed_dictionaries(
    {
        "layers": st.integers(1, 4),
        "prune-ffn": st.sampled_from((0.0, 0.25, 0.5)),
        "prune-heads": st.sampled_from((0.0, 0.25, 0.5)),
        "trim-vocabulary": st.booleans(),
        "recover": st.booleans(),
        "numbers": st.sampled_from(SPACE.numbers),
    }
)


@given(CHOICES)
def test_a_choice_comes_back_from_its_plan(choice: dict[str, Any]) -> None:
    assert choice_of(SPACE, plan_of(choice)) == choice


@given(CHOICES, CHOICES)
def test_two_choices_have_two_plans(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (plan_of(one) == plan_of(other)) is (one == other)


def test_the_space_counts_its_choices() -> None:
    # 4 layers, 3 shares of neurons, 3 of heads, trimmed or not, trained or not, 3 forms of numbers.
    assert SPACE.size == 4 * 3 * 3 * 2 * 2 * 3
    assert replace(SPACE, trains=False, trims=False).size == 4 * 3 * 3 * 3


@pytest.mark.parametrize(
    "words",
    [("prune-ffn:0.3",), ("prune-layers:0.25",), ("fp16",), ("recover:9",), ("distill:2",)],
)
def test_a_plan_outside_of_the_space_is_no_choice(words: tuple[str, ...]) -> None:
    assert choice_of(SPACE, (4, words)) is None


def test_what_trains_is_outside_of_a_space_that_does_not() -> None:
    assert choice_of(SPACE, (4, ("recover",))) is not None
    assert choice_of(replace(SPACE, trains=False), (4, ("recover",))) is None


def test_a_training_takes_a_sixth_of_a_search_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))  # it need only be there
    assert minutes_to_train(10.0, 60.0 * 12) == 2.0
    assert minutes_to_train(1.5, 60.0 * 120) == 1.5
    assert minutes_to_train(10.0, 60.0 * 2) == 0.0  # 20 s are not worth beginning
    assert minutes_to_train(0.0, 60.0 * 120) == 0.0


def test_without_torch_no_search_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)

    assert minutes_to_train(10.0, 60.0 * 120) == 0.0


def test_a_budget_ends_where_one_more_candidate_would_be_late() -> None:
    now_s = [100.0]
    budget = Budget(lambda: now_s[0], 60.0)
    budget.spent_before(30.0)

    assert not budget.is_over()
    now_s[0] = 112.0  # 42 s of 60 s are spent, and one candidate took 12 s
    budget.note()
    assert not budget.is_over()
    now_s[0] = 124.0  # 54 s are spent, two took 12 s each: a third would end at 66 s
    budget.note()
    assert budget.is_over()


def test_the_nearer_to_shipping_the_smaller_the_violation() -> None:
    def one(metric: float | None, p95_ms: float | None, *, kept: bool) -> Candidate:
        fidelity = Fidelity(reference="source", n=9, metric=metric) if metric else None
        return Candidate(
            recipe=(), runtime="", size_bytes=0, kept=kept, p95_ms=p95_ms, fidelity=fidelity
        )

    ordered = [
        one(0.9, 5.0, kept=True),
        one(0.9, 500.0, kept=False),
        one(0.8, None, kept=False),
        one(0.3, None, kept=False),
        one(None, None, kept=False),
    ]

    found = [violation(candidate) for candidate in ordered]
    assert found == sorted(set(found))
    assert found[0] <= 0 < found[1]
