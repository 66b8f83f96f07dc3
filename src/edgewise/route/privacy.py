"""Finds personal data in a request, so that it stays near. Standard library, linear time.

Detectors look for form, and for check digits where the form has them; they find no names and no
addresses of streets. What must stay home for other reasons is said by the request's flag.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from edgewise.errors import UsageError

_EMAIL = re.compile(r"[A-Za-z0-9_%+\-'\u00c0-\uffff]@[A-Za-z0-9\u00c0-\uffff][\w.\-]{0,253}")
_DOMAIN = re.compile(r"(?:[\w\-]{1,63}\.)+[^\W\d_]{2,63}")
_DIGIT = re.compile(r"\d")
# A run of digits with single separators between them; its parts are judged afterwards.
_PHONE = re.compile(r"(?<![\w.])\+?\(?\d(?:[ .\-/]?[()]?[ ]?\d){6,17}(?![\w])")
_CARD = re.compile(r"(?<!\d)\d(?:[ \-]?\d){12,18}(?!\d)")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})?(?![\w:])")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ \-]?[A-Za-z0-9]){11,30}")
_SEPARATORS = re.compile(r"[ .\-/()]")
_DATE = re.compile(r"\d{4}([.\-/])\d{1,2}\1\d{1,2}|\d{1,2}([.\-/])\d{1,2}\2\d{4}")


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
    found = tuple(kind for kind in kinds if _detector(kind)(text))
    return found


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
    if "@" not in text:
        return False
    for match in _EMAIL.finditer(text):
        domain = match[0].rpartition("@")[2].rstrip(".-")
        if _DOMAIN.fullmatch(domain):
            return True
    return False


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
    return any(_luhn(match[0]) for match in _CARD.finditer(text))


def _luhn(run: str) -> bool:
    digits = [int(one) for one in run if one.isdigit()]
    if len(set(digits)) == 1:
        return False
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return total % 10 == 0


def _has_iban(text: str) -> bool:
    if _DIGIT.search(text) is None:
        return False
    return any(_is_iban(match[0]) for match in _IBAN.finditer(text))


def _is_iban(run: str) -> bool:
    letters = re.sub(r"[ \-]", "", run).upper()
    # Words may follow the number, so every length that an IBAN can have is tried.
    return any(_mod_97(letters[:length]) for length in range(15, min(len(letters), 34) + 1))


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
