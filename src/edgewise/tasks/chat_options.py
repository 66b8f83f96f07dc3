"""What may be asked of a text model beside its text, and is passed on to it.

Numbers, switches and fixed words, each checked here, so that no text of a user hides in one: what
else could hold such a text, or says who asks, is not passed on.
"""

from collections.abc import Callable, Mapping
from typing import Any

from edgewise.errors import InvalidData

_MOST_BIASES = 1024
_MOST_TOKEN_DIGITS = 6
"""Of a token's number: vocabularies have less than a million, and a phone's number has more."""


def check_options(one: Mapping[str, Any]) -> None:
    """See that each option of an input is what is passed on under its name.

    Raises
    ------
    InvalidData
        When one of them is another kind of thing, or beyond its limits.
    """
    for name, (fits, what) in _CHECKED.items():
        value = one.get(name)
        if value is not None and not fits(value):
            hint = f"give {what}, or leave it out"
            raise InvalidData(f"`{name}` can't be passed on", where="input", hint=hint)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _within(low: float, high: float) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and low <= value <= high

    return fits


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _word_of(*words: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in words


def _is_bias(value: Any) -> bool:
    if not isinstance(value, Mapping) or len(value) > _MOST_BIASES:
        return False
    fits = _within(-100.0, 100.0)
    return all(_is_token(token) and fits(bias) for token, bias in value.items())


def _is_token(name: Any) -> bool:
    text = str(name) if type(name) is int else name
    if not isinstance(text, str) or len(text) > _MOST_TOKEN_DIGITS:
        return False
    return text.isascii() and text.isdigit()


_CHECKED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "parallel_tool_calls": (_is_switch, "true or false"),
    "reasoning_effort": (
        _word_of("none", "minimal", "low", "medium", "high", "xhigh"),
        "none, minimal, low, medium, high or xhigh",
    ),
    "verbosity": (_word_of("low", "medium", "high"), "low, medium or high"),
    "logit_bias": (_is_bias, f"-100 to 100 for each of at most {_MOST_BIASES} tokens' numbers"),
    "top_k": (_whole(-1, 999_999), "a whole number from -1 to 999999"),
    "min_p": (_within(0.0, 1.0), "a number from 0 to 1"),
    "repetition_penalty": (_within(0.0, 100.0), "a number from 0 to 100"),
    "repeat_penalty": (_within(0.0, 100.0), "a number from 0 to 100"),
}
"""What has to be under a name, and how that is told; a `null` is left out."""

OPTIONS = (
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "response_format",
    "presence_penalty",
    "frequency_penalty",
    *_CHECKED,
)
"""Keys of an input that are passed on to the model as they are."""
