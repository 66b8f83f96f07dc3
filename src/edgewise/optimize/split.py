"""The part of train that nothing is fitted on: the gate, the choice and the calibrators see it."""

import hashlib
import math

from edgewise.records import Example, Split

_HELD_OUT_PERCENT = 20


def is_held_out(example: Example) -> bool:
    """Say whether an example is in the held-out fifth, by a hash of its input.

    White space is folded, as where splits are held apart: the same text is on one side.
    """
    return _place(" ".join(example.identity.split())) % 100 < _HELD_OUT_PERCENT


def held_out(train: Split) -> Split:
    """Give the held-out fifth of train."""
    return _part(train, "held-out", keep=True)


def fit_part(train: Split) -> Split:
    """Give the other four fifths."""
    return _part(train, "fit", keep=False)


def spread(n: int, most: int) -> tuple[int, ...]:
    """Give the places of at most so many of `n` rows, evenly from the first to the end."""
    count = min(n, most)
    return tuple(at * n // count for at in range(count))


def _part(train: Split, name: str, *, keep: bool) -> Split:
    clusters = {e.cluster for e in train.examples if e.cluster is not None}
    # Of few clusters a hash might hold out none: the fifth that comes first by it is taken.
    count = math.ceil(len(clusters) * _HELD_OUT_PERCENT / 100)
    held = set(sorted(clusters, key=lambda one: (_place(one), one))[:count])
    examples = tuple(
        e
        for e in train.examples
        if (is_held_out(e) if e.cluster is None else e.cluster in held) is keep
    )
    sha256 = hashlib.sha256(f"{train.sha256}/{name}".encode()).hexdigest()
    return Split(name=name, examples=examples, sha256=sha256)


def _place(key: str) -> int:
    text = "\0".join(("held-out", key))
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)
