"""Numbers that money moves by: payment cards and bank accounts."""

import re
from collections.abc import Iterator

from edgewise.route.privacy.scanning import Place, Scan

_CARD = re.compile(r"[0-9](?<![0-9].)(?:[ \-]?[0-9]){12,}")
_GROUP = re.compile(r"[0-9]+")
_LONGEST_CARD = 19
# ISO/IEC 7812 and the issuers' own ranges: the start of a number, and how long it may be.
_ISSUERS = re.compile(
    r"4(?:.{12}|.{15}|.{18})"  # Visa
    r"|(?:5[1-5]..|222[1-9]|22[3-9].|2[3-6]..|27[01].|2720).{12}"  # Mastercard
    r"|3[47].{13}"  # American Express
    r"|3(?:0[0-5]|[689].).{11}"  # Diners Club
    r"|220[0-4].{12}(?:.{3})?"  # Mir
    r"|35(?:2[89]|[3-8].).{12,15}"  # JCB
    r"|6.{15,18}"  # Discover, UnionPay, Maestro, RuPay
    r"|5[06-8].{11,17}"  # Maestro
)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_IBAN = re.compile(
    r"[0-9](?<=[A-Za-z]{2}[0-9])(?<![A-Za-z0-9][A-Za-z]{2}[0-9])"
    r"[0-9](?=((?:[ \-]?[A-Za-z0-9]){11,30}))"
)
_SEPARATORS = re.compile(r"[ \-]")
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


def cards(scan: Scan) -> Iterator[Place]:
    """Give numbers of payment cards: an issuer's start and length, and the check digit of Luhn."""
    for run in _CARD.finditer(scan.text):
        groups = [(group.start(), group[0]) for group in _GROUP.finditer(scan.text, *run.span())]
        done = 0
        for first, (start, _) in enumerate(groups):
            if start < done:
                continue
            end = _card_end(groups, first)
            if end is not None:
                yield start, end
                done = end


def _card_end(groups: list[tuple[int, str]], first: int) -> int | None:
    """Say where adjacent groups of digits end that make a card's number, whatever comes after."""
    number = ""
    for start, group in groups[first : first + _LONGEST_CARD]:
        number += group
        if len(number) > _LONGEST_CARD:
            return None
        if len(number) >= 13 and _ISSUERS.fullmatch(number) and luhn(number):
            return start + len(group)
    return None


def luhn(number: str) -> bool:
    """Say whether the last digit fits the others, by Luhn."""
    digits = [int(one) for one in number]
    return (sum(digits[-1::-2]) + sum(_DOUBLED[one] for one in digits[-2::-2])) % 10 == 0


def ibans(scan: Scan) -> Iterator[Place]:
    """Give numbers of bank accounts: a country, its length, and a remainder of 1 by 97."""
    done = 0
    for match in _IBAN.finditer(scan.text):
        start = match.start() - 2
        length = _IBAN_LENGTHS.get(scan.text[start : start + 2].upper(), 0)
        run = scan.text[start : match.end(1)]
        number = _SEPARATORS.sub("", run).upper()
        # Words may follow the number: its country says where it ends.
        if start < done or not 0 < length <= len(number) or not _mod_97(number[:length]):
            continue
        done = start + _reach(run, length)
        yield start, done


def _reach(run: str, length: int) -> int:
    """Say how far into a run its first so many letters and digits reach."""
    ends = [place for place, char in enumerate(run, 1) if char not in " -"]
    return ends[length - 1]


def _mod_97(number: str) -> bool:
    turned = number[4:] + number[:4]
    return int("".join(str(int(one, 36)) for one in turned)) % 97 == 1
