"""Evidence against a mean can't grow on average while the mean is what was promised."""

import math
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.observe import EProcess

ALPHAS = st.floats(0.001, 0.5)
RATES = st.floats(0.01, 1.0)


@dataclass(frozen=True)
class World:
    """One request: kept with some chance, and then a loss of each size with some chance."""

    alpha: float
    share: float
    kept: float
    losses: tuple[tuple[float, float], ...]

    @property
    def risk(self) -> float:
        return self.kept * sum(loss * chance for loss, chance in self.losses)


@st.composite
def worlds(draw: st.DrawFn, *, signed: bool) -> World:
    """A world whose risk is exactly alpha, or below it."""
    alpha, kept = draw(ALPHAS), draw(st.floats(0.05, 1.0))
    sizes = (1.0, draw(st.floats(0.05, 1.0)), -1.0 if signed else 0.0)
    weights = draw(st.tuples(*[st.floats(0.0, 1.0)] * 3))
    total = sum(weights) or 1.0
    losses = tuple((one, weight / total) for one, weight in zip(sizes, weights, strict=True))
    risk = kept * sum(loss * chance for loss, chance in losses)
    if risk > alpha:  # less is lost, each time in the same shares
        rest = alpha / risk
        losses = tuple((one, chance * rest) for one, chance in losses)
        losses = (*losses, (0.0, 1.0 - rest))
    return World(alpha, draw(RATES), kept, losses)


def copy_of(test: EProcess) -> EProcess:
    return EProcess.restored(test.saved())


def next_mean(test: EProcess, world: World) -> float:
    """Work out what the e-value is worth after one more request, on average."""
    unseen = copy_of(test)
    unseen.skip(1)
    seen = 0.0
    for loss, chance in world.losses:
        after = copy_of(test)
        after.add(loss)
        seen += chance * after.e_value
    audited = world.kept * world.share
    return (1.0 - audited) * unseen.e_value + audited * seen


@pytest.mark.parametrize("signed", [False, True])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_evidence_does_not_grow_on_average_whatever_came_before(
    signed: bool,
    data: st.DataObject,
) -> None:
    world = data.draw(worlds(signed=signed))
    test = EProcess(alpha=world.alpha, share=world.share, signed=signed)
    low = -1.0 if signed else 0.0
    for loss in data.draw(st.lists(st.floats(low, 1.0), max_size=6)):
        test.skip(data.draw(st.sampled_from([0, 1, 40, 900])))
        test.add(loss)

    assert world.risk <= world.alpha * (1 + 1e-9)
    assert next_mean(test, world) <= test.e_value * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(alpha=ALPHAS, share=RATES, counts=st.lists(st.integers(0, 500), max_size=5))
def test_a_run_of_requests_counts_as_each_of_them(
    alpha: float, share: float, counts: list[int]
) -> None:
    whole, single = EProcess(alpha=alpha, share=share), EProcess(alpha=alpha, share=share)

    whole.skip(sum(counts))
    for count in counts:
        single.skip(count)

    assert whole.units == single.units == sum(counts)
    assert whole.e_value == pytest.approx(single.e_value)


@settings(max_examples=60, deadline=None)
@given(
    alpha=ALPHAS,
    share=RATES,
    signed=st.booleans(),
    losses=st.lists(st.floats(0.0, 1.0), max_size=8),
)
def test_evidence_is_finite_and_above_nothing(
    alpha: float,
    share: float,
    signed: bool,
    losses: list[float],
) -> None:
    test = EProcess(alpha=alpha, share=share, signed=signed)

    for loss in losses:
        test.add(-loss if signed else loss)
    for _ in range(300):
        test.add(1.0)

    assert 0.0 < test.e_value < math.inf
