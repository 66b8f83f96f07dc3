"""Text generation: what is asked of a text model, in one form that is checked once.

What leaves here is what privacy looks at and what is sent: parts of a message's text are joined,
and what tools are given and answer is written without escapes, so that no data hides in a form.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from edgewise.errors import InvalidData
from edgewise.records import Input
from edgewise.tasks.chat_options import check_options

_ROLES = ("system", "developer", "user", "assistant", "tool")
_HINT = 'give {"messages": [{"role": "user", "content": "…"}]}, or {"prompt": "…"}'
_TEXT_PARTS = ("text", "refusal")
_OTHER_NAMES = ("prompt", "text", "max_completion_tokens")
_MOST_TOKENS = 1_000_000
_MESSAGE_TOKENS = 16
"""More than templates of known models add around a message."""
_PART_TOKENS = 50_000
"""More than an image costs at the endpoints whose prices are known: OpenAI's gpt-4o-mini takes
2,833 tokens and 5,667 for each of at most eight tiles (its guide to images, 2025)."""
_WORD = re.compile(r"\w+")
_strictly_written = json.JSONEncoder(ensure_ascii=False).encode
_written = json.JSONEncoder(ensure_ascii=False, default=str).encode
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def read_chat(one: Input, max_tokens: int) -> dict[str, Any]:
    """Give an input with its `messages` in plain form and `max_tokens` filled in.

    Parameters
    ----------
    one
        `messages` as OpenAI's chat completions take them, or `prompt` or `text`, which becomes one
        message of the user. `max_completion_tokens` becomes `max_tokens`. Other keys stay.
    max_tokens
        For an input that brings none.

    Raises
    ------
    InvalidData
        When there is nothing to answer, a message is none, or an option is not what it is called.

    Examples
    --------
    >>> read_chat({"prompt": "hi"}, 9)
    {'messages': [{'role': 'user', 'content': 'hi'}], 'max_tokens': 9}
    """
    if not isinstance(one, Mapping):
        raise _wrong(f"the input is a {type(one).__name__}")
    found = {key: value for key, value in one.items() if key not in _OTHER_NAMES}
    found["messages"] = [_message(item, at) for at, item in enumerate(_messages(one))]
    limit = one.get("max_completion_tokens" if says_completion_tokens(one) else "max_tokens")
    limit = max_tokens if limit is None else limit
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= _MOST_TOKENS:
        hint = f"give 1 to {_MOST_TOKENS}, or leave it out"
        raise InvalidData("`max_tokens` is no number of tokens", where="input", hint=hint)
    found["max_tokens"] = limit
    check_options(found)
    return found


def says_completion_tokens(one: Input) -> bool:
    """Say whether an input names its most tokens as OpenAI's newer models want it."""
    return one.get("max_tokens") is None and one.get("max_completion_tokens") is not None


def prompt_of(chat: Mapping[str, Any]) -> str:
    """Give the text that says how hard a request is: its last message of a user, else the last."""
    messages = chat["messages"]
    asked = [one for one in messages if one["role"] == "user"] or messages
    return text_of_content(asked[-1].get("content"))


def most_input_tokens(chat: Mapping[str, Any]) -> int:
    """Give a number of tokens that the input can't exceed: a token is a byte or more.

    A part that is no text, such as an image that the endpoint fetches, counts 50,000 more. Of a
    file or a sound that is longer than that no bound is known.
    """
    messages = chat["messages"]
    told = {"messages": messages, "tools": chat.get("tools")}
    form = chat.get("response_format")
    if form is not None:  # endpoints write it into the prompt
        told["response_format"] = form
    size = len(_written(told).encode("utf-8", "replace"))
    parts = sum(map(_parts_beside_text, messages))
    return size + _MESSAGE_TOKENS * (len(messages) + 1) + _PART_TOKENS * parts


def _parts_beside_text(message: Mapping[str, Any]) -> int:
    """Count the parts whose tokens their bytes do not bound."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    beside = sum(part["type"] not in _TEXT_PARTS for part in parts)
    return beside + (message.get("audio") is not None)  # said before, and known there by its id


def text_of_content(content: Any) -> str:
    """Give the text of a message's content, which may be parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def token_f1(answer: str, reference: str) -> float:
    """Give how much two texts share: the harmonic mean of precision and recall of their words.

    A quality from 0 to 1 for short answers (Rajpurkar et al. 2016); it knows no meaning.
    """
    said, right = (_WORD.findall(text.casefold()) for text in (answer, reference))
    if not said or not right:
        return float(said == right)
    shared = (Counter(said) & Counter(right)).total()
    return 2.0 * shared / (len(said) + len(right))


def _messages(one: Input) -> Sequence[Any]:
    given = [key for key in ("messages", "prompt", "text") if one.get(key) is not None]
    if len(given) != 1:
        what = f"{' and '.join(f'`{key}`' for key in given)} at once" if given else "no `messages`"
        raise _wrong(what)
    value = one[given[0]]
    if given[0] != "messages":
        return [{"role": "user", "content": value}]
    if not isinstance(value, list | tuple) or not value:
        raise _wrong("`messages` is no list of messages")
    return value


def _message(item: Any, at: int) -> dict[str, Any]:
    if not isinstance(item, Mapping) or item.get("role") not in _ROLES:
        raise _wrong(f"message {at} has no role that is known")
    found = dict(item)
    content, calls = item.get("content"), item.get("tool_calls")
    if content is not None:
        found["content"] = _content(content, item["role"], at)
    elif not (calls or isinstance(item.get("refusal"), str)):
        raise _wrong(f"message {at} has no content")
    if calls is not None and (
        not isinstance(calls, list | tuple) or not all(isinstance(x, Mapping) for x in calls)
    ):
        raise _wrong(f"message {at}: its tool calls are no list of objects")
    try:
        if calls is not None:
            found["tool_calls"] = [_call(one) for one in calls]
        if isinstance(item.get("function_call"), Mapping):  # as it was called before tools
            found["function_call"] = _call({"function": item["function_call"]})["function"]
        if isinstance(content, str) and len(found) == 2:
            content.encode()
        else:
            _strictly_written(found).encode()
    except (TypeError, ValueError, RecursionError):
        raise _wrong(f"message {at} can't be written as JSON") from None
    return found


def _content(content: Any, role: str, at: int) -> Any:
    """Give a message's text, or its parts; what a tool answered is written without escapes."""
    if isinstance(content, list | tuple):
        content = _joined(content, at)
    elif not isinstance(content, str):
        raise _wrong(f"message {at}: its content is a {type(content).__name__}")
    return _plainly(content) if role == "tool" else content


def _joined(parts: Sequence[Any], at: int) -> Any:
    """Join texts that stand side by side: a model reads them as one."""
    found: list[Any] = []
    for part in parts:
        if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
            raise _wrong(f"message {at}: a part of its content has no type")
        text = part.get("text")
        if part["type"] == "text" and not isinstance(text, str):
            raise _wrong(f"message {at}: a part of its content has no text")
        if part["type"] == "text" and found and found[-1]["type"] == "text":
            found[-1] = {"type": "text", "text": found[-1]["text"] + text}
        else:
            found.append(dict(part))
    if len(found) == 1 and found[0]["type"] == "text":
        return found[0]["text"]
    return found


def _plainly(content: Any) -> Any:
    """Give what a tool answered without escapes, in parts or not."""
    if isinstance(content, str):
        return _unescaped(content)
    return [
        {**part, "text": _unescaped(part["text"])} if part["type"] == "text" else part
        for part in content
    ]


def _call(one: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(one)
    function = one.get("function")
    if not isinstance(function, Mapping):
        return found
    arguments = function.get("arguments")
    if arguments is not None:
        # Detectors read texts: what is sent as an object may hold data as numbers.
        told = _unescaped(arguments) if isinstance(arguments, str) else _strictly_written(arguments)
        found["function"] = {**function, "arguments": told}
    return found


def _unescaped(text: str) -> str:
    """Write the strings of a JSON text without escapes of characters that need none."""
    return _JSON_STRING.sub(_plain, text) if "\\" in text else text


def _plain(found: re.Match[str]) -> str:
    try:
        plain = json.dumps(json.loads(found[0], strict=False), ensure_ascii=False)
        plain.encode()
    except ValueError:
        return found[0]
    return plain


def _wrong(what: str) -> InvalidData:
    return InvalidData(what, where="input", hint=_HINT)
