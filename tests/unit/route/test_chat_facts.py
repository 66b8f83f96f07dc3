"""What the decision knows of a chat: its size, its tokens and its gain, never its text."""

from dataclasses import replace

import pytest

from edgewise.errors import InvalidData
from edgewise.records import (
    Policy,
    PreRouteRules,
    Price,
    PrivacyRules,
    Reason,
    TierKind,
    TierPolicy,
)
from edgewise.route import decide
from edgewise.route.facts import Asked, as_asked, facts_of, size_bytes

PRICE = Price(usd_per_million_tokens_in=1000.0, usd_per_million_tokens_out=2000.0)
POLICY = Policy(
    task="text-generation",
    labels=(),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.5),
        TierPolicy(name="cloud", kind=TierKind.CLOUD, token_price=PRICE),
    ),
    privacy=PrivacyRules(detect=("email",)),
    preroute=PreRouteRules(min_gain=0.3, usd_per_quality=1.0),
    max_output_tokens=100,
)
CHAT = {
    "messages": [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "grüße"},
        {"role": "user", "content": "prove it"},
    ]
}


def no_length(_: object) -> None:
    return None


def test_a_chat_has_its_bytes_and_the_most_tokens_that_it_can_have() -> None:
    one = as_asked(POLICY, CHAT)

    facts = facts_of(POLICY, one, no_length, Asked())

    # keys, roles and contents: 3 x (4 + 7) + (4 + 9 + 4) + 5 + 7 + 8
    assert facts.input_bytes == 33 + 17 + 20
    assert facts.input_tokens > facts.input_bytes
    assert facts.output_tokens == 100
    short = facts_of(POLICY, as_asked(POLICY, {**CHAT, "max_tokens": 7}), no_length, Asked())
    assert short.output_tokens == 7


def test_the_form_of_an_answer_is_of_the_inputs_size() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x" * 100}}

    facts = facts_of(
        POLICY, as_asked(POLICY, {**CHAT, "response_format": form}), no_length, Asked()
    )

    # its keys and texts: 4 + 11 + 11 + 4 + 100
    assert facts.input_bytes == 70 + 130


def test_the_gain_is_of_what_the_user_said_last_and_not_asked_of_private_chats() -> None:
    read: list[str] = []

    def gain(text: str) -> float:
        read.append(text)
        return 0.6

    private = {"messages": [{"role": "system", "content": "ana@example.org"}, *CHAT["messages"]]}

    open_facts = facts_of(POLICY, as_asked(POLICY, CHAT), no_length, Asked(), gain)
    near_facts = facts_of(POLICY, as_asked(POLICY, private), no_length, Asked(), gain)

    assert read == ["prove it"]
    assert (open_facts.gain, near_facts.gain) == (0.6, None)
    assert near_facts.detected == ("email",)


def test_a_chat_is_pre_routed_where_its_gain_is_worth_its_tokens() -> None:
    facts = facts_of(POLICY, as_asked(POLICY, CHAT), no_length, Asked(), lambda _: 0.6)
    # a quarter of the bytes as tokens at 0.001 USD and 100 at 0.002: about 0.26 of the gain
    usd = facts.input_tokens // 4 * 0.001 + 0.2

    cheap = decide(POLICY, facts, {})
    dear = decide(POLICY, replace(facts, output_tokens=200), {})

    assert 0.3 - 1e-9 < 0.6 - usd < 0.4
    assert (cheap.tier, Reason.PRE_ROUTED in cheap.reasons) == ("cloud", True)
    assert (dear.tier, Reason.PRE_ROUTED in dear.reasons) == ("edge", False)


def test_other_tasks_take_their_inputs_as_they_are() -> None:
    policy = replace(POLICY, task="text-classification")
    one = {"text": "hi"}

    assert as_asked(policy, one) is one
    facts = facts_of(policy, one, no_length, Asked())
    assert (facts.input_tokens, facts.output_tokens) == (0, 0)
    with pytest.raises(InvalidData, match="no `messages`"):
        as_asked(POLICY, {})


def test_lists_of_numbers_are_no_messages() -> None:
    assert size_bytes([[1, 2], [3]]) == 0
    assert size_bytes([{"a": ["bc", {"d": "é"}]}]) == 6
