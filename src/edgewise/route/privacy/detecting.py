"""Which kinds of personal data a text or an input holds, and where."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from edgewise.errors import UsageError
from edgewise.route.privacy import contact, names, national, payment
from edgewise.route.privacy.scanning import Place, Scan, Span

_Detector = tuple[int, Callable[[Scan], Iterator[Place]]]

# By kind: the digits that a text has at least when it holds one, and what finds them.
_WITHOUT_LIBRARY: dict[str, _Detector] = {
    "email": (0, contact.emails),
    "phone": (7, contact.phones),
    "card": (13, payment.cards),
    "iban": (4, payment.ibans),
    "ip": (0, contact.addresses),
    "us_ssn": (9, national.us_ssns),
    "uk_nino": (6, national.uk_ninos),
    "uk_nhs": (10, national.uk_nhs_numbers),
    "es_dni": (7, national.es_dnis),
    "it_codice_fiscale": (1, national.it_codici_fiscali),
    "de_tax_id": (11, national.de_tax_ids),
    "fr_nir": (13, national.fr_nirs),
    "br_cpf": (11, national.br_cpfs),
    "in_aadhaar": (12, national.in_aadhaars),
}
_DETECTORS: dict[str, _Detector] = {**_WITHOUT_LIBRARY, "name": (0, names.names)}

_LEAST_NUMBER = 10**6
_MOST_BITS = 128  # no kind has more than 34 digits
_SEED = "seed"

KINDS: tuple[str, ...] = tuple(_WITHOUT_LIBRARY)
"""The kinds that need no library. `name` is one more, and needs the extra `privacy`."""


def detect(text: str, kinds: Sequence[str]) -> tuple[str, ...]:
    """Give those of the kinds of personal data that a text holds, in the order asked.

    Parameters
    ----------
    kinds
        Of `KINDS`, and `name`.

    Raises
    ------
    UsageError
        When a kind is unknown.
    MissingExtra
        When `name` is asked for, and what finds names is not installed.

    Examples
    --------
    >>> detect("write to ana@example.org", ["email", "phone"])
    ('email',)
    """
    scan = Scan(text)
    digits = scan.digits
    found = []
    for kind in kinds:
        least, finder = _DETECTORS.get(kind) or _unknown(kind)
        if digits >= least and next(finder(scan), None) is not None:
            found.append(kind)
    return tuple(found)


def find(text: str, kinds: Sequence[str]) -> list[Span]:
    """Give where a text holds personal data, in order; what overlaps is one span, of the longest.

    Raises
    ------
    UsageError, MissingExtra
        As `detect`.

    Examples
    --------
    >>> find("write to ana@example.org", ["email"])
    [Span(start=9, end=24, kind='email')]
    """
    scan = Scan(text)
    spans = []
    for kind in kinds:
        least, finder = _DETECTORS.get(kind) or _unknown(kind)
        if scan.digits >= least:
            # The model that finds names reads the text as it was written.
            as_written = (
                place if kind == "name" else scan.as_written(place) for place in finder(scan)
            )
            spans += [Span(start, end, kind) for start, end in as_written]
    return _merged(sorted(spans, key=lambda span: (span.start, -span.end)))


def detect_in(value: object, kinds: Sequence[str]) -> tuple[str, ...]:
    """Give the kinds that any string or number of an input holds, however deep it lies.

    Arrays are not read, nor is the number of the input's own `seed`: it is drawn, and looks like a
    phone's.
    """
    if not kinds:
        return ()
    found = {kind for text in _texts_of(value) for kind in detect(text, kinds)}
    return tuple(kind for kind in kinds if kind in found) if found else ()


def strings_of(value: object) -> Iterator[str]:
    """Give every string in nested mappings and sequences, keys too; loops are walked once."""
    return _texts_of(value, numbers=False)


def written(number: float) -> str:
    """Give the digits by which a whole number may be a person's, such as a card's; else nothing.

    Numbers of fewer than seven digits are none, nor are the limits that a schema is full of:
    powers of two and one less, and one digit again and again, with zeros after it.

    Examples
    --------
    >>> written(4111111111111111), written(2**31 - 1), written(5_000_000_000), written(0.5)
    ('4111111111111111', '', '', '')
    """
    size = abs(number)
    if not size >= _LEAST_NUMBER or (isinstance(number, float) and not number.is_integer()):
        return ""
    whole = int(size)
    if whole.bit_length() > _MOST_BITS or whole & (whole - 1) == 0 or whole & (whole + 1) == 0:
        return ""
    digits = str(whole)
    return "" if len(set(digits.rstrip("0"))) == 1 else digits


def is_seed(key: object, item: object) -> bool:
    """Say whether a pair of an input is the seed of a draw."""
    return key == _SEED and isinstance(item, int)


def _texts_of(value: object, *, numbers: bool = True) -> Iterator[str]:
    """Give every string in nested mappings and sequences, keys too, and the digits of numbers.

    An image may come as a list of a hundred thousand numbers: most end here.
    """
    seen: set[int] = set()
    stack: list[object] = [value]
    if numbers and isinstance(value, Mapping) and is_seed(_SEED, value.get(_SEED)):
        seen.add(id(value))
        stack = [*value.keys(), *(item for key, item in value.items() if key != _SEED)]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, int | float):
            if numbers and not -_LEAST_NUMBER < one < _LEAST_NUMBER and (text := written(one)):
                yield text
        elif isinstance(one, Mapping):
            if id(one) not in seen:
                seen.add(id(one))
                stack.extend(one.keys())
                stack.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset) and id(one) not in seen:
            seen.add(id(one))
            stack.extend(one)


def _unknown(kind: str) -> _Detector:
    hint = f"one of: {', '.join(_DETECTORS)}"
    raise UsageError(f"no detector for `{kind}`", where="privacy.detect", hint=hint)


def _merged(spans: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    longest = 0
    for span in spans:
        if merged and span.start < merged[-1].end:
            last = merged[-1]
            length = span.end - span.start
            kind = span.kind if length > longest else last.kind
            merged[-1] = Span(last.start, max(last.end, span.end), kind)
            longest = max(longest, length)
        else:
            merged.append(span)
            longest = span.end - span.start
    return merged
