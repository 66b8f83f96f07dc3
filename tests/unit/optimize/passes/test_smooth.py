"""Balancing changes no float answer, and lets 8 bits hold activations with outliers."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numeric_models import answers, bert, convnet, cosines, images, model_of, sentences
from onnx import TensorProto, helper, numpy_helper

from edgewise.errors import InvalidData, InvalidModel, UsageError
from edgewise.optimize.passes import int8_dynamic
from edgewise.optimize.passes.smooth import smooth
from edgewise.runtimes.protocol import Tensors


def net(
    maker: str, *, outlier: float = 1.0, residual: bool = False, seed: int = 0
) -> onnx.ModelProto:
    """Make x -> LayerNormalization, or a product with a stored number -> MatMul."""
    rng = np.random.default_rng(seed)
    scale = np.ones(16)
    scale[5] = outlier
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale", "shift"], ["h"], "norm")
        if maker == "norm"
        else helper.make_node("Mul", ["x", "scale"], ["h"], "norm"),
        helper.make_node("MatMul", ["h", "w"], ["p" if residual else "logits"], "product"),
    ]
    if residual:
        nodes.append(helper.make_node("Add", ["h", "p"], ["logits"], "sum"))
    weights = {"scale": scale, "shift": rng.standard_normal(16), "w": rng.standard_normal((16, 16))}
    used = {name for node in nodes for name in node.input}
    return model_of(
        nodes,
        {"x": (TensorProto.FLOAT, ["n", "s", 16])},
        ["n", "s", 16],
        {name: value for name, value in weights.items() if name in used},
    )


def inputs(count: int, seed: int = 0) -> list[Tensors]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, count)
    return [{"x": rng.standard_normal((1, int(n), 16)).astype(np.float32)} for n in lengths]


def rows(model: onnx.ModelProto, samples: list[Tensors]) -> np.ndarray:
    return np.vstack([answers(model, [one]).reshape(-1, 16) for one in samples])


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@settings(max_examples=25, deadline=None)
@given(
    maker=st.sampled_from(["norm", "mul"]),
    outlier=st.floats(0.01, 100),
    residual=st.booleans(),
    strength=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_float_answers_stay_the_same(
    maker: str, outlier: float, residual: bool, strength: float, seed: int
) -> None:
    model = net(maker, outlier=outlier, residual=residual, seed=seed)
    samples = inputs(4, seed)

    made = smooth(model, samples, strength=strength)

    wanted = rows(model, samples)
    tolerance = 1e-4 * max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(rows(made, samples), wanted, rtol=1e-4, atol=tolerance)


@pytest.mark.parametrize("maker", ["norm", "mul"])
def test_the_division_is_folded_where_nothing_else_reads_the_activation(maker: str) -> None:
    alone, shared = net(maker, outlier=50), net(maker, outlier=50, residual=True)

    assert kinds(smooth(alone, inputs(3))) == kinds(alone)
    assert kinds(smooth(shared, inputs(3))) == [kinds(shared)[0], "Mul", *kinds(shared)[1:]]


def test_channels_meet_half_way_at_half_strength() -> None:
    model = net("mul", outlier=64)
    samples = inputs(6)

    made = smooth(model, samples, strength=0.5)

    stored = {one.name: numpy_helper.to_array(one) for one in made.graph.initializer}
    scale = next(value for name, value in stored.items() if "balanced" in name)
    largest = np.max([np.abs(one["x"]).max(axis=(0, 1)) for one in samples], axis=0) * scale
    # s = sqrt(a / w), so a / s and w s are both sqrt(a w)
    np.testing.assert_allclose(largest, np.abs(stored["w"]).max(axis=1), rtol=1e-4)


def test_dynamic_int8_of_outlying_channels_gets_nearer() -> None:
    model, samples = net("norm", outlier=100), inputs(40, seed=3)
    # the outlier's own share of the answer is taken away, so that the rest is seen
    weight = next(one for one in model.graph.initializer if one.name == "w")
    values = numpy_helper.to_array(weight).copy()
    values[5] = 0.01
    weight.CopyFrom(numpy_helper.from_array(values, "w"))
    wanted = rows(model, samples)

    plain = int8_dynamic.quantize(model, reduce_range=False)
    balanced = int8_dynamic.quantize(smooth(model, inputs(20)), reduce_range=False)

    lost = [np.abs(rows(made, samples) - wanted).mean() for made in (plain, balanced)]
    assert lost[1] < lost[0] / 5


def test_a_bert_with_outliers_gets_nearer_in_int8(tmp_path: Path) -> None:
    model, samples = bert(tmp_path, outliers=30.0), sentences(60, seed=4)
    wanted = answers(model, samples)

    balanced = smooth(model, sentences(20))
    found = [
        1 - cosines(answers(int8_dynamic.quantize(one, reduce_range=False), samples), wanted).mean()
        for one in (model, balanced)
    ]

    np.testing.assert_allclose(
        answers(balanced, samples), wanted, atol=1e-4 * float(np.abs(wanted).max())
    )
    assert found[1] < found[0] / 2


def test_the_gaussian_unit_stays_whole_so_that_runtimes_fuse_it(tmp_path: Path) -> None:
    model = bert(tmp_path)

    made = smooth(model, sentences(3))

    before = [node for node in model.graph.node if node.op_type in ("Erf", "Div", "Mul")]
    assert all(node in list(made.graph.node) for node in before)


def test_the_input_is_left_alone_and_skipped_products_too(tmp_path: Path) -> None:
    model = bert(tmp_path)
    before = model.SerializeToString(deterministic=True)
    products = [node for node in model.graph.node if node.op_type == "MatMul"]

    made = smooth(model, sentences(3), skip=[products[-1].name])

    assert model.SerializeToString(deterministic=True) == before
    assert list(made.graph.input) == list(model.graph.input)
    assert products[-1] in list(made.graph.node)
    assert products[0] not in list(made.graph.node)
    again = smooth(model, sentences(3), skip=[products[-1].name])
    assert made.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)


def test_wrong_use_is_told() -> None:
    model = net("norm")

    with pytest.raises(UsageError, match=r"strength is 1\.5"):
        smooth(model, inputs(1), strength=1.5)
    with pytest.raises(InvalidData, match="there are none"):
        smooth(model, [])
    with pytest.raises(InvalidModel, match="no product with a stored matrix"):
        smooth(convnet(), images(1))
    with pytest.raises(InvalidModel, match="no node `none`"):
        smooth(model, inputs(1), skip=["none"])
