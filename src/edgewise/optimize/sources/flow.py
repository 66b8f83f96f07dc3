"""Where an ONNX graph can be cut: the tensors that all of the content passes through.

Content is what the words or pixels become: it begins where an input's values choose rows of an
embedding, or at a float input. A tensor is a waist when every path of content from there to the
output runs through it. Masks, positions and shapes go around a waist and are made anew in a cut
model, which is why one that ends at a waist computes just what the whole model has there.

Which waists end a layer is read from the names that exporters give; where they say nothing, a
layer is a stretch with one attention and a norm, and all layers have the same heavy operations.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise

import onnx
from onnx import numpy_helper

_NUMBERED = re.compile(r"(?:^|[./_])(?:layers?|h|blocks?)[._]+(\d+)(?=[./_]|$)")
_SHAPES = ("Shape", "Size")
_PRODUCTS = ("MatMul", "Einsum", "FusedMatMul")
_ATTENTION = ("Attention", "MultiHeadAttention", "GroupQueryAttention", "QAttention")
_NORMS = (
    "LayerNormalization",
    "SkipLayerNormalization",
    "SimplifiedLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "RMSNormalization",
)
_HEAVY = (
    *_PRODUCTS,
    *_ATTENTION,
    *_NORMS,
    *("Gemm", "Conv", "Softmax", "MatMulInteger", "QLinearMatMul", "ReduceMean", "Sqrt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """What `find_cuts` saw. `ends` has a tensor for each layer but the last; empty: no layers."""

    waists: tuple[str, ...]
    """Every tensor that all content passes, from input to output."""
    ends: tuple[str, ...]


def find_cuts(graph: onnx.GraphProto, output: str) -> Cuts:
    """Find the waists on the way to an output, and which of them end a layer.

    Parameters
    ----------
    graph
        Checked, so its nodes are in order.
    output
        The tensor that the whole model is asked for.
    """
    flow = _Flow(graph, output)
    return Cuts(waists=flow.waists, ends=flow.ends_by_name() or flow.ends_by_structure())


def takes(node: onnx.NodeProto) -> list[str]:
    """Give what a node reads, the outer tensors that its subgraphs read too."""
    found = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            made = {one.name for one in (*graph.input, *graph.initializer)}
            for inner in graph.node:
                found += [name for name in takes(inner) if name not in made]
                made.update(inner.output)
            found += [one.name for one in graph.output if one.name not in made]
    return found


def is_first_token(graph: onnx.GraphProto, hidden: str) -> bool:
    """Say whether the model goes on from the first position of `hidden` (n, s, d) alone."""
    values = {one.name: one for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            values[node.output[0]] = node.attribute[0].t
    for node in graph.node:
        if node.op_type != "Gather" or node.input[0] != hidden or node.input[1] not in values:
            continue
        axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
        index = numpy_helper.to_array(values[node.input[1]])
        if axis in (1, -2) and index.size == 1 and int(index.reshape(-1)[0]) == 0:
            return True
    return False


class _Flow:
    """Counts the paths of content. Made by `find_cuts`."""

    def __init__(self, graph: onnx.GraphProto, output: str) -> None:
        self._read(graph)
        self._count(graph, output)
        self._order()

    def _read(self, graph: onnx.GraphProto) -> None:
        """Tell constants from what depends on the values, not only the shapes, of inputs."""
        weights = {one.name for one in graph.initializer}
        given = [one for one in graph.input if one.name not in weights]
        floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
        self._weights = {one.name for one in graph.initializer if len(one.dims) > 0}
        self._floats = [o.name for o in given if o.type.tensor_type.elem_type in floats]
        constant, valued = set(weights), {one.name for one in given}
        self._sources: set[int] = set()
        for index, node in enumerate(graph.node):
            inputs = takes(node)
            if node.op_type == "Gather" and inputs[0] in constant and inputs[1] in valued:
                self._sources.add(index)
            if node.op_type == "EmbedLayerNormalization":
                self._sources.add(index)
            if all(name in constant for name in inputs):
                constant.update(node.output)
            if node.op_type not in _SHAPES and any(name in valued for name in inputs):
                valued.update(node.output)

    def _count(self, graph: onnx.GraphProto, output: str) -> None:
        """Find the waists: paths to a tensor times paths from it make all paths."""
        # Pixels and other numbers are content; a mask in float is not.
        before = {name: 1 for name in self._floats if "mask" not in name.lower()}
        for index, node in enumerate(graph.node):
            if node.op_type in _SHAPES:
                continue
            paths = sum(before.get(name, 0) for name in takes(node)) + (index in self._sources)
            if paths:
                before.update(dict.fromkeys((name for name in node.output if name), paths))
        after: dict[str, int] = defaultdict(int, {output: 1})
        self._nodes: list[onnx.NodeProto] = []
        for node in reversed(graph.node):
            paths = sum(after[name] for name in node.output if name in before)
            if not paths or node.op_type in _SHAPES:
                continue
            self._nodes.append(node)
            for name in takes(node):
                after[name] += paths
        self._nodes.reverse()
        self._content = {name for name in before if after[name]}
        total = before.get(output, 0)
        made = {name for node in self._nodes for name in node.output}
        self._waists = {n for n in self._content & made if before[n] * after[n] == total}

    def _order(self) -> None:
        """Part the nodes into stretches; each ends at a waist."""
        level: dict[str, int] = defaultdict(int)
        stretches: dict[int, list[onnx.NodeProto]] = defaultdict(list)
        ends: dict[int, str] = {}
        for node in self._nodes:
            inputs = [name for name in takes(node) if name in self._content]
            here = max((level[name] + (name in self._waists) for name in inputs), default=0)
            stretches[here].append(node)
            for name in node.output:
                level[name] = here
                if name in self._waists:
                    ends[here] = name
        whole = len(ends) == len(stretches) and sorted(ends) == list(range(len(ends)))
        self._stretches = [stretches[i] for i in range(len(ends))] if whole else []
        self.waists = tuple(ends[i] for i in range(len(ends))) if whole else ()

    def ends_by_name(self) -> tuple[str, ...]:
        """Give the layers' ends where names number every layer, in order and without a gap."""
        first: dict[int, int] = {}
        newest = -1
        for index, nodes in enumerate(self._stretches):
            numbers = {n for n in map(self._number, nodes) if n is not None}
            if len(numbers) > 1:
                return ()
            for number in numbers:
                if number not in first and number != (newest + 1 if first else number):
                    return ()
                if number < newest:
                    return ()
                first.setdefault(number, index)
                newest = number
        starts = sorted(first.values())[1:]
        return tuple(self.waists[start - 1] for start in starts)

    def ends_by_structure(self) -> tuple[str, ...]:
        """Give the layers' ends where equal stretches with one attention and a norm repeat."""
        starts = [i for i, nodes in enumerate(self._stretches) if self._attends(nodes)]
        if len(starts) < 2 or starts[0] == 0:
            return ()
        bounds = [*starts, len(self._stretches)]
        blocks = [
            Counter(
                node.op_type
                for nodes in self._stretches[a:b]
                for node in nodes
                if node.op_type in _HEAVY
            )
            for a, b in pairwise(bounds)
        ]
        model = blocks[0]
        normed = any(model[name] for name in _NORMS) or (model["ReduceMean"] and model["Sqrt"])
        # Behind the last layer there may be a pooler and a head.
        alike = all(block == model for block in blocks[1:-1]) and model <= blocks[-1]
        return tuple(self.waists[i - 1] for i in starts[1:]) if normed and alike else ()

    def _attends(self, nodes: list[onnx.NodeProto]) -> bool:
        kinds = {node.op_type for node in nodes}
        if kinds & set(_ATTENTION):
            return True
        pairs = [
            node
            for node in nodes
            if node.op_type in _PRODUCTS and sum(name in self._content for name in node.input) > 1
        ]
        return "Softmax" in kinds and len(pairs) > 1

    def _number(self, node: onnx.NodeProto) -> int | None:
        """Read a layer's number from a node's name, else its output's, else its weights'."""
        for names in ([node.name], node.output, [n for n in node.input if n in self._weights]):
            found = {int(m[1]) for m in map(_NUMBERED.search, names) if m}
            if len(found) == 1:
                return found.pop()
        return None
