"""What is passed on to a text model beside its text."""

import math
from typing import Any

import pytest

from edgewise.errors import InvalidData
from edgewise.runtimes.chat_wire import ChatWire
from edgewise.tasks.chat import read_chat

PASSED = {
    "parallel_tool_calls": False,
    "reasoning_effort": "minimal",
    "verbosity": "low",
    "logit_bias": {"50256": -100, 1: 0.5},
    "top_k": 40,
    "min_p": 0.05,
    "repetition_penalty": 1.1,
    "repeat_penalty": 1.1,
}


def test_options_that_hold_no_text_reach_the_model() -> None:
    body = ChatWire().encode([{"prompt": "hi", **PASSED}], "m", ())

    assert {name: body[name] for name in PASSED} == PASSED


def test_what_may_hold_a_text_or_says_who_asks_stays_here() -> None:
    kept = {"user": "ana", "metadata": {"a": "b"}, "safety_identifier": "x", "suffix": "text"}
    absent = dict.fromkeys(PASSED)

    body = ChatWire().encode([{"prompt": "hi", **kept, **absent}], "m", ())

    assert not {*kept, *absent} & set(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parallel_tool_calls", "no"),
        ("reasoning_effort", "ana@example.org"),
        ("reasoning_effort", ["low"]),
        ("verbosity", 3),
        ("logit_bias", [1]),
        ("logit_bias", {"secret": 1}),
        ("logit_bias", {"4111111111111111": 1}),
        ("logit_bias", {-1: 1}),
        ("logit_bias", {1.5: 1}),
        ("logit_bias", {"١": 1}),
        ("logit_bias", {"1": 1000}),
        ("logit_bias", {str(token): 1 for token in range(2000)}),
        ("top_k", 4111111111111111),
        ("top_k", True),
        ("top_k", 4.0),
        ("min_p", math.nan),
        pytest.param("min_p", 10**400, id="more than a float holds"),
        ("min_p", True),
        ("min_p", "0.5"),
        ("repeat_penalty", -1),
    ],
)
def test_an_option_that_is_something_else_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidData) as caught:
        read_chat({"prompt": "hi", name: value}, 5)

    assert caught.value.what == f"`{name}` can't be passed on"
    assert caught.value.where == "input"
    assert caught.value.hint.startswith("give ")
    assert caught.value.hint.endswith(", or leave it out")
