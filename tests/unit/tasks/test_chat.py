"""What is asked of a text model, in one form."""

import json
from typing import Any

import pytest

from edgewise.errors import InvalidData
from edgewise.tasks.chat import most_input_tokens, prompt_of, read_chat, token_f1

USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize("key", ["prompt", "text"])
def test_a_text_becomes_one_message_of_the_user(key: str) -> None:
    assert read_chat({key: "hi", "privacy_flag": True}, 5) == {
        "messages": [USER],
        "max_tokens": 5,
        "privacy_flag": True,
    }


def test_the_most_tokens_have_one_name() -> None:
    assert read_chat({"prompt": "hi", "max_completion_tokens": 9}, 5) == {
        "messages": [USER],
        "max_tokens": 9,
    }


def test_texts_side_by_side_are_joined_so_that_no_data_hides_between_them() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://…"}}
    parts = [{"type": "text", "text": "ana@"}, {"type": "text", "text": "example.org"}]

    joined = read_chat({"messages": [{"role": "user", "content": parts}]}, 5)
    mixed = read_chat({"messages": [{"role": "user", "content": [image, *parts]}]}, 5)

    assert joined["messages"][0]["content"] == "ana@example.org"
    assert mixed["messages"][0]["content"] == [image, {"type": "text", "text": "ana@example.org"}]
    assert prompt_of(mixed) == "ana@example.org"


def test_arguments_of_tool_calls_are_written_without_escapes() -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": '{"to": "ana\\u0040example.org"}'}}
    broken = {"id": "2", "function": {"name": "f", "arguments": "{"}}
    bare = {"id": "3"}
    said = {"role": "assistant", "content": None, "tool_calls": [call, broken, bare]}

    calls = read_chat({"messages": [said]}, 5)["messages"][0]["tool_calls"]

    assert calls[0]["function"]["arguments"] == '{"to": "ana@example.org"}'
    assert calls[1:] == [broken, bare]


def test_arguments_that_are_an_object_are_written_as_the_text_that_detectors_read() -> None:
    call = {"id": "1", "function": {"name": "pay", "arguments": {"card": 4111111111111111}}}
    said = {"role": "assistant", "tool_calls": [call]}

    read = read_chat({"messages": [said]}, 5)["messages"][0]["tool_calls"]

    assert read[0]["function"]["arguments"] == '{"card": 4111111111111111}'
    odd = {"id": "1", "function": {"name": "pay", "arguments": {1, 2}}}
    with pytest.raises(InvalidData, match="message 0 can't be written as JSON"):
        read_chat({"messages": [{"role": "assistant", "tool_calls": [odd]}]}, 5)


def test_answers_of_tools_are_written_without_escapes_and_else_as_they_are() -> None:
    said = r'{"to": "ana\u0040example.org", "n": 1.10, "q": "\"\ud800", "\u0061": [] }'
    answer = {"role": "tool", "tool_call_id": "1", "content": said}

    content = read_chat({"messages": [answer]}, 5)["messages"][0]["content"]

    assert content == r'{"to": "ana@example.org", "n": 1.10, "q": "\"\ud800", "a": [] }'


def test_no_part_of_a_tools_answer_and_no_call_of_a_function_keeps_its_escapes() -> None:
    parts = [{"type": "text", "text": '{"to": "ana'}, {"type": "text", "text": '\\u0040a.org"}'}]
    image = {"type": "image_url", "image_url": {"url": "x"}}
    whole = {"role": "tool", "tool_call_id": "1", "content": parts}
    mixed = {"role": "tool", "tool_call_id": "1", "content": [*parts, image]}
    called = {"name": "f", "arguments": '{"to": "ana\\u0040a.org"}'}
    old = {"role": "assistant", "content": "", "function_call": called}

    read = read_chat({"messages": [whole, mixed, old]}, 5)["messages"]

    plain = '{"to": "ana@a.org"}'
    assert read[0]["content"] == plain
    assert read[1]["content"] == [{"type": "text", "text": plain}, image]
    assert read[2]["function_call"] == {"name": "f", "arguments": plain}


def test_the_prompt_is_what_the_user_said_last() -> None:
    chat = [USER, {"role": "user", "content": "last"}, {"role": "assistant", "content": "so"}]

    assert prompt_of(read_chat({"messages": chat}, 5)) == "last"
    assert prompt_of(read_chat({"messages": [chat[-1]]}, 5)) == "so"
    silent = {"role": "assistant", "tool_calls": [{}]}
    assert prompt_of(read_chat({"messages": [silent]}, 5)) == ""


def test_tokens_are_never_more_than_bytes_and_what_a_template_adds() -> None:
    chat = read_chat({"prompt": "grüße", "tools": [{"name": "f"}]}, 5)

    told = json.dumps({"messages": chat["messages"], "tools": chat["tools"]}, ensure_ascii=False)

    assert most_input_tokens(chat) == len(told.encode()) + 32


def test_the_form_of_an_answer_counts_as_tokens_that_are_read() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "long " * 400}}
    chat = read_chat({"prompt": "hi"}, 5)

    more = most_input_tokens({**chat, "response_format": form}) - most_input_tokens(chat)

    assert more > 2000


WRONG: list[tuple[Any, str]] = [
    ([], "the input is a list"),
    ({}, "no `messages`"),
    ({"prompt": "a", "text": "b"}, "`prompt` and `text` at once"),
    ({"prompt": 3}, "message 0: its content is a int"),
    ({"messages": []}, "`messages` is no list of messages"),
    ({"messages": "hi"}, "`messages` is no list of messages"),
    ({"messages": ["hi"]}, "message 0 has no role that is known"),
    ({"messages": [USER, {"role": "king", "content": ""}]}, "message 1 has no role that is known"),
    ({"messages": [{"role": "user"}]}, "message 0 has no content"),
    ({"messages": [{"role": "user", "content": ["hi"]}]}, "a part of its content has no type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "has no text"),
    ({"messages": [{"role": "assistant", "tool_calls": [3]}]}, "its tool calls are no list"),
    ({"messages": [{**USER, "name": object()}]}, "message 0 can't be written as JSON"),
    ({"prompt": "\ud800"}, "message 0 can't be written as JSON"),
]


@pytest.mark.parametrize(("one", "what"), WRONG)
def test_what_is_no_chat_is_refused(one: Any, what: str) -> None:
    with pytest.raises(InvalidData) as caught:
        read_chat(one, 5)

    assert what in caught.value.what
    assert caught.value.where == "input"
    assert caught.value.hint.startswith('give {"messages"')


@pytest.mark.parametrize("limit", [0, -1, True, 2.5, "many", 10**9])
def test_a_limit_that_is_no_number_of_tokens_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidData) as caught:
        read_chat({"prompt": "hi", "max_tokens": limit}, 5)

    assert caught.value.what == "`max_tokens` is no number of tokens"
    assert caught.value.hint == "give 1 to 1000000, or leave it out"


@pytest.mark.parametrize(
    ("answer", "reference", "shared"),
    [
        ("Paris", "paris.", 1.0),
        ("it is Paris", "Paris", 0.5),
        ("London", "Paris", 0.0),
        ("", "!", 1.0),
        ("", "Paris", 0.0),
    ],
)
def test_quality_is_the_share_of_words_in_common(
    answer: str, reference: str, shared: float
) -> None:
    assert token_f1(answer, reference) == pytest.approx(shared)


def test_a_part_that_is_no_text_may_cost_more_tokens_than_its_bytes() -> None:
    def most(*parts: dict[str, Any], **more: Any) -> int:
        message = {"role": "user", "content": [{"type": "text", "text": "see"}, *parts], **more}
        return most_input_tokens(read_chat({"messages": [message]}, 5))

    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    file = {"type": "file", "file": {"file_id": "f"}}

    assert most() < 1_000
    assert most({"type": "refusal", "refusal": "no"}) < 1_000
    assert 50_000 < most(image) < 51_000
    assert 100_000 < most(image, file) < 101_000
    assert 50_000 < most(audio={"id": "a"}) < 51_000
