"""The held-out fifth of train, with and without clusters."""

import pytest

from edgewise.optimize import fit_part, held_out
from edgewise.records import Example, Split


def train(clusters: int | None) -> Split:
    examples = tuple(
        Example(f"text {i}", "a", cluster=None if clusters is None else f"user {i % clusters}")
        for i in range(400)
    )
    return Split(name="train", examples=examples, sha256="0")


@pytest.mark.parametrize("clusters", [2, 5, 60])
def test_clusters_are_held_out_whole(clusters: int) -> None:
    split = train(clusters)

    held, fit = held_out(split), fit_part(split)

    near, far = ({e.cluster for e in part.examples} for part in (held, fit))
    assert near
    assert not near & far
    assert len(near) == -(-clusters * 20 // 100)
    assert {*held.examples, *fit.examples} == set(split.examples)


def test_without_clusters_about_a_fifth_is_held_out_by_input() -> None:
    split = train(None)

    held = held_out(split)

    assert 0.12 < len(held.examples) / 400 < 0.28
    assert len(held.examples) + len(fit_part(split).examples) == 400


def test_inputs_that_differ_in_white_space_are_held_out_together() -> None:
    words = [f"text {i}" for i in range(200)]
    examples = tuple(Example(t, "a") for word in words for t in (word, f" {word}", f"{word}\n"))
    split = Split(name="train", examples=examples, sha256="0")

    held, fit = (
        {e.input.strip() for e in part.examples} for part in (held_out(split), fit_part(split))
    )

    assert held
    assert not held & fit
