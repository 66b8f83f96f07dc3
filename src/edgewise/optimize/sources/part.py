"""A part of an ONNX model, up to some of its tensors, with a few nodes added behind them."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgewise.optimize.sources.flow import takes

_PREFIX = "edgewise."


class Part:
    """A copy of a model that gives other outputs. Made and finished by `OnnxSource`.

    Every operation added has the same form in opsets 7 to 23.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._added: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}
        self._taken = {one.name for one in model.graph.input}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and give the output's name."""
        name = f"{_PREFIX}{kind.lower()}_{len(self._added)}"
        self._added.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def weight(self, name: str, value: NDArray[Any]) -> str:
        """Add a weight once and give its name."""
        full = _PREFIX + name
        self._weights.setdefault(full, numpy_helper.from_array(np.asarray(value, order="C"), full))
        return full

    def linear(self, x: str, weight: NDArray[Any], bias: NDArray[Any]) -> str:
        """Give x W' + b for a weight of shape (out, in)."""
        product = self.op("MatMul", x, self.weight("head.weight", weight.T.astype(np.float32)))
        return self.op("Add", product, self.weight("head.bias", bias.astype(np.float32)))

    def first(self, hidden: str) -> str:
        """Take the first position of (n, s, d)."""
        index = self.weight("zero", np.asarray(0, np.int64))
        return self.op("Gather", hidden, index, axis=1)

    def mean(self, hidden: str) -> str:
        """Average (n, s, d) over the positions whose mask is 1; over all without a mask."""
        if "attention_mask" in self._taken:
            mask = self.op("Cast", "attention_mask", to=TensorProto.FLOAT)
        else:
            row = self.op("Gather", hidden, self.weight("zero", np.asarray(0, np.int64)), axis=2)
            zeros = self.op("Sub", row, row)
            mask = self.op("Add", zeros, self.weight("unit", np.asarray(1, np.float32)))
        across = self.op("Reshape", mask, self.weight("across", np.asarray([0, 1, -1], np.int64)))
        down = self.op("Reshape", mask, self.weight("down", np.asarray([0, -1, 1], np.int64)))
        flat = self.weight("flat", np.asarray([0, -1], np.int64))
        total = self.op("Reshape", self.op("MatMul", across, hidden), flat)
        count = self.op("Reshape", self.op("MatMul", across, down), flat)
        least = self.weight("least", np.asarray(1e-9, np.float32))
        return self.op("Div", total, self.op("Max", count, least))

    def finish(self, outputs: Mapping[str, str], widths: Mapping[str, int]) -> onnx.ModelProto:
        """Give the model; `outputs` names the tensors behind the outputs, all (batch, width).

        Nodes, weights and inputs that no output needs are left out. A width of 0 is unknown, and
        then nothing is said of the output's shape.
        """
        ends = [
            helper.make_node("Identity", [tensor], [name], name=_PREFIX + name)
            for name, tensor in outputs.items()
        ]
        graph = self._model.graph
        nodes, needed = [], set(outputs)
        inner = [*graph.node, *self._added, *ends]
        weights = [*graph.initializer, *self._weights.values()]
        own = {name for node in graph.node for name in node.output} | {w.name for w in weights}
        clashing = own & set(outputs)
        if clashing:
            inner = [_renamed(node, clashing) for node in inner]
            for node, name in zip(inner[-len(ends) :], outputs, strict=True):
                node.output[0] = name
            weights = [_renamed_weight(weight, clashing) for weight in weights]
        for node in reversed(inner):
            if needed & set(node.output):
                nodes.append(node)
                needed.update(takes(node))
        found = onnx.ModelProto()
        found.CopyFrom(_without_graph(self._model))
        found.graph.name = graph.name or "model"
        found.graph.node.extend(reversed(nodes))
        found.graph.initializer.extend(one for one in weights if one.name in needed)
        found.graph.sparse_initializer.extend(
            one for one in graph.sparse_initializer if one.values.name in needed
        )
        found.graph.input.extend(one for one in graph.input if one.name in needed)
        for name in outputs:
            width = widths.get(name)
            shape: list[str | int | None] | None = ["batch", width] if width else None
            found.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return found


def _renamed(node: onnx.NodeProto, names: Collection[str]) -> onnx.NodeProto:
    """Give a node that reads and writes these tensors, which the model has too, by other names."""
    found = onnx.NodeProto()
    found.CopyFrom(node)
    stack = [found]
    while stack:
        one = stack.pop()
        for listed in (one.input, one.output):
            listed[:] = [_other(name, names) for name in listed]
        graphs = [
            graph for attribute in one.attribute for graph in (attribute.g, *attribute.graphs)
        ]
        for graph in graphs:
            stack += graph.node
            for value in graph.output:
                value.name = _other(value.name, names)
    return found


def _renamed_weight(weight: onnx.TensorProto, names: Collection[str]) -> onnx.TensorProto:
    if weight.name not in names:
        return weight
    found = onnx.TensorProto()
    found.CopyFrom(weight)
    found.name = _other(weight.name, names)
    return found


def _other(name: str, names: Collection[str]) -> str:
    return f"{_PREFIX}inner.{name}" if name in names else name


def _without_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    found = onnx.ModelProto()
    for field, value in model.ListFields():
        if field.name == "graph":
            continue
        if field.is_repeated:
            getattr(found, field.name).extend(value)
        else:
            setattr(found, field.name, value)
    return found
