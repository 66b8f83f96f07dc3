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
