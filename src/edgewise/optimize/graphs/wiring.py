"""An editable copy of a graph: who makes and who reads each tensor, and which are constant.

The structural passes read and change models through it. Constant nodes count as weights, and so
do transposes and copies of weights that exporters leave behind.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgewise.optimize.graphs.model_checks import close_weights

Array = NDArray[Any]
Shape = tuple[int | None, ...]


class Wiring:
    """A copy of a model to change. Made by a pass, which gives `finish()` away."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self.outputs = {value.name for value in model.graph.output}
        self.inputs = {value.name for value in model.graph.input} - self.weights.keys()
        self.nodes = []
        for node in model.graph.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            self.nodes.append(copy)
        self._arrays: dict[str, Array] = {}
        self._shapes: dict[str, Shape] | None = None
        self._domains: set[str] = set()
        self._count = 0
        self._fold_plain()
        self.reindex()

    def reindex(self) -> None:
        """Bring makers and readers up to date after nodes changed."""
        self.makers: dict[str, onnx.NodeProto] = {}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.output:
                self.makers[name] = node
            for name in dict.fromkeys(reads_of(node)):
                self.readers.setdefault(name, []).append(node)

    def maker(self, name: str, *kinds: str) -> onnx.NodeProto | None:
        """Give the node that makes a tensor when it is of one of the kinds."""
        node = self.makers.get(name)
        return node if node is not None and node.op_type in kinds else None

    def only_reader(self, name: str, *kinds: str) -> onnx.NodeProto | None:
        """Give the one node that reads a tensor when it is of one of the kinds."""
        readers = self.readers.get(name, [])
        if len(readers) != 1 or name in self.outputs:
            return None
        return readers[0] if not kinds or readers[0].op_type in kinds else None

    def value(self, name: str) -> Array | None:
        """Give a constant tensor, or `None` when it is computed."""
        if name not in self.weights:
            return None
        if name not in self._arrays:
            self._arrays[name] = numpy_helper.to_array(self.weights[name])
        return self._arrays[name]

    def scalar(self, name: str) -> float | None:
        """Give a constant of one element."""
        found = self.value(name)
        return float(found.reshape(-1)[0]) if found is not None and found.size == 1 else None

    def operands(self, node: onnx.NodeProto) -> tuple[str, str] | None:
        """Part a two-sided node's inputs into (computed, constant)."""
        if len(node.input) != 2:
            return None
        first, second = node.input
        if second in self.weights and first not in self.weights:
            return first, second
        if first in self.weights and second not in self.weights:
            return second, first
        return None

    def shape(self, name: str) -> Shape | None:
        """Give what shape inference knows of a tensor of the model as it came."""
        if name in self.weights:
            return tuple(self.weights[name].dims)
        if self._shapes is None:
            self._shapes = infer_shapes(self._model)
        return self._shapes.get(name)

    def fresh(self, like: str) -> str:
        """Give a tensor name that is not taken."""
        stem = like.split("//", maxsplit=1)[0]
        taken = self.weights.keys() | self.makers.keys() | self.inputs
        while f"{stem}//{self._count}" in taken:
            self._count += 1
        self._count += 1
        return f"{stem}//{self._count - 1}"

    def add_weight(self, value: Array, like: str = "weight") -> str:
        """Add a constant under a fresh name."""
        name = self.fresh(like)
        self.weights[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def put(self, node: onnx.NodeProto, index: int, value: Array) -> None:
        """Give a node another constant; other readers of the old one keep it."""
        node.input[index] = self.add_weight(value, node.input[index] or "weight")

    def add_node(
        self, kind: str, inputs: list[str], output: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Add a node and give its output; call `reindex` when done."""
        name = output or self.fresh(kind.lower())
        made = helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes)
        self.nodes.append(made)
        self.makers[name] = made
        if domain:
            self._domains.add(domain)
        return name

    def drop(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Remove nodes."""
        gone = {id(node) for node in nodes}
        self.nodes = [node for node in self.nodes if id(node) not in gone]
        self.reindex()

    def bypass(self, old: str, new: str) -> None:
        """Let whatever reads one tensor read another; an output keeps its name by a copy."""
        for node in self.nodes:
            for index, name in enumerate(node.input):
                if name == old:
                    node.input[index] = new
        if old in self.outputs:
            self.drop([self.makers[old]])
            self.add_node("Identity", [new], old)
        self.reindex()

    def finish(self, outputs: list[onnx.ValueInfoProto] | None = None) -> onnx.ModelProto:
        """Give the changed model: sorted, without what nothing reads, checked.

        Parameters
        ----------
        outputs
            In place of the model's own.
        """
        given = self._model.graph
        ends = list(given.output) if outputs is None else outputs
        nodes, wanted = _reached(self.nodes, {value.name for value in ends})
        model = onnx.ModelProto()
        for held in self._model.DESCRIPTOR.fields:
            if held.name != "graph":
                _copy_field(self._model, model, held.name)
        graph = model.graph
        graph.name = given.name
        graph.node.extend(nodes)
        graph.initializer.extend(t for name, t in self.weights.items() if name in wanted)
        known = {tensor.name for tensor in graph.initializer}
        graph.input.extend(v for v in given.input if v.name in self.inputs or v.name in known)
        close_weights(model)
        graph.output.extend(ends)
        present = {opset.domain for opset in model.opset_import}
        model.opset_import.extend(
            helper.make_opsetid(domain, 1) for domain in sorted(self._domains - present)
        )
        if outputs is None:
            onnx.checker.check_model(model)
        return model

    def _fold_plain(self) -> None:
        kept = []
        for node in self.nodes:
            made = self._folded(node)
            if made is None:
                kept.append(node)
                continue
            name = node.output[0]
            self.weights[name] = numpy_helper.from_array(np.asarray(made, order="C"), name)
        self.nodes = kept

    def _folded(self, node: onnx.NodeProto) -> Array | None:
        if not node.output or node.output[0] in self.outputs:
            return None
        if node.op_type == "Constant":
            return _constant(node.attribute[0])
        if node.op_type not in ("Identity", "Transpose") or node.input[0] not in self.weights:
            return None
        value = numpy_helper.to_array(self.weights[node.input[0]])
        return value if node.op_type == "Identity" else np.transpose(value, attribute(node, "perm"))


def _constant(held: onnx.AttributeProto) -> Array | None:
    kinds: dict[str, Any] = {"value_int": np.int64, "value_ints": np.int64}
    kinds |= {"value_float": np.float32, "value_floats": np.float32}
    if held.name == "value":
        return numpy_helper.to_array(held.t)
    if held.name not in kinds:
        return None
    return np.asarray(helper.get_attribute_value(held), dtype=kinds[held.name])


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give an independent copy of a model."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Give a node's attribute or the default."""
    for found in node.attribute:
        if found.name == name:
            return helper.get_attribute_value(found)
    return default


def infer_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Give the shapes that ONNX infers, by tensor; a dynamic size is `None`."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    found = {}
    for value in (*inferred.value_info, *inferred.input, *inferred.output):
        if value.type.tensor_type.HasField("shape"):
            dims = value.type.tensor_type.shape.dim
            found[value.name] = tuple(
                dim.dim_value if dim.HasField("dim_value") else None for dim in dims
            )
    return found


def reads_of(node: onnx.NodeProto) -> list[str]:
    """Give what a node reads, its subgraphs' reads from outside included."""
    return [*node.input, *captured(node)]


def captured(node: onnx.NodeProto) -> list[str]:
    """Give what the subgraphs of If, Loop and Scan may read from outside."""
    found: list[str] = []
    for held in node.attribute:
        graphs = [*held.graphs, *([held.g] if held.HasField("g") else [])]
        for graph in graphs:
            found += [value.name for value in graph.output]
            for inner in graph.node:
                found += [*inner.input, *captured(inner)]
    return found


def _reached(nodes: list[onnx.NodeProto], ends: set[str]) -> tuple[list[onnx.NodeProto], set[str]]:
    """Give what the ends need, each node after those it reads, and all tensors read."""
    made_by = {name: node for node in nodes for name in node.output}
    wanted = set(ends)
    done: set[int] = set()
    ordered: list[onnx.NodeProto] = []
    for root in nodes:
        if ends.isdisjoint(root.output):
            continue
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if id(node) in done:
                continue
            reads = reads_of(node)
            if ready:
                done.add(id(node))
                ordered.append(node)
                wanted.update(reads)
                continue
            stack.append((node, True))
            stack += [(made_by[name], False) for name in reversed(reads) if name in made_by]
    place = {id(node): index for index, node in enumerate(nodes)}
    if _is_sorted(kept := sorted(ordered, key=lambda node: place[id(node)])):
        return kept, wanted
    return ordered, wanted


def _is_sorted(nodes: list[onnx.NodeProto]) -> bool:
    made = {name for node in nodes for name in node.output}
    seen: set[str] = set()
    for node in nodes:
        if any(name in made and name not in seen for name in reads_of(node)):
            return False
        seen.update(node.output)
    return True


def _copy_field(given: onnx.ModelProto, made: onnx.ModelProto, name: str) -> None:
    value = getattr(given, name)
    if hasattr(value, "extend"):
        getattr(made, name).extend(value)
    elif given.HasField(name):
        setattr(made, name, value)
