"""Models with branches, whose graphs read tensors and weights of the graph around them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from numeric_models import answers, cosines, model_of
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgewise.optimize.graphs.batch_norm import fold_batch_norms
from edgewise.optimize.passes.fuse import fuse
from edgewise.optimize.passes.int8_static import quantize_static
from edgewise.optimize.passes.smooth import smooth
from edgewise.optimize.passes.weight_only import quantize_weights
from edgewise.runtimes.protocol import Tensors

WIDTH = 32
Pass = Callable[[onnx.ModelProto], onnx.ModelProto]


def rows(count: int) -> list[Tensors]:
    rng = np.random.default_rng(7)
    return [{"x": rng.standard_normal((1, WIDTH)).astype(np.float32)} for _ in range(count)]


def branching() -> onnx.ModelProto:
    """Make a model whose branches read a weight, and what a product beside them reads too."""
    rng = np.random.default_rng(5)

    def branch(kind: str) -> onnx.GraphProto:
        gives = helper.make_tensor_value_info(kind, TensorProto.FLOAT, ["batch", WIDTH])
        node = helper.make_node(kind, ["normal", "outer"], [kind])
        return helper.make_graph([node], kind, [], [gives])

    scale = np.ones(WIDTH)
    scale[3] = 40.0
    weights: dict[str, NDArray[Any]] = {
        "first": rng.standard_normal((WIDTH, WIDTH)) / 6,
        "scale": scale,
        "shift": np.zeros(WIDTH),
        "outer": rng.standard_normal(WIDTH),
        "second": rng.standard_normal((WIDTH, WIDTH)) / 6,
        "last": rng.standard_normal((WIDTH, 3)),
        "zero": np.zeros(()),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["h"], "one"),
        helper.make_node("LayerNormalization", ["h", "scale", "shift"], ["normal"], "norm"),
        helper.make_node("MatMul", ["normal", "second"], ["direct"], "two"),
        helper.make_node("ReduceSum", ["x"], ["total"], "sum", keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["is_above"], "greater"),
        helper.make_node(
            "If",
            ["is_above"],
            ["either"],
            "if",
            then_branch=branch("Mul"),
            else_branch=branch("Add"),
        ),
        helper.make_node("Add", ["direct", "either"], ["both"], "add"),
        helper.make_node("MatMul", ["both", "last"], ["logits"], "three"),
    ]
    takes: dict[str, tuple[int, list[Any]]] = {"x": (TensorProto.FLOAT, ["batch", WIDTH])}
    return model_of(nodes, takes, ["batch", 3], weights)


@pytest.mark.parametrize(
    ("change", "nearness"),
    [
        (lambda model: quantize_weights(model, bits=8), 0.998),
        (lambda model: smooth(model, rows(8)), 0.999999),
        (lambda model: quantize_static(model, rows(8)), 0.98),
        (fuse, 0.999999),
        (fold_batch_norms, 0.999999),
    ],
    ids=["int8-weights", "smooth", "int8-static", "fuse", "fold"],
)
def test_branches_still_find_what_they_read(change: Pass, nearness: float) -> None:
    model, samples = branching(), rows(20)

    made = change(model)

    assert cosines(answers(made, samples), answers(model, samples)).min() > nearness
