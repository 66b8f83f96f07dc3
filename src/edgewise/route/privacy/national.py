"""Numbers that a state gives to a person, told by their form and, where they have one, check digit.

Sources: the rules that each office publishes; the check digits are cited where they are computed.
"""

import re
from collections.abc import Iterator

from edgewise.route.privacy.scanning import Forms, Place, Scan

_US_SSN: Forms = {(3, 2, 4): ("--", "  ")}
_US_SSN_SAID = re.compile(r"\b(?:ssn|social security)\b[^0-9\n]{0,16}([0-9]{9})(?![\w\-])", re.I)
_UK_NINO = re.compile(
    r"(?<![A-Za-z0-9])(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
    r"[ \-]?[0-9]{2}[ \-]?[0-9]{2}[ \-]?[0-9]{2}[ \-]?[A-D](?![A-Za-z0-9])",
    re.I,
)
_UK_NHS: Forms = {(10,): ("",), (3, 3, 4): ("  ", "--")}
_ES_DNI = re.compile(
    r"(?<![A-Za-z0-9.\-])(?:([XYZ])[ \-]?)?([0-9]{7,8}|[0-9]{1,2}\.[0-9]{3}\.[0-9]{3})[ \-]?([A-Z])"
    r"(?![A-Za-z0-9])",
    re.I,
)
_ES_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_IT_DIGIT = "[0-9LMNP-V]"
_IT_CODICE_FISCALE = re.compile(
    rf"(?<![A-Za-z0-9])[A-Z]{{3}} ?[A-Z]{{3}} ?{_IT_DIGIT}{{2}}[ABCDEHLMPRST]{_IT_DIGIT}{{2}}"
    rf" ?[A-Z]{_IT_DIGIT}{{3}} ?[A-Z](?![A-Za-z0-9])",
    re.I,
)
# Ministero delle Finanze, decree of 23 December 1976: values in odd places, for 0-9 and A-Z.
_IT_ODD = (
    1,
    0,
    5,
    7,
    9,
    13,
    15,
    17,
    19,
    21,
    2,
    4,
    18,
    20,
    11,
    3,
    6,
    8,
    12,
    14,
    16,
    10,
    22,
    25,
    24,
    23,
)
_DE_TAX_ID: Forms = {(11,): ("",), (2, 3, 3, 3): ("   ",)}
_FR_NIR = re.compile(
    r"[1-478](?<![\w.\-].) ?([0-9]{2}) ?(0[1-9]|1[0-2]|[2-9][0-9]) ?([0-9]{2}|2[AB])"
    r" ?([0-9]{3}) ?([0-9]{3}) ?([0-9]{2})(?![\w]|[.\-][0-9])",
    re.I,
)
_BR_CPF: Forms = {(11,): ("",), (3, 3, 3, 2): ("..-",), (9, 2): ("-",)}
_IN_AADHAAR: Forms = {(12,): ("",), (4, 4, 4): ("  ", "--")}
# Verhoeff, Error detecting decimal codes, 1969: the dihedral group of order 10, and a permutation.
_VERHOEFF_TIMES = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_TURNS = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def us_ssns(scan: Scan) -> Iterator[Place]:
    """Give social security numbers of the US: grouped 3-2-4, or called by their name."""
    for place in scan.numbers(_US_SSN):
        if _is_ssn(scan.digits_of(place)):
            yield place
    lower = scan.text.lower()
    if "ssn" not in lower and "social security" not in lower:
        return
    for match in _US_SSN_SAID.finditer(scan.text):
        if _is_ssn(match[1]):
            yield match.span(1)


def _is_ssn(digits: str) -> bool:
    """Say whether no part is one that is never given (SSA, since 2011)."""
    area = digits[:3]
    never = area in ("000", "666") or area[0] == "9" or digits[3:5] == "00"
    return not never and digits[5:] != "0000"


def uk_ninos(scan: Scan) -> Iterator[Place]:
    """Give national insurance numbers of the UK: two letters, six digits, A to D."""
    for match in _UK_NINO.finditer(scan.text):
        yield match.span()


def uk_nhs_numbers(scan: Scan) -> Iterator[Place]:
    """Give numbers of the NHS and Scotland's CHI: ten digits in a range in use, modulus 11."""
    for place in scan.numbers(_UK_NHS):
        digits = scan.digits_of(place)
        if _is_nhs_range(digits) and _mod_11(digits, range(10, 1, -1)) == int(digits[9]):
            yield place


def _is_nhs_range(digits: str) -> bool:
    if digits[0] in "4679" or "32" <= digits[:2] <= "39":
        return True
    return "01" <= digits[:2] <= "31" and "01" <= digits[2:4] <= "12"  # CHI: born on this day


def es_dnis(scan: Scan) -> Iterator[Place]:
    """Give DNI and NIE of Spain: eight digits, or X, Y or Z and seven, and a letter by 23."""
    for match in _ES_DNI.finditer(scan.text):
        first, digits = match[1], match[2].replace(".", "")
        if len(digits) != (7 if first else 8):
            continue
        number = int(digits if not first else str("XYZ".index(first.upper())) + digits)
        if _ES_LETTERS[number % 23] == match[3].upper():
            yield match.span()


def it_codici_fiscali(scan: Scan) -> Iterator[Place]:
    """Give fiscal codes of Italy, with letters in place of digits too, and their check letter."""
    for match in _IT_CODICE_FISCALE.finditer(scan.text):
        code = match[0].replace(" ", "").upper()
        values = [int(one, 36) - 10 if one.isalpha() else int(one) for one in code]
        total = sum(_IT_ODD[value] for value in values[0:15:2]) + sum(values[1:15:2])
        if total % 26 == values[15]:
            yield match.span()


def de_tax_ids(scan: Scan) -> Iterator[Place]:
    """Give tax ids of Germany: of ten digits one stands twice or thrice; ISO 7064 mod 11, 10."""
    for place in scan.numbers(_DE_TAX_ID):
        digits = scan.digits_of(place)
        if digits[0] != "0" and _repeats_one(digits[:10]) and _iso_7064(digits):
            yield place


def _repeats_one(digits: str) -> bool:
    counts = sorted(map(digits.count, set(digits)))
    return counts[-1] in (2, 3) and counts[-2] == 1


def _iso_7064(digits: str) -> bool:
    product = 10
    for one in digits[:-1]:
        product = 2 * ((int(one) + product) % 10 or 10) % 11
    return (11 - product) % 10 == int(digits[-1])


def fr_nirs(scan: Scan) -> Iterator[Place]:
    """Give social security numbers of France: sex, birth, place, order, and a key by 97."""
    for match in _FR_NIR.finditer(scan.text):
        number = match[0].replace(" ", "").upper()
        # Corsica counts as 19 and 18 (INSEE).
        digits = number[:13].replace("2A", "19", 1) if number[5:7] == "2A" else number[:13]
        digits = digits.replace("2B", "18", 1) if number[5:7] == "2B" else digits
        if int(digits) % 97 == 97 - int(number[13:]):
            yield match.span()


def br_cpfs(scan: Scan) -> Iterator[Place]:
    """Give CPF numbers of Brazil: eleven digits, the last two by modulus 11."""
    for place in scan.numbers(_BR_CPF):
        digits = scan.digits_of(place)
        if len(set(digits)) == 1:
            continue
        tenth = _mod_11(digits, range(10, 1, -1)) % 10
        eleventh = _mod_11(digits, range(11, 1, -1)) % 10
        if digits[9:] == f"{tenth}{eleventh}":
            yield place


def in_aadhaars(scan: Scan) -> Iterator[Place]:
    """Give Aadhaar numbers of India: twelve digits, not from 0 or 1, and Verhoeff's check digit."""
    for start, end in scan.numbers(_IN_AADHAAR):
        digits = scan.digits_of((start, end))
        if digits[0] not in "01" and _verhoeff(digits) and not _in_fours(scan.text, start, end):
            yield start, end


def _in_fours(text: str, start: int, end: int) -> bool:
    """Say whether more groups of four stand beside: then it is a piece of a longer number."""
    before, after = text[max(0, start - 5) : start], text[end : end + 5]
    return (len(before) == 5 and before[:4].isdigit()) or (len(after) == 5 and after[1:].isdigit())


def _verhoeff(digits: str) -> bool:
    check = 0
    for place, one in enumerate(reversed(digits)):
        turned = int(_VERHOEFF_TURNS[place % 8][int(one)])
        check = int(_VERHOEFF_TIMES[check][turned])
    return check == 0


def _mod_11(digits: str, weights: range) -> int:
    """Give 11 less the remainder of the weighted sum: 10 and 11 are left to the caller."""
    left = 11 - sum(int(one) * weight for one, weight in zip(digits, weights, strict=False)) % 11
    return 0 if left == 11 else left
