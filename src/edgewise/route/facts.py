"""From one request's input to what the decision may know of it: never the payload."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

from edgewise.errors import InvalidData, UsageError
from edgewise.records import Input, Policy, RequestFacts, Task
from edgewise.route.privacy import detect_in, judge, strings_of
from edgewise.tasks.chat import most_input_tokens, prompt_of, read_chat

_CHAT = Task.TEXT_GENERATION.value
_MOST_NAME = 256
"""Names are logged and shown: what is longer is no name, and may be payload."""
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


def new_request_id() -> str:
    """Give a random UUID (RFC 9562, version 4) in hex, at a third of `uuid.uuid4`'s time."""
    drawn = os.urandom(16).hex()
    return f"{drawn[:12]}4{drawn[13:16]}{_VARIANT[drawn[16]]}{drawn[17:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a caller asks for beside the input."""

    request_id: str = field(default_factory=new_request_id)
    force_location: str | None = None
    deadline_ms: float | None = None
    idempotent: bool = True
    allow_late: bool = False
    caller: str = ""


def as_asked(policy: Policy, one: Input) -> Input:
    """Give an input in the one form that is looked at and sent: text generation has several.

    Raises
    ------
    InvalidData
        When it is no chat, and the policy is for text generation.
    """
    return read_chat(one, policy.max_output_tokens) if _is_chat(policy) else one


def facts_of(
    policy: Policy,
    one: Input,
    length: Callable[[Input], int | None],
    asked: Asked,
    gain: Callable[[str], float] | None = None,
) -> RequestFacts:
    """Look at a request: privacy before anything else.

    Parameters
    ----------
    length
        Counts tokens or pixels; gives `None` where no local model can: then bytes are counted.
    gain
        Predicts what the farthest tier adds to a text; asked only where that tier may see it.

    Raises
    ------
    InvalidData
        When the input is no mapping, or its region no name.
    UsageError
        When the deadline is not a number above 0, or the caller or the location no name.
    """
    if not isinstance(one, Mapping):
        what = f"the input is a {type(one).__name__}"
        raise InvalidData(what, where="input", hint='give a mapping, like {"text": "..."}')
    rules = policy.privacy
    private = bool(one.get(rules.flag, False))
    verdict = judge(detect_in(one, rules.detect), rules.actions)
    detected = verdict.keep
    region = one.get(rules.residency_key) if rules.residency else None
    wrong = "" if region is None else _why_no_name(region, f"`{rules.residency_key}`")
    if wrong:
        raise InvalidData(wrong, where="input", hint='give a name, like "eu"')
    _check_asked(asked)
    input_bytes = sum(map(size_bytes, one.values()))
    too_large = input_bytes > policy.lineup.most_input_bytes
    counted = None if too_large else length(one)
    chat = _is_chat(policy)
    text = None
    if gain is not None and not (too_large or private or detected):
        text = prompt_of(one) if chat else one.get("text")
    return RequestFacts(
        request_id=asked.request_id,
        input_length=input_bytes if counted is None else counted,
        input_bytes=input_bytes,
        private=private,
        detected=detected,
        redacted=verdict.redact,
        refused=verdict.refuse,
        region=region,
        force_location=asked.force_location,
        deadline_ms=None if asked.deadline_ms is None else float(asked.deadline_ms),
        idempotent=bool(asked.idempotent),
        allow_late=bool(asked.allow_late),
        caller=asked.caller,
        gain=gain(text) if gain is not None and isinstance(text, str) else None,
        input_tokens=most_input_tokens(one) if chat else 0,
        output_tokens=one["max_tokens"] if chat else 0,
    )


def _check_asked(asked: Asked) -> None:
    """See that what a caller asks for can be done, and be read back from a log."""
    deadline_ms = asked.deadline_ms
    if deadline_ms is not None and not (
        isinstance(deadline_ms, Real) and 0.0 < deadline_ms < math.inf
    ):
        what = f"not a finite number above 0: {deadline_ms!r}"
        hint = "give milliseconds, like 100, or leave it out for no deadline"
        raise UsageError(what, where="deadline_ms", hint=hint)
    location = asked.force_location
    wrong = "" if location is None else _why_no_name(location, "the location")
    if wrong:
        raise UsageError(wrong, where="force_location", hint="give a tier's name, edge or cloud")
    wrong = _why_no_name(asked.caller, "the caller")
    if wrong:
        raise UsageError(wrong, where="caller", hint='give a name, like "ana"')


def _why_no_name(told: object, called: str) -> str:
    """Say why a value is no name that a log should hold; empty where it is one."""
    if not isinstance(told, str):
        return f"{called} is a {type(told).__name__}"
    return f"{called} has {len(told)} characters" if len(told) > _MOST_NAME else ""


def _is_chat(policy: Policy) -> bool:
    return policy.task == _CHAT


def size_bytes(value: Any) -> int:
    """Give the size of one value of an input: a text's in UTF-8, a buffer's or an image file's.

    Of a list of messages, of tools, or of a form for the answer, that of all texts in them.
    """
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    listed = isinstance(value, list | tuple) and value and isinstance(value[0], Mapping)
    if listed or isinstance(value, Mapping):
        return sum(map(size_bytes, strings_of(value)))
    if isinstance(value, bytes | bytearray | memoryview):
        return len(value)
    if isinstance(value, Path):
        return value.stat().st_size if value.is_file() else 0
    nbytes = getattr(value, "nbytes", 0)
    return nbytes if isinstance(nbytes, int) else 0
