"""The layer of the logits is found, and stays in float."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgewise.optimize.graphs.output_layer import output_layer
from edgewise.optimize.passes import int8_dynamic
from edgewise.optimize.sources.bert import BertSource

GOLDEN = Path(__file__).parents[2] / "golden/bert_family"


def linear(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_linear_layer_behind_bias_and_softmax_is_named() -> None:
    model = linear(
        helper.make_node("MatMul", ["x", "w"], ["a"], name="hidden"),
        helper.make_node("MatMul", ["a", "w"], ["b"], name="head"),
        helper.make_node("Add", ["b", "w"], ["c"], name="bias"),
        helper.make_node("Softmax", ["c"], ["y"], name="softmax"),
    )

    assert output_layer(model) == ("head",)


def test_output_that_no_linear_layer_gives_names_none() -> None:
    relu = linear(
        helper.make_node("MatMul", ["x", "w"], ["a"], name="hidden"),
        helper.make_node("Relu", ["a"], ["y"], name="relu"),
    )
    joined = linear(
        helper.make_node("MatMul", ["x", "w"], ["a"], name="one"),
        helper.make_node("MatMul", ["x", "w"], ["b"], name="two"),
        helper.make_node("Add", ["a", "b"], ["y"], name="join"),
    )

    assert output_layer(relu) == ()
    assert output_layer(joined) == ()


def test_layer_kept_in_float_is_left_bit_for_bit() -> None:
    source = BertSource(GOLDEN / "bert")
    words = next(one for one in source.features().graph.initializer if one.name == "words")
    weight = np.random.default_rng(0).normal(size=(3, words.dims[1])).astype(np.float32)
    model = source.classifier(source.layers, (weight, np.zeros(3, np.float32)))

    made = int8_dynamic.quantize(model, reduce_range=True, keep_float=output_layer(model))

    kept = {one.name: one for one in made.graph.initializer}
    assert np.array_equal(numpy_helper.to_array(kept["head.weight"]), weight.T)
    assert any(node.op_type == "DynamicQuantizeLinear" for node in made.graph.node)
