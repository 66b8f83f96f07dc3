"""Finds personal data in a request, so that it stays near. Standard library, linear time.

Detectors look for form, and for check digits where the form has them; they find no names and no
addresses of streets. What must stay home for other reasons is said by the request's flag.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from edgewise.errors import UsageError

_AT = re.compile(r"[\w%+\-'.]@(?=(\w[\w.\-]{0,253}))")
_DOMAIN = re.compile(r"(?:[\w\-]{1,63}\.)+[^\W\d_]{2,63}")
_DIGIT = re.compile(r"\d")
_PHONE = re.compile(r"(?<![\w.])\+?\(?\d(?:(?:[ .\-/]\(?|\)[ \-]?|\()?\d){6,17}(?!\w)")
_CARD = re.compile(r"(?<!\d)\d(?:[ \-]?\d){12,}")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}(?![\w:])")
_IBAN = re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z]{2}\d{2}(?:[ \-]?[A-Za-z0-9]){11,30}))")
_SEPARATORS = re.compile(r"[ .\-/()]")
_CARD_STARTS = "23456"
_CARD_LENGTHS = (13, 14, 15, 16, 19)
# SWIFT, IBAN Registry: characters of a country's number.
_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_IBAN_LENGTHS = {
    country: length for length, all_ in _IBAN_COUNTRIES.items() for country in all_.split()
}
_DATE = re.compile(
    r"\d{4}([.\-/])\d{1,2}\1\d{1,2}|\d{1,2}([.\-/])\d{1,2}\2\d{4}|(?:19|20)\d\d[\-/](?:19|20)\d\d"
)


def detect(text: str, kinds: Sequence[str]) -> tuple[str, ...]:
    """Give those of the kinds of personal data that a text holds, in the order asked.

    Parameters
    ----------
    kinds
        Of `email`, `phone`, `card` (Luhn), `iban` (mod 97), `ip` (v4 and v6).

    Raises
    ------
    UsageError
        When a kind is unknown.

    Examples
    --------
    >>> detect("write to ana@example.org", ["email", "phone"])
    ('email',)
    """
    return tuple(kind for kind in kinds if _detector(kind)(text))


def detect_in(value: object, kinds: Sequence[str]) -> tuple[str, ...]:
    """Give the kinds that any string of a request's input holds, however deep it lies."""
    if not kinds:
        return ()
    found = {kind for text in strings_of(value) for kind in detect(text, kinds)}
    return tuple(kind for kind in kinds if kind in found) if found else ()


def strings_of(value: object) -> Iterator[str]:
    """Give every string in nested mappings and sequences, keys too; loops are walked once."""
    seen: set[int] = set()
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            if id(one) not in seen:
                seen.add(id(one))
                stack.extend(one.keys())
                stack.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset) and id(one) not in seen:
            seen.add(id(one))
            stack.extend(one)


def _detector(kind: str) -> Callable[[str], bool]:
    try:
        return _DETECTORS[kind]
    except KeyError as unknown:
        hint = f"one of: {', '.join(_DETECTORS)}"
        raise UsageError(
            f"no detector for `{kind}`", where="privacy.detect", hint=hint
        ) from unknown


def _has_email(text: str) -> bool:
    return "@" in text and any(_DOMAIN.match(match[1]) for match in _AT.finditer(text))


def _has_phone(text: str) -> bool:
    if _DIGIT.search(text) is None:
        return False
    return any(_is_phone(match[0]) for match in _PHONE.finditer(text))


def _is_phone(run: str) -> bool:
    digits = _SEPARATORS.sub("", run.lstrip("+"))
    if not 7 <= len(digits) <= 15 or _DATE.match(run):
        return False
    if run.startswith("+"):
        return True
    if len(digits) == len(run):  # an unbroken number: only a national one with its leading zero
        return len(digits) >= 10 and (run[0] == "0" or len(digits) == 10)
    if _IPV4.fullmatch(run) or re.fullmatch(r"\d{1,3}(?:[ .]\d{3})+", run):
        return False  # an address, or a grouped amount
    groups = [group for group in _SEPARATORS.split(run) if group]
    return len(groups) >= 2 and max(map(len, groups)) >= 3


def _has_card(text: str) -> bool:
    if _DIGIT.search(text) is None:
        return False
    return any(_holds_card(_SEPARATORS.split(match[0])) for match in _CARD.finditer(text))


def _holds_card(groups: Sequence[str]) -> bool:
    """Say whether adjacent groups of digits make a card's number, whatever stands beside it."""
    for first in range(len(groups)):
        if groups[first][0] not in _CARD_STARTS:
            continue
        digits = ""
        for group in groups[first:]:
            digits += group
            if len(digits) > 19:
                break
            if len(digits) in _CARD_LENGTHS and _luhn(digits):
                return True
    return False


def _luhn(number: str) -> bool:
    digits = [int(one) for one in number]
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return total % 10 == 0


def _has_iban(text: str) -> bool:
    if _DIGIT.search(text) is None:
        return False
    return any(_is_iban(match[1]) for match in _IBAN.finditer(text))


def _is_iban(run: str) -> bool:
    number = _SEPARATORS.sub("", run).upper()
    length = _IBAN_LENGTHS.get(number[:2], 0)
    # Words may follow the number: its country says where it ends.
    return 0 < length <= len(number) and _mod_97(number[:length])


def _mod_97(number: str) -> bool:
    turned = number[4:] + number[:4]
    return int("".join(str(int(one, 36)) for one in turned)) % 97 == 1


def _has_ip(text: str) -> bool:
    if _DIGIT.search(text) is None and "::" not in text:
        return False
    if "." in text and any(_is_address(match[0]) for match in _IPV4.finditer(text)):
        return True
    if text.count(":") < 2:
        return False
    return any(match[0].count(":") >= 2 and _is_address(match[0]) for match in _IPV6.finditer(text))


def _is_address(text: str) -> bool:
    if text == "::":
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_DETECTORS: dict[str, Callable[[str], bool]] = {
    "email": _has_email,
    "phone": _has_phone,
    "card": _has_card,
    "iban": _has_iban,
    "ip": _has_ip,
}
KINDS: tuple[str, ...] = tuple(_DETECTORS)
