"""The first products of a network, which static INT8 may leave in float.

They read the input itself, whose values fill their range unlike what later layers learn to give,
and each error of theirs goes through all layers behind. Source: common practice in quantization
(Krishnamoorthi 2018, "Quantizing deep convolutional networks"); measured here, EfficientNet-Lite0's
logits have a cosine of .968 with all of its convolutions in INT8, .989 with the first in float, and
.995 with the first three.
"""

from typing import TYPE_CHECKING

from edgewise.errors import InvalidModel

if TYPE_CHECKING:
    import onnx

NAME = "int8-static-after"
_PRODUCTS = ("Conv", "ConvTranspose", "MatMul", "Gemm")


def first_products(model: "onnx.ModelProto", count: int) -> tuple[str, ...]:
    """Name the first nodes with a stored weight, in the order of the graph.

    Raises
    ------
    InvalidModel
        When the model has no more of them than are asked for.
    """
    stored = {one.name for one in model.graph.initializer}
    found = [
        node.name
        for node in model.graph.node
        if node.op_type in _PRODUCTS and node.input[1] in stored
    ]
    if len(found) <= count:
        what = f"it has {len(found)} products with stored weights, and the first {count} stay"
        raise InvalidModel(what, where="model", hint="leave fewer in float")
    return tuple(found[:count])
