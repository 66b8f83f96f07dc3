"""Ways to reach a person or a machine: addresses of mail, numbers of phones, network addresses."""

import ipaddress
import re
from collections.abc import Iterator

from edgewise.route.privacy.scanning import Place, Scan

_AT = re.compile(r"@(?=(\w[\w.\-]{0,253}))")
_LOCAL = re.compile(r"[\w%+\-'.]+")
_DOMAIN = re.compile(r"(?:[\w\-]{1,63}\.)+[^\W\d_]{2,63}")
_PHONE = re.compile(
    r"[+(0-9](?<![\w.].)(?:(?<=\+)\(?[0-9]|(?<=\()[0-9]|(?<=[0-9]))"
    r"(?:(?:[ .\-/]\(?|\)[ \-]?|\()?[0-9]){6,17}(?!\w)"
)
_BETWEEN_SPACES = re.compile(r"[^ ]+")
_SEPARATORS = re.compile(r"[ .\-/()]")
_DATE = re.compile(
    r"\d{4}([.\-/])\d{1,2}\1\d{1,2}|\d{1,2}([.\-/])\d{1,2}\2\d{4}|(?:19|20)\d\d[\-/](?:19|20)\d\d"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[ \-.]\d{4,6}"
)
_AMOUNT = re.compile(r"\d{1,3}(?:[ .]\d{3})+(?:[.,]\d{2})?|\d+\.\d+|\d{1,4}(?: \d{1,4}\.\d+)")
# Grouped as no phone is, unless it starts with 0: social security and a postal code in the US.
_OTHER = re.compile(r"\d{3}([ \-])\d\d\1\d{4}|\d{5}-\d{4}")
_BR_CPF = re.compile(r"\d{3}\.\d{3}\.\d{3}-\d\d")
_LONGEST_NATIONAL = 11
_IPV4 = re.compile(r"[0-9](?<![\w.].)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?!\w|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:\.[0-9]{1,3}){0,3}(?![\w:])")
_VERSION = re.compile(
    r"(?:\b(?:version|ver|release|build|firmware|driver|v)\b\.?[ :=]{0,2})\Z", re.I
)
_VERSION_REACH = 12
# What is said to be the number of a thing is no phone's, however it is grouped.
_THING = re.compile(
    r"\b(?:order|invoice|ticket|case|part|article|item|serial|tracking|reference|ref|sku|isbn|page|lot|"
    r"batch|model|build|version|contract|policy|booking|receipt|product|catalogue|id)s?"
    r"(?: (?:number|no|nr|id|code))?\.?(?: is)?[ #:=]{0,3}\Z"
    r"|\b[a-z]{2}[0-9]{2}(?:[ \-]?[a-z]{4})?[ \-]\Z|[0-9] 2[ab] \Z"  # inside an IBAN, a NIR
    r"|[a-z]{2}(?<!el)(?<!ax)(?<!ne)(?<!le)-\Z",
    re.I,
)
_THING_REACH = 40
_LONGEST_RUN = 18
_MAINLAND_MOBILE = re.compile(r"1[3-9][0-9]{9}")


def emails(scan: Scan) -> Iterator[Place]:
    """Give addresses of mail: a name, an at sign, and a domain with a top level of letters."""
    text = scan.text
    if "@" not in text:
        return
    last = 0
    for at in _AT.finditer(text):
        before, last = last, at.end()
        domain = _DOMAIN.match(at[1])
        local = None if domain is None else _LOCAL.match(text[before : at.start()][::-1])
        if domain is not None and local is not None:
            yield at.start() - local.end(), at.end() + domain.end()


def phones(scan: Scan) -> Iterator[Place]:
    """Give numbers of phones: with `+`, grouped, or ten digits and more as one writes them."""
    cut = -1  # where a longer chain of digits than a phone's was cut: what follows is its tail
    for match in _PHONE.finditer(scan.text):
        run, start = match[0], match.start()
        if start == cut:
            cut = match.end() + 1
            continue
        cut = match.end() + 1 if match.end() - start >= _LONGEST_RUN else -1
        if run[0] == "(" and ")" not in run:
            run, start = run[1:], start + 1
        if _is_phone(run):
            if run[0] == "+" or not _is_thing(scan.text, start):
                yield start, match.end()
        elif " " in run:
            yield from _phones_beside_dates(run, start)


def addresses(scan: Scan) -> Iterator[Place]:
    """Give network addresses, v4 and v6; four numbers after the word `version` are none."""
    text = scan.text
    if scan.digits >= 4 and text.count(".") >= 3:
        for match in _IPV4.finditer(text):
            if _is_address(match[0]) and not _is_version(text, match.start()):
                yield match.span()
    if text.count(":") < 2:
        return
    for match in _IPV6.finditer(text):
        for found in dict.fromkeys((match[0], match[0].rstrip(":"))):
            if found.count(":") >= 2 and not _is_name(found) and _is_address(found):
                yield match.start(), match.start() + len(found)
                break


def _phones_beside_dates(run: str, at: int) -> Iterator[Place]:
    """Look for a phone beside a date that the run swallowed."""
    start = 0
    for part in _BETWEEN_SPACES.finditer(run):
        if _DATE.fullmatch(part[0]):
            if _is_phone(run[start : part.start()].rstrip()):
                yield at + start, at + part.start() - 1
            start = part.end() + 1
    if start and _is_phone(run[start:]):
        yield at + start, at + len(run)


def _is_phone(run: str) -> bool:
    digits = _SEPARATORS.sub("", run.lstrip("+"))
    if not 7 <= len(digits) <= 15 or _DATE.match(run):
        return False
    if run.startswith("+"):
        return True
    if len(digits) == len(run):
        return _is_unbroken_phone(run)
    if digits[0] != "0" and (len(digits) > _LONGEST_NATIONAL or _OTHER.fullmatch(run)):
        return False
    if _BR_CPF.fullmatch(run) or _IPV4.fullmatch(run) or _AMOUNT.fullmatch(run):
        return False
    groups = [group for group in _SEPARATORS.split(run) if group]
    return len(groups) >= 2 and max(map(len, groups)) >= 3


def _is_unbroken_phone(digits: str) -> bool:
    """Say whether digits alone are a national number: with its leading zero, or of ten digits.

    Ten that begin with 1 are seconds since 1970 more often than a phone.
    """
    if digits[0] == "0":
        return len(digits) >= 10
    if len(digits) == 10:
        return digits[0] != "1"
    return _MAINLAND_MOBILE.fullmatch(digits) is not None


def _is_thing(text: str, at: int) -> bool:
    return _THING.search(text, max(0, at - _THING_REACH), at) is not None


def _is_version(text: str, at: int) -> bool:
    return _VERSION.search(text, max(0, at - _VERSION_REACH), at) is not None


def _is_name(text: str) -> bool:
    """Say whether it reads as a name in a program, such as `a::b`."""
    return text.count(":") < 4 and not any(map(str.isdigit, text))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
