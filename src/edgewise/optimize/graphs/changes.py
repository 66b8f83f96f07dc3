"""Whether a pass did anything to a model. Pure."""

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_IN_FEW_BITS = frozenset(
    (
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
        *("MatMulInteger", "ConvInteger", "MatMulNBits", "GatherBlockQuantized"),
    )
)


def has_more_in_few_bits(before: "onnx.ModelProto", after: "onnx.ModelProto") -> bool:
    """Say whether there are more operators on numbers of few bits than before."""

    def count(model: "onnx.ModelProto") -> int:
        return sum(node.op_type in _IN_FEW_BITS for node in model.graph.node)

    return count(after) > count(before)


def has_other_operators(before: "onnx.ModelProto", after: "onnx.ModelProto") -> bool:
    """Say whether the operators are others, or otherwise many."""
    first, second = (Counter(node.op_type for node in one.graph.node) for one in (before, after))
    return first != second


def has_other_bytes(before: "onnx.ModelProto", after: "onnx.ModelProto") -> bool:
    """Say whether any bit differs."""
    first: bytes = before.SerializeToString()
    second: bytes = after.SerializeToString()
    return first != second
