"""Reads through disguises of plain characters: what looks like a digit counts as that digit.

Full-width and other compatibility forms become plain (NFKC, one character at a time), digits of any
script become 0 to 9, dashes a hyphen, spaces a space; accents that stand alone, soft hyphens and
what has no width are passed over. Letters of another script that look alike stay what they are.
"""

import re
import unicodedata

_NON_ASCII = re.compile(r"[^\x00-\x7f]")
# Marks and controls that no reader sees, or that only adorn the character before them.
_UNSEEN = (
    "\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u20d0-\u20ff\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
_DASHES = "\u058a\u05be\u2010-\u2015\u2043\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d"
# What text in the form NFKC still holds to fold.
_LEFT = re.compile(rf"[{_UNSEEN}{_DASHES}\u1680]|[^\D0-9]")
_IS_UNSEEN = re.compile(f"[{_UNSEEN}]")
_IS_DASH = re.compile(f"[{_DASHES}]")


def fold(text: str) -> str:
    """Give the plain form of a text; most texts are their own."""
    if text.isascii() or (_LEFT.search(text) is None and unicodedata.is_normalized("NFKC", text)):
        return text
    return _NON_ASCII.sub(lambda found: _plain(found[0]), text)


def places_of(text: str) -> list[int]:
    """Give for each character of the plain form the place that it has in the text."""
    places: list[int] = []
    for place, char in enumerate(text):
        places.extend([place] * (1 if char.isascii() else len(_plain(char))))
    return places


def _plain(char: str) -> str:
    if _IS_UNSEEN.match(char):
        return ""
    return "".join(map(_plainest, unicodedata.normalize("NFKC", char)))


def _plainest(char: str) -> str:
    if char.isascii():
        return char
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if _IS_DASH.match(char):
        return "-"
    if char.isspace():
        return " "
    return "" if _IS_UNSEEN.match(char) else char
