"""Makes texts that hold personal data of a known kind, and texts that only look as if they did.

Public: for measuring detectors, ours or a stranger's. Every number is made up; its check digits are
computed here, by another way than in the detectors.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

_GIVEN = (
    "Anna",
    "James",
    "Maria",
    "Oliver",
    "Sophie",
    "David",
    "Laura",
    "Michael",
    "Emma",
    "Peter",
)
_FAMILY = ("Smith", "Lindqvist", "Johnson", "Moreau", "Williams", "Rossi", "Becker", "Taylor")
_HOSTS = ("example.org", "mail.example.com", "example.co.uk", "sub-1.example.net", "example.museum")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SENTENCES = (
    "my {what} is {value}, please update it",
    "{value}",
    "Please note the {what}: {value}.",
    "the {what} ({value}) was wrong in your last letter",
    "hello, {value} is the {what} you asked for on 12.05.2024",
    "{what} {value}; thanks!",
    "I sent it twice already. {what}={value}\nKind regards",
)
_PLAIN = (
    "about {value} we heard nothing yet",
    "{value}",
    "see {value}, as agreed on 12.05.2024",
    "we wrote down {value} in the report.",
    "the value was {value}; is that right?",
)


class Labelled(NamedTuple):
    """One text of the set. Made by `labelled_texts`."""

    text: str
    kind: str
    """What it holds; empty when it holds no personal data."""
    value: str
    """What was put into the text."""
    source: str
    """The kind, or what the near miss is."""
    unclear: str = ""
    """A kind that a near miss may as well be, by its form: it counts neither for it nor against."""


Draw = np.random.Generator
Maker = Callable[[Draw], str]


def labelled_texts(draw: Draw, each: int) -> list[Labelled]:
    """Give so many texts of each kind, and of each near miss."""
    texts = []
    for kind, (what, make) in MAKERS.items():
        for _ in range(each):
            value = make(draw)
            texts.append(Labelled(_say(draw, _SENTENCES, value, what), kind, value, kind))
    for source, make in NEAR_MISSES.items():
        for _ in range(each):
            value = make(draw)
            texts.append(
                Labelled(_say(draw, _PLAIN, value), "", value, source, _UNCLEAR.get(source, ""))
            )
    return texts


def rates_of(
    detect: Callable[[str, Sequence[str]], Sequence[str]],
    kinds: Sequence[str],
    texts: Sequence[Labelled],
) -> dict[str, tuple[float, float]]:
    """Give a detector's precision and recall for each kind.

    Recall is of the texts that hold a kind. Precision is of its alarms on those and on texts that
    hold no personal data, but for near misses that are by their form as well one of the kind.
    """
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for one in texts:
        found = detect(one.text, kinds)
        for kind in found:
            right[kind] += kind == one.kind
            wrong[kind] += one.kind == "" and one.unclear != kind
        missed[one.kind] += one.kind not in found
    return {
        kind: (
            right[kind] / max(1, right[kind] + wrong[kind]),
            right[kind] / max(1, right[kind] + missed[kind]),
        )
        for kind in kinds
    }


def _say(draw: Draw, sentences: tuple[str, ...], value: str, what: str = "") -> str:
    return _one(draw, *sentences).format(what=what, value=value)


def _one(draw: Draw, *choices: str) -> str:
    return choices[int(draw.integers(len(choices)))]


def _digits(draw: Draw, count: int, first: str = "0123456789") -> str:
    rest = "".join(map(str, draw.integers(0, 10, count - 1)))
    return _one(draw, *first) + rest


def _grouped(digits: str, sizes: tuple[int, ...], between: str) -> str:
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    groups = [digits[at : at + size] for at, size in zip(starts, sizes, strict=True)]
    return between.join(groups)


def _with_check(body: str, holds: Callable[[str], bool]) -> str:
    """Give the body with the first last digit that fits; some bodies have none."""
    return next((body + one for one in "0123456789" if holds(body + one)), "")


def _email(draw: Draw) -> str:
    given, family = _one(draw, *_GIVEN).lower(), _one(draw, *_FAMILY).lower()
    local = _one(draw, f"{given}.{family}", f"{given}_{family}7", f"{given}+news", f"o'{family}")
    return f"{local}@{_one(draw, *_HOSTS)}"


def _phone(draw: Draw) -> str:
    area, exchange, line = (
        _digits(draw, 3, "23456789"),
        _digits(draw, 3, "23456789"),
        _digits(draw, 4),
    )
    return _one(
        draw,
        f"+1 {area} {exchange} {line}",
        f"({area}) {exchange}-{line}",
        f"{area}-{exchange}-{line}",
        f"+49 {area} {exchange}{line}",
        f"0{area[:2]} {exchange} {line}",
        f"0{area}/{exchange}{line}",
        f"+44 20 7{exchange} {line}",
        f"+33 6 {line[:2]} {line[2:]} {area[:2]} {exchange[:2]}",
        f"0{_digits(draw, 9, '123456789')}",
        f"{area}.{exchange}.{line}",
        f"+{_digits(draw, 11, '3456789')}",
    )


def _luhn_holds(number: str) -> bool:
    doubled = [str(int(d) * 2) if place % 2 else d for place, d in enumerate(reversed(number))]
    return sum(int(digit) for digit in "".join(doubled)) % 10 == 0


def _card(draw: Draw) -> str:
    start, length = (("4", 16), ("51", 16), ("5424", 16), ("37", 15), ("6011", 16), ("4", 13))[
        int(draw.integers(6))
    ]
    number = _with_check(start + _digits(draw, length - 1 - len(start)), _luhn_holds)
    if length == 16:
        return _one(draw, number, *(_grouped(number, (4, 4, 4, 4), between) for between in " -"))
    return _one(draw, number, _grouped(number, (4, 6, 5), " ")) if length == 15 else number


def _iban(draw: Draw, *, wrong: int = 0) -> str:
    country, body = (("DE", 18), ("GB", 14), ("FR", 23), ("NL", 10), ("ES", 20), ("NO", 11))[
        int(draw.integers(6))
    ]
    bank = "".join(_one(draw, *_LETTERS) for _ in range(4)) if country in ("GB", "NL") else ""
    account = bank + _digits(draw, body + 4 * (country in ("GB", "NL")) - len(bank))
    left = 0
    for char in f"{account}{country}00":
        for digit in str(_LETTERS.index(char) + 10 if char.isalpha() else char):
            left = (left * 10 + int(digit)) % 97
    number = f"{country}{(98 - left + wrong) % 97 or 97:02d}{account}"
    spaced = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    return _one(draw, number, spaced, spaced.lower())


def _ip(draw: Draw) -> str:
    parts = draw.integers(1, 255, 4)
    words = [f"{one:x}" for one in draw.integers(0, 65536, 8)]
    return _one(
        draw,
        ".".join(map(str, parts)),
        ".".join(map(str, parts)) + ":8080",
        ":".join(words),
        f"2001:db8::{words[0]}:{words[1]}",
        f"[fe80::{words[2]}]",
    )


def _us_ssn(draw: Draw) -> str:
    area = int(draw.integers(1, 899))
    parts = (
        f"{area + (area == 666):03d}",
        f"{draw.integers(1, 100):02d}",
        f"{draw.integers(1, 10_000):04d}",
    )
    return _one(draw, "-".join(parts), "-".join(parts), " ".join(parts))


def _uk_nino(draw: Draw) -> str:
    letters, digits = _one(draw, "AB", "CE", "JK", "PW", "SL", "YZ"), _digits(draw, 6)
    last = _one(draw, *"ABCD")
    spaced = f"{letters} {_grouped(digits, (2, 2, 2), ' ')} {last}"
    return _one(draw, spaced, f"{letters}{digits}{last}", f"{letters}{digits}{last}".lower())


def _nhs_holds(number: str) -> bool:
    return sum(int(d) * (10 - place) for place, d in enumerate(number)) % 11 == 0


def _uk_nhs(draw: Draw) -> str:
    number = ""
    while not number:
        number = _with_check(_digits(draw, 9, "467"), _nhs_holds)
    return _one(draw, number, *(_grouped(number, (3, 3, 4), between) for between in " -"))


def _es_dni(draw: Draw, *, wrong: int = 0) -> str:
    digits, foreign = _digits(draw, 8), _digits(draw, 7)
    first = _one(draw, *"XYZ")
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    dni = letters[(int(digits) + wrong) % 23]
    nie = letters[(int(foreign) + {"X": 0, "Y": 1, "Z": 2}[first] * 10**7 + wrong) % 23]
    return _one(
        draw,
        f"{digits}{dni}",
        f"{digits}-{dni}",
        f"{digits[:2]}.{digits[2:5]}.{digits[5:]}-{dni}",
        f"{first}{foreign}{nie}",
        f"{first}-{foreign}-{nie}",
    )


def _it_codice_fiscale(draw: Draw, *, wrong: int = 0) -> str:
    name = "".join(_one(draw, *"BCDFGLMNPRSTV") for _ in range(6))
    birth = f"{draw.integers(100):02d}{_one(draw, *'ABCDEHLMPRST')}{draw.integers(1, 29):02d}"
    body = f"{name}{birth}{_one(draw, *'ABCDEFGHIL')}{_digits(draw, 3)}"
    by_value = "BAKPLCQDREVOSFTGUHMINJWZYX"  # the letter whose value in an odd place is 0, 1, 2 …
    total = wrong
    for place, char in enumerate(body, 1):
        letter = _LETTERS[int(char)] if char.isdigit() else char
        total += by_value.index(letter) if place % 2 else _LETTERS.index(letter)
    code = body + _LETTERS[total % 26]
    spaced = f"{code[:3]} {code[3:6]} {code[6:11]} {code[11:15]} {code[15]}"
    return _one(draw, code, code.lower(), spaced)


def _iso_7064_holds(number: str) -> bool:
    left = 10
    for one in number:
        left = (left + int(one)) % 10 or 10
        last, left = left, left * 2 % 11
    return last % 10 == 1


def _de_tax_id(draw: Draw) -> str:
    while True:
        some = [*map(str, draw.permutation(10)[:9])]
        body = [*some, some[int(draw.integers(9))]]
        draw.shuffle(body)
        if body[0] != "0":
            number = _with_check("".join(body), _iso_7064_holds)
            return _one(draw, number, _grouped(number, (2, 3, 3, 3), " "))


def _fr_nir(draw: Draw) -> str:
    place = int(draw.integers(1, 96))
    corsica = _one(draw, "", "", "", "2A", "2B")
    head = f"{_one(draw, '1', '2')}{draw.integers(100):02d}{draw.integers(1, 13):02d}"
    tail = _digits(draw, 6)
    # Corsica: the number with 0 for the letter, less 1,000,000 for A and 2,000,000 for B.
    number = int(f"{head}{corsica[:1] + '0' if corsica else f'{place:02d}'}{tail}")
    key = 97 - (number - {"": 0, "2A": 10**6, "2B": 2 * 10**6}[corsica]) % 97
    whole = f"{head}{corsica or f'{place:02d}'}{tail}{key:02d}"
    return _one(
        draw, whole, _grouped(whole, (1, 2, 2, 2, 3, 3, 2), " "), f"{whole[:13]} {whole[13:]}"
    )


def _br_cpf(draw: Draw) -> str:
    number = _digits(draw, 9)
    for weights in ("987654321", "9876543210"):
        # The office's rule turned round: the sum by ascending weights, remainder by 11.
        backwards = zip(reversed(number), weights, strict=True)
        number += str(sum(int(one) * int(weight) for one, weight in backwards) % 11 % 10)
    grouped = f"{number[:3]}.{number[3:6]}.{number[6:9]}-{number[9:]}"
    return _one(draw, grouped, grouped, number)


def _verhoeff_holds(number: str) -> bool:
    """Turn and mirror a pentagon: a digit below 5 turns it, one above mirrors it too."""
    order = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    turn, mirrored = 0, False
    for place, char in enumerate(reversed(number)):
        digit = int(char)
        for _ in range(place % 8):
            digit = order[digit]
        turn = (turn - digit % 5 if mirrored else turn + digit % 5) % 5
        mirrored ^= digit >= 5
    return turn == 0 and not mirrored


def _in_aadhaar(draw: Draw) -> str:
    number = _with_check(_digits(draw, 11, "23456789"), _verhoeff_holds)
    return _one(draw, number, *(_grouped(number, (4, 4, 4), between) for between in " -"))


def _wrong_check(make: Maker) -> Maker:
    """Give a maker of the same form whose last digit is off by one to nine."""

    def wrong(draw: Draw) -> str:
        right = make(draw)
        other = (int(right[-1]) + int(draw.integers(1, 10))) % 10
        return f"{right[:-1]}{other}"

    return wrong


def _date(draw: Draw) -> str:
    year, month, day = draw.integers(1950, 2030), draw.integers(1, 13), draw.integers(1, 29)
    hour, minute = draw.integers(24), draw.integers(60)
    return _one(
        draw,
        f"{year}-{month:02d}-{day:02d}",
        f"{day:02d}.{month:02d}.{year}",
        f"{month}/{day}/{year} {hour:02d}:{minute:02d}",
        f"{year}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:09Z",
        f"{year}{month:02d}{day:02d}-{hour:02d}{minute:02d}09",
        f"{year - 1}-{year}",
        f"{year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:09,123",
    )


def _price(draw: Draw) -> str:
    whole = int(draw.integers(1_000, 900_000_000))
    return _one(
        draw,
        f"${whole:,}.99",
        f"{whole:,} EUR".replace(",", "."),
        f"{whole:,} kr".replace(",", " "),
        f"€{whole}.50",
        f"{whole / 100:.2f}",
    )


def _version(draw: Draw) -> str:
    a, b, c, d = (int(one) for one in draw.integers(0, 40, 4))
    return _one(
        draw,
        f"v{a}.{b}.{c}.{d}",
        f"version {a}.{b}.{c}.{d}",
        f"{a}.{b}.{c}",
        f"release {a}.{b}.{c}.{d}",
        f"Windows 10.0.19045.{2000 + d}",
        f"pkg@{a}.{b}.{c}",
        f"firmware: {a}.{b}.{c}.{d}",
    )


def _order(draw: Draw) -> str:
    return _one(
        draw,
        f"order {_digits(draw, 5)}-{_digits(draw, 5)}",
        f"ORD-{draw.integers(2000, 2030)}-{_digits(draw, 6)}",
        f"order no. {_digits(draw, 10)}",
        f"ticket #{_digits(draw, 8)}",
        f"invoice 2024/{_digits(draw, 7)}",
        f"ref: {_digits(draw, 3)}-{_digits(draw, 5)}",
        f"{_digits(draw, 5)}-{_digits(draw, 4)}",
        f"{_digits(draw, 9, '123456789')}",
        f"{_digits(draw, 12, '123456789')}",
    )


def _machine_id(draw: Draw) -> str:
    hexes = "".join(_one(draw, *"0123456789abcdef") for _ in range(32))
    return _one(
        draw,
        _grouped(hexes, (8, 4, 4, 4, 12), "-"),
        hexes,
        f"17{_digits(draw, 8)}",
        f"17{_digits(draw, 11)}",
        ":".join(hexes[at : at + 2] for at in range(0, 12, 2)),
        f"1Z{hexes[:6].upper()}{_digits(draw, 10)}",
        f"0.{_digits(draw, 11)}",
        f"std::vector<{_one(draw, 'int', 'float')}> a::b",
        f"{_digits(draw, 2)} {_digits(draw, 2)} {_digits(draw, 2)} {_digits(draw, 2)}",
        f"{draw.uniform(-90, 90):.6f}, {draw.uniform(-180, 180):.6f}",
    )


def _book(draw: Draw) -> str:
    isbn = f"978{_digits(draw, 10)}"
    return _one(draw, _grouped(isbn, (3, 1, 2, 6, 1), "-"), isbn, f"ISBN {isbn}")


def _word(draw: Draw) -> str:
    return _one(
        draw, "me @ work", "@home", "a@b", "meet@noon", "the 49ers won 28:35", "DE89 is a code"
    )


MAKERS: dict[str, tuple[str, Maker]] = {
    "email": ("email", _email),
    "phone": ("phone", _phone),
    "card": ("card", _card),
    "iban": ("IBAN", _iban),
    "ip": ("address", _ip),
    "us_ssn": ("social security number", _us_ssn),
    "uk_nino": ("NI number", _uk_nino),
    "uk_nhs": ("NHS number", _uk_nhs),
    "es_dni": ("DNI", _es_dni),
    "it_codice_fiscale": ("codice fiscale", _it_codice_fiscale),
    "de_tax_id": ("Steuer-ID", _de_tax_id),
    "fr_nir": ("numéro de sécu", _fr_nir),
    "br_cpf": ("CPF", _br_cpf),
    "in_aadhaar": ("Aadhaar", _in_aadhaar),
}
"""By kind: what people call it, and what makes one."""

_UNCLEAR = {"NHS number with a wrong digit": "phone"}
NEAR_MISSES: dict[str, Maker] = {
    "date": _date,
    "price": _price,
    "version": _version,
    "order number": _order,
    "machine id": _machine_id,
    "book number": _book,
    "word": _word,
    "card with a wrong digit": _wrong_check(_card),
    "IBAN with wrong digits": lambda draw: _iban(draw, wrong=int(draw.integers(1, 90))),
    "NHS number with a wrong digit": _wrong_check(_uk_nhs),
    "DNI with a wrong letter": lambda draw: _es_dni(draw, wrong=int(draw.integers(1, 22))),
    "codice fiscale with a wrong letter": lambda draw: _it_codice_fiscale(
        draw, wrong=int(draw.integers(1, 25))
    ),
    "tax id with a wrong digit": _wrong_check(_de_tax_id),
    "NIR with a wrong key": _wrong_check(_fr_nir),
    "CPF with a wrong digit": _wrong_check(_br_cpf),
    "Aadhaar with a wrong digit": _wrong_check(_in_aadhaar),
}
"""What looks like personal data and is none."""
