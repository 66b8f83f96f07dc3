"""The residual stream: all tensors whose last axis is the width that normalizations work on.

Found by following that axis from the normalizations, in both directions, through whatever keeps it;
linear layers, tables and attention are where it begins and ends.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx

from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.wiring import Array, Wiring, attribute

_WHERE = "prune-width"
_ALIKE = (
    *("Add", "Sub", "Mul", "Div", "Max", "Min", "Where", "Identity", "Cast", "Dropout"),
    *("Relu", "Tanh", "Erf", "Sigmoid", "Gelu", "Clip", "Sqrt"),
)
_ALONG = ("Gather", "Slice", "Unsqueeze", "Squeeze", "ReduceMean", "ReduceSum")
"""These keep the last axis where they work on another one."""
_NO_VALUES = ("Shape",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Made by `find_stream`, narrowed by the pass."""

    width: int
    tensors: tuple[str, ...]
    """Normalized ones, which say how much each channel carries."""
    given: tuple[str, ...]
    """Outputs of the model that are in the stream."""
    cuts: tuple[tuple[onnx.NodeProto, int, int], ...] = field(repr=False)
    """Stored tensors to cut: the node that reads one, which input it is, and the axis."""

    def narrow(self, wiring: Wiring, keep: Array) -> None:
        """Cut everything down to the channels to keep."""
        for node, index, axis in self.cuts:
            value = wiring.value(node.input[index])
            assert value is not None  # a cut is of a stored tensor
            wiring.put(node, index, np.take(value, keep, axis=axis))
        wiring.reindex()


def find_stream(wiring: Wiring) -> Stream:
    """Follow the stream of a model.

    Raises
    ------
    InvalidModel
        When there is no normalization of a stored width, or the stream runs into an operator that
        can't be narrowed.
    """
    norms = [node for node in wiring.nodes if node.op_type == "LayerNormalization"]
    sizes = [len(value) for one in norms if (value := wiring.value(one.input[1])) is not None]
    if not sizes:
        what = "no residual stream found: looked for LayerNormalization with stored weights"
        raise InvalidModel(what, where=_WHERE, hint="leave it out for this model")
    width = max(set(sizes), key=sizes.count)
    found = _Following(wiring, width)
    for one in norms:
        value = wiring.value(one.input[1])
        if value is not None and len(value) == width:
            found.add(one.output[0])
    found.follow()
    return Stream(
        width=width,
        tensors=tuple(one.output[0] for one in norms if one.output[0] in found.inside),
        given=tuple(name for name in found.inside if name in wiring.outputs),
        cuts=tuple(found.cuts.values()),
    )


class _Following:
    def __init__(self, wiring: Wiring, width: int) -> None:
        self.wiring, self.width = wiring, width
        self.inside: dict[str, None] = {}
        self.cuts: dict[tuple[int, int], tuple[onnx.NodeProto, int, int]] = {}
        self._left: list[str] = []

    def add(self, name: str) -> None:
        """Count a computed tensor in."""
        if name in self.inside or not name:
            return
        if name in self.wiring.inputs:
            what = f"the model's input `{name}` is in the stream"
            raise InvalidModel(what, where=_WHERE, hint="leave it out for this model")
        self.inside[name] = None
        self._left.append(name)

    def follow(self) -> None:
        """Go on until nothing new is found."""
        while self._left:
            name = self._left.pop()
            self._made(self.wiring.makers[name])
            for node in self.wiring.readers.get(name, []):
                self._read(node, name)

    def _made(self, node: onnx.NodeProto) -> None:
        if node.op_type == "MatMul" and self._stored(node, 1):
            self._cut(node, 1, -1)
        elif node.op_type == "Gemm":
            self._cut(node, 1, 0 if attribute(node, "transB", 0) else 1)
            if len(node.input) > 2 and node.input[2]:
                self._cut(node, 2, -1)
        elif node.op_type == "Gather" and self._stored(node, 0):
            self._cut(node, 0, -1)
        else:
            self._kept(node)

    def _read(self, node: onnx.NodeProto, name: str) -> None:
        if node.op_type in _NO_VALUES:
            return
        if node.op_type == "MatMul" and node.input[0] == name and self._stored(node, 1):
            self._cut(node, 1, -2)
        elif node.op_type == "Gemm" and node.input[0] == name:
            self._cut(node, 1, 1 if attribute(node, "transB", 0) else 0)
        else:
            self._kept(node)

    def _kept(self, node: onnx.NodeProto) -> None:
        """Go on through a node whose output has the stream's axis where its input has it."""
        if node.op_type == "LayerNormalization" and attribute(node, "axis", -1) in (-1, 2):
            self.add(node.input[0])
            for index in range(1, len(node.input)):
                self._cut(node, index, -1)
        elif node.op_type in _ALIKE:
            for index, name in enumerate(node.input):
                if name in self.wiring.weights:
                    value = self.wiring.value(name)
                    if value is not None and value.shape[-1:] == (self.width,):
                        self._cut(node, index, -1)
                elif self._is_wide(name):
                    self.add(name)
        elif node.op_type in _ALONG and self._leaves_last(node):
            if node.input[0] in self.wiring.weights:
                self._cut(node, 0, -1)
            else:
                self.add(node.input[0])
        else:
            what = f"the stream runs through `{node.op_type}`, which can't be narrowed"
            raise InvalidModel(what, where=_WHERE, hint="leave it out for this model")
        self.add(node.output[0])

    def _is_wide(self, name: str) -> bool:
        """Say whether a side of a sum or product has the width; one of size 1 is spread over it."""
        size = self._last_size(name)
        if size is None:
            what = f"the width of `{name}` is unknown"
            raise InvalidModel(what, where=_WHERE, hint="export the model with shape inference")
        return size == self.width

    def _last_size(self, name: str) -> int | None:
        """Give the last size of a tensor, by what makes it where inference does not say it."""
        shape = self.wiring.shape(name)
        if shape is not None and (not shape or shape[-1] is not None):
            return shape[-1] if shape else 1
        made = self.wiring.makers.get(name)
        if made is None:
            return None
        if made.op_type in ("MatMul", "Gemm"):
            weight = self.wiring.weights.get(made.input[1])
            turned = made.op_type == "Gemm" and attribute(made, "transB", 0)
            return None if weight is None else int(weight.dims[0 if turned else -1])
        if made.op_type in _ALONG and self._leaves_last(made):
            return self._last_size(made.input[0])
        return None

    def _leaves_last(self, node: onnx.NodeProto) -> bool:
        shape = self.wiring.shape(node.input[0])
        # Where nothing is known of it, it is taken for (batch, sequence, width).
        rank = len(shape) if shape is not None else 3
        axes = self._axes(node)
        if node.op_type in ("ReduceMean", "ReduceSum") and not axes:
            return False
        last = rank if node.op_type == "Unsqueeze" else rank - 1
        total = rank + (len(axes) if node.op_type == "Unsqueeze" else 0)
        return all(axis % total != last for axis in axes)

    def _axes(self, node: onnx.NodeProto) -> list[int]:
        if node.op_type == "Gather":
            return [int(attribute(node, "axis", 0))]
        place = 3 if node.op_type == "Slice" else 1
        if len(node.input) > place and node.input[place]:
            value = self.wiring.value(node.input[place])
            return [] if value is None else [int(one) for one in value.reshape(-1)]
        told = attribute(node, "axes", None)
        if told is not None:
            return [int(one) for one in told]
        if node.op_type == "Slice":
            starts = self.wiring.value(node.input[1])
            return list(range(1 if starts is None else starts.size))
        return []

    def _stored(self, node: onnx.NodeProto, index: int) -> bool:
        return node.input[index] in self.wiring.weights

    def _cut(self, node: onnx.NodeProto, index: int, axis: int) -> None:
        value = self.wiring.value(node.input[index]) if node.input[index] else None
        if value is None or value.ndim == 0 or value.shape[axis] != self.width:
            if node.input[index] and (value is None or value.size > 1):
                what = f"`{node.name or node.op_type}` reads the stream in another width"
                raise InvalidModel(what, where=_WHERE, hint="leave it out for this model")
            return
        self.cuts[(id(node), index)] = (node, index, axis)
