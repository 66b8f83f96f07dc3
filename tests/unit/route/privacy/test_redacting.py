"""Placeholders: what is hidden, that it comes back, and what may not be mixed up."""

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import InvalidData
from edgewise.route.privacy import KINDS, Restorer, detect_in, redact, restore
from edgewise.testing.privacy import MAKERS

made = st.builds(
    lambda kind, seed: MAKERS[kind][1](np.random.default_rng(seed)),
    st.sampled_from(sorted(MAKERS)),
    st.integers(0, 2**32 - 1),
)
odd = st.sampled_from(
    [
        "<EMAIL_1>",
        "<PHONE_1>",
        "<EMAIL_",
        "1>",
        "<",
        ">",
        "@",
        "ａｎａ＠example.org",
        "\u200b",
        "+٤٩ ٣٠ ٩٠١٨٢٠",
    ]
)
texts = st.lists(made | odd | st.text(max_size=8), max_size=5).flatmap(
    lambda parts: st.sampled_from(["", " ", ", "]).map(lambda between: between.join(parts))
)
inputs = st.recursive(
    texts | st.integers() | st.integers(10**9, 10**16) | st.none() | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts, inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=6,
)


def in_text(value: Any, kinds: Sequence[str]) -> Any:
    """Give an input with the numbers that are hidden written as text, as they come back."""
    if isinstance(value, int) and detect_in(value, kinds):
        return str(abs(value))
    if isinstance(value, dict):
        return {key: in_text(item, kinds) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(in_text(item, kinds) for item in value)
    return value


@given(inputs)
@settings(deadline=None, max_examples=300)
def test_what_was_hidden_comes_back(value: Any) -> None:
    redacted = redact(value, KINDS)

    assert restore(redacted.input, redacted.mapping) == in_text(value, KINDS)


@given(inputs)
@settings(deadline=None, max_examples=300)
def test_nothing_that_can_be_found_is_left(value: Any) -> None:
    redacted = redact(value, KINDS)

    assert detect_in(redacted.input, KINDS) == ()
    assert redact(redacted.input, KINDS).input is redacted.input


@given(inputs, st.sampled_from(KINDS))
@settings(deadline=None, max_examples=200)
def test_one_kind_alone_is_hidden_whole(value: Any, kind: str) -> None:
    redacted = redact(value, [kind])

    assert detect_in(redacted.input, [kind]) == ()
    assert (redacted.mapping == {}) == (detect_in(value, [kind]) == ())
    assert restore(redacted.input, redacted.mapping) == in_text(value, [kind])


@given(texts, st.lists(st.integers(1, 12), min_size=1))
@settings(deadline=None)
def test_a_stream_is_restored_wherever_it_is_cut(text: str, sizes: list[int]) -> None:
    redacted = redact(text, KINDS)
    stream: str = redacted.input
    pieces: list[str] = []
    while stream:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(stream[:size])
        stream = stream[size:]
    restorer = Restorer(redacted.mapping)

    assert "".join([*map(restorer.feed, pieces), restorer.close()]) == text


def test_a_value_has_one_placeholder_wherever_it_stands() -> None:
    value = {"text": "ana@example.org or bob@example.org", "ana@example.org": ["ana@example.org"]}

    redacted = redact(value, ["email"])

    assert redacted.input == {"text": "<EMAIL_1> or <EMAIL_2>", "<EMAIL_1>": ["<EMAIL_1>"]}
    assert redacted.mapping == {"<EMAIL_1>": "ana@example.org", "<EMAIL_2>": "bob@example.org"}
    assert "ana" not in repr(redacted)


def test_a_placeholder_that_is_there_already_is_not_used() -> None:
    redacted = redact({"a": "ana@example.org", "b": "<EMAIL_1> and <EMAIL_2>"}, ["email"])

    assert redacted.input == {"a": "<EMAIL_3>", "b": "<EMAIL_1> and <EMAIL_2>"}
    assert restore("<EMAIL_1> <EMAIL_3>", redacted.mapping) == "<EMAIL_1> ana@example.org"


def test_a_text_that_lays_bare_more_each_time_is_hidden_whole() -> None:
    # A number that another stands right before is found only when that one is gone.
    chain = "GB82WEST12345698765432" * 12

    redacted = redact([chain, chain[:66]], ["iban"])

    assert redacted.input == ["<TEXT_1>", "<IBAN_1><IBAN_1><IBAN_1>"]
    assert redacted.mapping["<TEXT_1>"] == chain
    assert restore(redacted.input, redacted.mapping) == [chain, chain[:66]]


def test_containers_keep_their_type_and_what_is_clean_stays_itself() -> None:
    pair = namedtuple("pair", "first second")
    clean = {"a": [1, ("x", b"ana@example.org")], "b": {"y"}}

    assert redact(clean, KINDS).input is clean
    assert restore(clean, {}) is clean
    hidden = redact([pair("a@b.de", 1), {"a@b.de"}, frozenset(["a@b.de"])], ["email"]).input
    assert hidden == [pair("<EMAIL_1>", 1), {"<EMAIL_1>"}, frozenset(["<EMAIL_1>"])]
    assert type(hidden[0]) is pair


def test_a_number_becomes_a_placeholder_in_text_and_other_numbers_stay() -> None:
    schema = {"maximum": 2147483647, "const": 4111111111111111, "enum": [1, 4111111111111111.0]}

    found = redact({"tools": [schema], "seed": 2025552671}, KINDS)

    hidden = {"maximum": 2147483647, "const": "<CARD_1>", "enum": [1, "<CARD_1>"]}
    assert found.input == {"tools": [hidden], "seed": 2025552671}
    assert found.mapping == {"<CARD_1>": "4111111111111111"}
    assert restore({"paid": True, "with": "<CARD_1>"}, found.mapping) == {
        "paid": True,
        "with": "4111111111111111",
    }


def test_a_seed_within_a_message_is_a_number_like_others() -> None:
    found = redact({"messages": [{"role": "user", "seed": 2025552671}], "seed": 7}, KINDS)

    assert found.input == {"messages": [{"role": "user", "seed": "<PHONE_1>"}], "seed": 7}


def test_a_loop_is_refused() -> None:
    loop: list[object] = ["ana@example.org"]
    loop.append(loop)

    with pytest.raises(InvalidData) as caught:
        redact(loop, ["email"])

    assert caught.value.what == "the input is nested more than 200 deep"
    assert caught.value.where == "input"
    assert caught.value.hint == "nest it less; loops can't be redacted"


def test_an_answer_is_restored_however_deep_it_lies() -> None:
    answer = {"choices": [{"message": "write to <EMAIL_1>", "<EMAIL_1>": ("<EMAIL_9>", 1.5)}]}

    assert restore(answer, {"<EMAIL_1>": "a@b.de"}) == {
        "choices": [{"message": "write to a@b.de", "a@b.de": ("<EMAIL_9>", 1.5)}]
    }


def test_a_stream_waits_no_longer_than_it_must() -> None:
    restorer = Restorer({"<EMAIL_1>": "a@b.de"})

    assert restorer.feed("1 < 2, <b>bold</b> <EM") == "1 < 2, <b>bold</b> "
    assert restorer.feed("PHASIS_") == ""
    assert restorer.feed("> <EMAIL_1") == "<EMPHASIS_> "
    assert restorer.close() == "<EMAIL_1"
    assert Restorer({}).feed("<EMAIL_") == "<EMAIL_"
