"""Ranges from samples that stream: what each calibrator keeps and what it cuts off."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numeric_models import model_of
from onnx import TensorProto, helper

from edgewise.errors import InvalidData
from edgewise.optimize.graphs.activations import observe
from edgewise.optimize.graphs.ranges import (
    TAIL_SHARE,
    Calibrator,
    clip_by_entropy,
    clip_tails,
    measure_ranges,
)

NODES = [
    helper.make_node("Mul", ["x", "two"], ["twice"], "twice"),
    helper.make_node("ReduceSum", ["twice"], ["logits"], "sum", keepdims=0),
]
MODEL = model_of(
    NODES, {"x": (TensorProto.FLOAT, ["n", "s"])}, [], {"two": np.asarray(2, np.float32)}
)


def sample(*values: float) -> dict[str, np.ndarray]:
    return {"x": np.asarray([values], np.float32)}


def test_extremes_are_those_of_all_samples_and_hold_zero() -> None:
    samples = [sample(1.0, 2.0), sample(3.0), sample(2.0, 0.5, 1.0)]

    found = measure_ranges(MODEL, ["x", "twice"], samples, Calibrator.MINMAX)

    assert found == {"x": (0.0, 3.0), "twice": (0.0, 6.0)}


def test_one_value_in_a_million_does_not_set_a_percentile_range() -> None:
    rng = np.random.default_rng(0)
    samples = [sample(*rng.uniform(-1, 1, 50_000)), sample(100.0)]

    low, high = measure_ranges(MODEL, ["x"], samples, Calibrator.PERCENTILE)["x"]

    # bins are 101 / 2048 wide
    assert -1.0 <= low <= -0.99
    assert 0.99 <= high <= 1.06


def test_entropy_cuts_a_far_value_off_and_keeps_an_even_spread() -> None:
    rng = np.random.default_rng(0)
    bell, even = rng.normal(0, 1, 50_000), rng.uniform(-1, 1, 50_000)

    far = measure_ranges(MODEL, ["x"], [sample(*bell), sample(60.0)], Calibrator.ENTROPY)["x"]
    full = measure_ranges(MODEL, ["x"], [sample(*even)], Calibrator.ENTROPY)["x"]

    assert 2.0 < far[1] < 10.0
    assert full == pytest.approx((-1.0, 1.0), abs=0.02)


def test_zeros_do_not_move_an_entropy_range() -> None:
    rng = np.random.default_rng(0)
    ramp = rng.uniform(0, 6, 20_000)

    found = measure_ranges(
        MODEL, ["x"], [sample(*ramp), sample(*np.zeros(200_000))], Calibrator.ENTROPY
    )

    assert found["x"] == pytest.approx((0.0, 6.0), abs=0.1)


@given(
    counts=arrays(np.int64, st.integers(2, 300), elements=st.integers(0, 1000)),
    low=st.floats(-100, 0),
    high=st.floats(0, 100),
)
def test_a_chosen_range_lies_in_the_extremes_and_holds_zero(
    counts: np.ndarray, low: float, high: float
) -> None:
    for choose in (clip_tails, clip_by_entropy):
        first, last = choose(counts, (low, high))
        assert low - 1e-9 <= first <= 0.0 <= last <= high + 1e-9


@given(
    counts=arrays(np.int64, st.integers(2, 300), elements=st.integers(0, 1000)),
    low=st.floats(-100, -0.1),
    high=st.floats(0.1, 100),
)
def test_a_percentile_range_leaves_no_more_than_its_share_outside(
    counts: np.ndarray, low: float, high: float
) -> None:
    first, last = clip_tails(counts, (low, high))

    edges = np.linspace(low, high, len(counts) + 1)
    outside = counts[(edges[1:] <= first + 1e-9)].sum() + counts[edges[:-1] >= last - 1e-9].sum()
    assert outside <= TAIL_SHARE * counts.sum() + 1e-9


def test_observing_gives_every_shape_as_it_came() -> None:
    samples = [sample(1.0), sample(1.0, 2.0, 3.0), sample(4.0, 5.0)]

    found = list(observe(MODEL, ["twice", "logits"], samples))

    assert [one["twice"].tolist() for one in found] == [[[2.0]], [[2.0, 4.0, 6.0]], [[8.0, 10.0]]]
    assert [float(one["logits"]) for one in found] == [2.0, 12.0, 18.0]


def test_a_tensor_that_overflows_is_named() -> None:
    with pytest.raises(InvalidData, match=r"sample inputs\[1\]: the tensor `twice` is not finite"):
        list(observe(MODEL, ["twice"], [sample(1.0), sample(3e38)]))
