"""Channels and neurons that must go together.

From the output of a layer the search follows all operators that keep channels apart (activations,
BatchNormalization, pooling, depthwise convolutions, sums). What it meets at the other ends are the
layers that make the same channels and the layers that read them: one group. Where it meets
anything else (a Reshape, a model's output, a Concat), the group can't be cut and is left.

Source: Fang et al., "DepGraph: Towards Any Structural Pruning", 2023.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx

from edgewise.optimize.graphs.linears import Linear, linear_of, linear_to
from edgewise.optimize.graphs.wiring import Array, Wiring, attribute

_ALIKE = frozenset(
    [
        "Relu",
        "LeakyRelu",
        "Elu",
        "Selu",
        "Celu",
        "Sigmoid",
        "HardSigmoid",
        "HardSwish",
        "Tanh",
        "Erf",
        "Gelu",
        "Softplus",
        "Softsign",
        "Mish",
        "Sqrt",
        "Exp",
        "Log",
        "Neg",
        "Abs",
        "Clip",
        "Identity",
        "Dropout",
        "Cast",
        "Sin",
        "Cos",
        "Swish",
        "Silu",
    ]
)
_TWO_SIDED = frozenset(["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "PRelu"])
_POOLS = frozenset(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """An input of a node that is constant and has one slice a channel along an axis."""

    node: onnx.NodeProto
    index: int
    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A layer that mixes a group's channels. `linear` is `None` for a convolution."""

    cut: Cut
    x: str
    axis: int
    linear: Linear | None


@dataclass(slots=True, kw_only=True)
class Group:
    """Channels that are cut together. Made by `find_groups`."""

    width: int
    makers: list[Cut] = field(default_factory=list)
    """Weights that make the channels, one slice a channel."""
    carried: list[Cut] = field(default_factory=list)
    """Biases, norms and other constants with one value a channel."""
    readers: list[Reader] = field(default_factory=list)
    depthwise: list[onnx.NodeProto] = field(default_factory=list)
    has_conv: bool = False

    def narrow(self, wiring: Wiring, keep: Array) -> None:
        """Keep these channels alone."""
        for cut in [*self.makers, *self.carried, *(reader.cut for reader in self.readers)]:
            value = wiring.value(cut.node.input[cut.index])
            assert value is not None  # a cut is made from a constant
            wiring.put(cut.node, cut.index, np.take(value, keep, axis=cut.axis))
        for node in self.depthwise:
            for held in node.attribute:
                if held.name == "group":
                    held.i = len(keep)


def find_groups(wiring: Wiring) -> list[Group]:
    """Give all groups that can be cut, in the order of the nodes that make them."""
    seen: set[str] = set()
    found = []
    for node in wiring.nodes:
        start = _start(wiring, node)
        if start is None or start[0] in seen:
            continue
        flood = _Flood(wiring, start[2])
        if flood.run(start[0], start[1]) and flood.group.readers:
            found.append(flood.group)
        seen |= flood.seen.keys()
    return found


def _start(wiring: Wiring, node: onnx.NodeProto) -> tuple[str, int, int] | None:
    """Give (output, axis of its channels, their number) of a layer that makes channels."""
    linear = linear_of(wiring, node)
    if linear is not None:
        return linear.y, -1, linear.weight(wiring).shape[1]
    weight = wiring.value(node.input[1]) if node.op_type == "Conv" else None
    if weight is None or attribute(node, "group", 1) != 1:
        return None
    return node.output[0], 1, len(weight)


class _Flood:
    """Follows one layer's channels wherever they go."""

    def __init__(self, wiring: Wiring, width: int) -> None:
        self.wiring = wiring
        self.group = Group(width=width)
        self.seen: dict[str, int] = {}
        self._nodes: set[int] = set()
        self._open: list[tuple[str, int]] = []

    def run(self, name: str, axis: int) -> bool:
        """Say whether everything met can be cut. All is followed, so that it is met once."""
        self._join(name, axis)
        good = True
        while self._open:
            name, axis = self._open.pop()
            good &= name not in self.wiring.outputs
            good &= self._make(name, axis)
            for node in self.wiring.readers.get(name, []):
                good &= self._read(node, name, axis)
        return good

    def _join(self, name: str, axis: int) -> bool:
        if name in self.seen:
            return self.seen[name] == axis
        self.seen[name] = axis
        self._open.append((name, axis))
        return True

    def _make(self, name: str, axis: int) -> bool:
        linear = linear_to(self.wiring, name)
        if linear is not None:
            width = linear.weight(self.wiring).shape[1]
            self.group.makers.append(
                Cut(node=linear.node, index=1, axis=0 if linear.transposed else 1)
            )
            if linear.bias_node is not None:
                cut = Cut(node=linear.bias_node, index=linear.bias_index, axis=-1)
                self.group.carried.append(cut)
                self._nodes.add(id(linear.bias_node))
            return axis == -1 and width == self.group.width
        node = self.wiring.makers.get(name)
        if node is None:
            return False
        if node.op_type == "Conv" and attribute(node, "group", 1) == 1:
            weight = self.wiring.value(node.input[1])
            self.group.has_conv = True
            self.group.makers.append(Cut(node=node, index=1, axis=0))
            return weight is not None and len(weight) == self.group.width and self._bias(node)
        return self._pass(
            node, axis if node.op_type not in ("Flatten", "Squeeze", "ReduceMean") else 1
        )

    def _bias(self, conv: onnx.NodeProto) -> bool:
        if len(conv.input) > 2 and conv.input[2]:
            self.group.carried.append(Cut(node=conv, index=2, axis=0))
            return conv.input[2] in self.wiring.weights
        return True

    def _read(self, node: onnx.NodeProto, name: str, axis: int) -> bool:
        linear = linear_of(self.wiring, node)
        if linear is not None and linear.x == name:
            cut = Cut(node=node, index=1, axis=1 if linear.transposed else 0)
            self.group.readers.append(Reader(cut=cut, x=name, axis=-1, linear=linear))
            return axis == -1 and linear.weight(self.wiring).shape[0] == self.group.width
        if node.op_type == "Conv" and attribute(node, "group", 1) == 1:
            weight = self.wiring.value(node.input[1])
            cut = Cut(node=node, index=1, axis=1)
            self.group.readers.append(Reader(cut=cut, x=name, axis=1, linear=None))
            good = node.input[0] == name and axis == 1 and weight is not None
            return good and weight is not None and weight.shape[1] == self.group.width
        return self._pass(node, axis)

    def _pass(self, node: onnx.NodeProto, axis: int) -> bool:
        """Go through a node that keeps channels apart; `axis` is that of its input."""
        if id(node) in self._nodes:
            return True
        self._nodes.add(id(node))
        if node.domain or len(node.output) != 1:
            return False
        kind, x, y = node.op_type, node.input[0], node.output[0]
        if kind in _ALIKE:
            return self._join(x, axis) and self._join(y, axis)
        if kind in _TWO_SIDED:
            sides = [self._side(node, index, axis) for index in (0, 1)]
            return all(sides) and self._join(y, axis)
        if kind == "BatchNormalization":
            return self._norm(node, axis)
        return self._spatial(node) if axis == 1 else False

    def _spatial(self, node: onnx.NodeProto) -> bool:
        """Go through a node that works on images."""
        kind, x, y = node.op_type, node.input[0], node.output[0]
        if kind == "Conv":
            return self._depthwise(node)
        if kind in _POOLS or (kind == "ReduceMean" and self._is_spatial(node)):
            flat = kind == "ReduceMean" and not attribute(node, "keepdims", 1)
            return self._join(x, 1) and self._join(y, -1 if flat else 1)
        if kind not in ("Flatten", "Squeeze"):
            return False
        shape = self.wiring.shape(x)
        point = shape is not None and len(shape) == 4 and shape[2:] == (1, 1)
        point = point or self.wiring.maker(x, "GlobalAveragePool", "GlobalMaxPool") is not None
        point = point and attribute(node, "axis", 1) == 1
        return point and self._join(x, 1) and self._join(y, -1)

    def _side(self, node: onnx.NodeProto, index: int, axis: int) -> bool:
        """Take in one operand of a sum or product."""
        value = self.wiring.value(node.input[index])
        if value is None:
            return self._join(node.input[index], axis)
        if axis == -1:
            place = value.ndim - 1
        else:
            shape = self.wiring.shape(node.output[0])
            place = value.ndim - (len(shape) if shape is not None else 4) + 1
        if place < 0 or value.shape[place] == 1:
            return True
        self.group.carried.append(Cut(node=node, index=index, axis=place))
        return bool(value.shape[place] == self.group.width)

    def _norm(self, node: onnx.NodeProto, axis: int) -> bool:
        shape = self.wiring.shape(node.input[0])
        fixed = all(name in self.wiring.weights for name in node.input[1:5])
        flat = shape is not None and len(shape) == 2
        self.group.carried += [Cut(node=node, index=index, axis=0) for index in range(1, 5)]
        joined = self._join(node.input[0], axis) and self._join(node.output[0], axis)
        return joined and fixed and (axis == 1 or flat)

    def _depthwise(self, node: onnx.NodeProto) -> bool:
        weight = self.wiring.value(node.input[1])
        self.group.carried.append(Cut(node=node, index=1, axis=0))
        self.group.depthwise.append(node)
        joined = self._join(node.input[0], 1) and self._join(node.output[0], 1)
        good = weight is not None and weight.shape[:2] == (self.group.width, 1)
        good = good and bool(attribute(node, "group", 1) == self.group.width)
        return joined and good and self._bias(node)

    def _is_spatial(self, node: onnx.NodeProto) -> bool:
        axes = attribute(node, "axes")
        if axes is None and len(node.input) > 1:
            value = self.wiring.value(node.input[1])
            axes = None if value is None else value.tolist()
        return axes is not None and sorted(axis % 4 for axis in axes) == [2, 3]
