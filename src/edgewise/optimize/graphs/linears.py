"""Linear layers as a graph has them: MatMul with an optional Add, or Gemm."""

from dataclasses import dataclass

import numpy as np
import onnx

from edgewise.optimize.graphs.wiring import Array, Wiring, attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """`y = x W + b`. Made by `linear_at`; `b` is absent where `bias_node` is `None`."""

    x: str
    y: str
    node: onnx.NodeProto
    bias_node: onnx.NodeProto | None
    bias_index: int = 0
    transposed: bool = False

    def weight(self, wiring: Wiring) -> Array:
        """Give W as (in, out)."""
        found = wiring.value(self.node.input[1])
        assert found is not None  # `linear_at` saw it
        return found.T if self.transposed else found

    def bias(self, wiring: Wiring) -> Array:
        """Give b as (out,), zeros where there is none."""
        if self.bias_node is None:
            weight = self.weight(wiring)
            return np.zeros(weight.shape[1], dtype=weight.dtype)
        found = wiring.value(self.bias_node.input[self.bias_index])
        assert found is not None  # `linear_at` saw it
        return found.reshape(-1)

    def set_weight(self, wiring: Wiring, value: Array) -> None:
        """Put W of shape (in, out)."""
        wiring.put(self.node, 1, value.T if self.transposed else value)

    def set_bias(self, wiring: Wiring, value: Array) -> bool:
        """Put b; `False` where the layer has none to put it in."""
        if self.bias_node is None:
            return False
        wiring.put(self.bias_node, self.bias_index, value)
        return True


def linear_of(wiring: Wiring, node: onnx.NodeProto) -> Linear | None:
    """Read the layer that a MatMul or Gemm node begins."""
    if node.op_type not in ("MatMul", "Gemm") or node.domain:
        return None
    weight = wiring.value(node.input[1])
    if weight is None or weight.ndim != 2 or node.input[0] in wiring.weights:
        return None
    return _of_matmul(wiring, node) if node.op_type == "MatMul" else _of_gemm(wiring, node)


def _of_matmul(wiring: Wiring, node: onnx.NodeProto) -> Linear:
    width = wiring.weights[node.input[1]].dims[1]
    add = wiring.only_reader(node.output[0], "Add")
    sides = wiring.operands(add) if add is not None else None
    if add is None or sides is None or not _is_vector(wiring, sides[1], width):
        return Linear(x=node.input[0], y=node.output[0], node=node, bias_node=None)
    index = list(add.input).index(sides[1])
    x, y = node.input[0], add.output[0]
    return Linear(x=x, y=y, node=node, bias_node=add, bias_index=index)


def _of_gemm(wiring: Wiring, node: onnx.NodeProto) -> Linear | None:
    factors = (attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0))
    if factors != (1.0, 1.0) or attribute(node, "transA", 0):
        return None
    transposed = bool(attribute(node, "transB", 0))
    width = wiring.weights[node.input[1]].dims[0 if transposed else 1]
    has_bias = len(node.input) > 2 and bool(node.input[2])
    if has_bias and not _is_vector(wiring, node.input[2], width):
        return None
    return Linear(
        x=node.input[0],
        y=node.output[0],
        node=node,
        bias_node=node if has_bias else None,
        bias_index=2,
        transposed=transposed,
    )


def linear_to(wiring: Wiring, y: str) -> Linear | None:
    """Read the layer whose output a tensor is."""
    node = wiring.maker(y, "MatMul", "Gemm", "Add")
    if node is not None and node.op_type == "Add":
        sides = wiring.operands(node)
        node = wiring.maker(sides[0], "MatMul") if sides is not None else None
    found = linear_of(wiring, node) if node is not None else None
    return found if found is not None and found.y == y else None


def _is_vector(wiring: Wiring, name: str, width: int) -> bool:
    value = wiring.value(name)
    return value is not None and value.size == width and value.shape[-1:] == (width,)
