"""Static INT8 that leaves a network's first products in float."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewise.errors import InvalidModel
from edgewise.optimize import recipe
from edgewise.optimize.passes.first_products import first_products


def chain(length: int) -> onnx.ModelProto:
    """Convolutions in a row, each with a ReLU behind it."""
    rng = np.random.default_rng(3)
    nodes, weights, x = [], [], "x"
    for index in range(length):
        inner = 3 if index == 0 else 4
        weight = rng.normal(0, 0.4, (4, inner, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{index}"))
        name = f"conv{index}"
        nodes.append(helper.make_node("Conv", [x, f"w{index}"], [name], name=name))
        x = "y" if index == length - 1 else f"relu{index}"
        nodes.append(helper.make_node("Relu", [name], [x], name=f"relu_{index}"))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, None, None])],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def draft(model: onnx.ModelProto) -> recipe.Draft:
    rng = np.random.default_rng(5)
    inputs = [{"x": rng.normal(0, 1, (1, 3, 12, 12)).astype(np.float32)} for _ in range(3)]
    return recipe.Draft(model=model, samples=tuple(inputs))


def test_they_come_in_the_order_of_the_graph() -> None:
    assert first_products(chain(4), 2) == ("conv0", "conv1")


@pytest.mark.parametrize("count", [1, 2])
def test_the_first_weights_stay_as_they_are_and_the_others_get_eight_bits(count: int) -> None:
    model = chain(3)
    made = recipe.run(draft(model), (f"int8-static-after:{count}",)).model
    kept = {one.name: one for one in made.graph.initializer if one.data_type == TensorProto.FLOAT}
    for index in range(3):
        assert (f"w{index}" in kept) == (index < count)


def test_a_model_of_no_more_than_those_is_refused() -> None:
    with pytest.raises(InvalidModel, match="it has 2 products with stored weights"):
        recipe.run(draft(chain(2)), ("int8-static-after:2",))
