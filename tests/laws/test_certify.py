"""Laws of the certificate."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise import certify


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(150, 500))
    confidence = np.round(rng.random(n), draw(st.integers(1, 6)))
    edge = rng.random(n) < draw(st.floats(0.5, 1.0))
    return confidence, edge, rng.random(n) < draw(st.floats(0.5, 1.0))


losses = st.sampled_from(["net", "regret", "kept_error", "disagreement"])


@settings(max_examples=40, deadline=None)
@given(tables(), losses)
def test_a_larger_alpha_never_defers_more(
    table: tuple[np.ndarray, np.ndarray, np.ndarray], loss: str
) -> None:
    strict = certify(*table, loss=loss, alpha=0.03)
    loose = certify(*table, loss=loss, alpha=0.08)

    assert loose.deferral_rate <= strict.deferral_rate


@settings(max_examples=40, deadline=None)
@given(tables(), losses, st.integers(0, 2**32 - 1))
def test_the_order_of_examples_does_not_matter(
    table: tuple[np.ndarray, np.ndarray, np.ndarray], loss: str, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(table[0]))

    shuffled = certify(*(column[order] for column in table), loss=loss, alpha=0.05)

    assert shuffled == certify(*table, loss=loss, alpha=0.05)
