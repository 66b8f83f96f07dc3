"""Steps that follow each other: which recipe does both, and what is said of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.optimize.composing import NUMBERS, combine
from edgewise.optimize.recipe import TOOLS, in_order


def test_the_first_step_is_its_word_and_nothing_is_said() -> None:
    assert combine((), "int8-static") == (("int8-static",), ())


def test_pruning_after_quantizing_is_done_before_it_and_said() -> None:
    words, notes = combine(("int8-static",), "prune-ffn:0.4")

    assert words == ("prune-ffn:0.4", "int8-static")
    (note,) = notes
    assert note.startswith("`prune-ffn:0.4` can't be done after `int8-static`")


def test_quantizing_after_pruning_keeps_the_order_and_says_nothing() -> None:
    assert combine(("prune-ffn:0.4",), "int8-static") == (("prune-ffn:0.4", "int8-static"), ())


def test_other_numbers_take_the_place_of_the_first_and_it_is_said() -> None:
    words, notes = combine(("prune-ffn:0.4", "int8-static"), "int4-weights")

    assert words == ("prune-ffn:0.4", "int4-weights")
    assert "takes the place of `int8-static`" in notes[0]


def test_pruning_twice_takes_the_second_share_of_what_the_first_left() -> None:
    words, notes = combine(("prune-ffn:0.4",), "prune-ffn:0.25")

    assert words == ("prune-ffn:0.55",)  # 1 - 0.6 * 0.75
    assert "0.25 of what `prune-ffn:0.4` left" in notes[0]


def test_zeroing_weights_twice_leaves_the_larger_share() -> None:
    # The smallest half holds the smallest fifth already.
    assert combine(("prune-unstructured:0.5",), "prune-unstructured:0.2")[0] == (
        "prune-unstructured:0.5",
    )


def test_the_same_step_again_changes_nothing() -> None:
    assert combine(("int8-static",), "int8-static") == (("int8-static",), ())


@given(st.lists(st.sampled_from([f"{t.name}:{t.default}".rstrip(":") for t in TOOLS[1:]])))
def test_a_recipe_is_always_in_order_with_one_kind_of_numbers_and_each_pass_once(
    steps: list[str],
) -> None:
    words: tuple[str, ...] = ()
    for one in steps:
        words, _ = combine(words, one)

    names = [word.partition(":")[0] for word in words]
    assert words == in_order(words)
    assert len(set(names)) == len(names)
    assert sum(name in NUMBERS for name in names) <= 1
    asked = {one.partition(":")[0] for one in steps}
    assert {name for name in asked if name not in NUMBERS} <= set(names)


@pytest.mark.parametrize("word", NUMBERS)
def test_each_kind_of_numbers_is_a_word(word: str) -> None:
    assert word in {tool.name for tool in TOOLS}
