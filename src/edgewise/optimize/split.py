"""The part of train that nothing is fitted on: the gate, the choice and the calibrators see it."""

import hashlib

from edgewise.records import Example, Split

_HELD_OUT_PERCENT = 20


def is_held_out(example: Example) -> bool:
    """Say whether an example is in the held-out fifth, by a hash of its input."""
    text = "\0".join(("held-out", example.identity))
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % 100 < _HELD_OUT_PERCENT


def held_out(train: Split) -> Split:
    """Give the held-out fifth of train."""
    return _part(train, "held-out", keep=True)


def fit_part(train: Split) -> Split:
    """Give the other four fifths."""
    return _part(train, "fit", keep=False)


def _part(train: Split, name: str, *, keep: bool) -> Split:
    examples = tuple(e for e in train.examples if is_held_out(e) is keep)
    sha256 = hashlib.sha256(f"{train.sha256}/{name}".encode()).hexdigest()
    return Split(name=name, examples=examples, sha256=sha256)
