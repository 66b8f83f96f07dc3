"""Multi-head self-attention as a graph has it, written out in MatMul, Softmax and Reshape."""

import math
from dataclasses import dataclass

import onnx

from edgewise.optimize.graphs.linears import Linear, linear_of, linear_to
from edgewise.optimize.graphs.wiring import Wiring, attribute

_LOOKED_FOR = "Softmax between two MatMuls, with heads parted by Reshape and Transpose"
_HEADS_FIRST, _KEY_LAST = [0, 2, 1, 3], [0, 2, 3, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """One block. Made by `find_attention`; read by the fusion and by the pruning of heads."""

    x: str
    query: Linear
    key: Linear
    value: Linear
    out: Linear
    splits: tuple[onnx.NodeProto, ...]
    """The three Reshapes from (n, s, heads * size) to (n, s, heads, size)."""
    merge: onnx.NodeProto
    """The Reshape back."""
    softmax: onnx.NodeProto
    additions: tuple[tuple[onnx.NodeProto, int], ...]
    """What is added to the scores: node and index of the input, nearest to the Softmax first."""
    plain: bool
    """Nothing but a known scale and additions lies between the MatMuls and the Softmax."""
    scale: float
    heads: int
    size: int


def find_attention(wiring: Wiring) -> list[Attention]:
    """Give all blocks in the order of their Softmax nodes."""
    softmaxes = [node for node in wiring.nodes if node.op_type == "Softmax"]
    found = [_read(wiring, node) for node in softmaxes]
    return [block for block in found if block is not None]


def looked_for() -> str:
    """Say what a model must have to have a block."""
    return _LOOKED_FOR


def _read(wiring: Wiring, softmax: onnx.NodeProto) -> Attention | None:
    scores = _Walk(wiring)
    product = scores.up(softmax.input[0])
    if product is None:
        return None
    shares, straight = _down(wiring, softmax.output[0])
    if shares is None or shares.op_type != "MatMul":
        return None
    query, query_split, query_scale = _side(wiring, product.input[0], [_HEADS_FIRST])
    key, key_split, key_scale = _side(wiring, product.input[1], [_KEY_LAST])
    value, value_split, value_scale = _side(wiring, shares.input[1], [_HEADS_FIRST])
    merge, out = _merged(wiring, shares.output[0])
    if not (query and key and value and query_split and key_split and value_split):
        return None
    if merge is None or out is None or value_scale != 1.0:
        return None
    heads = _heads(wiring, (query_split, key_split, value_split), query)
    width = value.weight(wiring).shape[1]
    widths = {width, query.weight(wiring).shape[1], out.weight(wiring).shape[0]}
    if heads is None or len(widths) > 1 or width % heads or len({query.x, key.x, value.x}) > 1:
        return None
    scale = scores.scale * query_scale * key_scale
    return Attention(
        x=query.x,
        query=query,
        key=key,
        value=value,
        out=out,
        splits=(query_split, key_split, value_split),
        merge=merge,
        softmax=softmax,
        additions=tuple(scores.additions),
        plain=straight and scores.plain and not math.isnan(scale),
        scale=scale,
        heads=heads,
        size=width // heads,
    )


class _Walk:
    """From the Softmax up to the product of queries and keys."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self.additions: list[tuple[onnx.NodeProto, int]] = []
        self.plain = True
        self.scale = 1.0

    def up(self, name: str) -> onnx.NodeProto | None:
        for _ in range(8):
            node = self.wiring.makers.get(name)
            if node is None or node.op_type == "MatMul":
                return node
            step = self._step(node)
            if step is None:
                return None
            name = step
        return None

    def _step(self, node: onnx.NodeProto) -> str | None:
        """Go over one node; `None` where it is none that may lie here."""
        scaled = scaled_by(self.wiring, node)
        if scaled is not None:
            self.scale *= scaled[1]
            return scaled[0]
        inputs: list[str] = list(node.input)
        if node.op_type in ("Cast", "Identity", "Dropout"):
            return inputs[0]
        if node.op_type not in ("Add", "Where"):
            return None
        toward = [self._leads(name) for name in inputs]
        first = 0 if node.op_type == "Add" else 1
        if toward[first:].count(True) != 1:
            return None
        if node.op_type == "Add":
            self.additions.append((node, toward.index(False)))
        self.plain = self.plain and node.op_type == "Add"
        return inputs[toward.index(True, first)]

    def _leads(self, name: str) -> bool:
        """Say whether a tensor comes from a product of two computed tensors, a few steps up."""
        for _ in range(6):
            node = self.wiring.makers.get(name)
            if node is None:
                return False
            if node.op_type == "MatMul":
                return node.input[1] not in self.wiring.weights
            if node.op_type not in ("Mul", "Div", "Add", "Where", "Cast", "Identity"):
                return False
            if node.op_type == "Add":
                return any(self._leads(part) for part in node.input)
            name = node.input[1] if node.op_type == "Where" else node.input[0]
        return False


def scaled_by(wiring: Wiring, node: onnx.NodeProto) -> tuple[str, float] | None:
    """Read a product with, or a quotient by, a number as (tensor, factor).

    The factor is NaN where the graph works it out, as from a size.
    """
    if node.op_type not in ("Mul", "Div") or len(node.input) != 2:
        return None
    for at in (1, 0) if node.op_type == "Mul" else (1,):
        factor = wiring.scalar(node.input[at])
        if factor is None and wiring.shape(node.input[at]) in ((), (1,)):
            factor = math.nan
        if factor is not None:
            return node.input[1 - at], factor if node.op_type == "Mul" else 1 / factor
    return None


def _down(wiring: Wiring, name: str) -> tuple[onnx.NodeProto | None, bool]:
    """From the Softmax down to the product with the values; exporters guard against NaN here."""
    straight = True
    for _ in range(4):
        readers = [n for n in wiring.readers.get(name, []) if n.op_type != "IsNaN"]
        if len(readers) != 1:
            return None, False
        node = readers[0]
        if node.op_type == "MatMul":
            return node if node.input[0] == name else None, straight
        if node.op_type not in ("Where", "Dropout", "Cast", "Identity"):
            return None, False
        straight = straight and node.op_type != "Where"
        name = node.output[0]
    return None, False


def _side(
    wiring: Wiring, name: str, orders: list[list[int]]
) -> tuple[Linear | None, onnx.NodeProto | None, float]:
    """From a factor of a product up to its linear layer, over scale, Transpose and Reshape."""
    scale, order = 1.0, [0, 1, 2, 3]
    for _ in range(6):
        node = wiring.makers.get(name)
        if node is None:
            break
        scaled = scaled_by(wiring, node)
        if scaled is not None:
            name, scale = scaled[0], scale * scaled[1]
        elif node.op_type == "Transpose":
            perm = list(attribute(node, "perm", []))
            if len(perm) != 4:
                break
            order = [perm[axis] for axis in order]
            name = node.input[0]
        elif node.op_type == "Reshape":
            layer = linear_to(wiring, node.input[0])
            right = order in orders and layer is not None
            right = right and wiring.only_reader(node.input[0]) is not None
            return (layer, node, scale) if right else (None, None, 1.0)
        else:
            break
    return None, None, 1.0


def _merged(wiring: Wiring, name: str) -> tuple[onnx.NodeProto | None, Linear | None]:
    """From the mixed values down to the output layer, over Transpose and Reshape.

    Exporters may write a Reshape first that changes nothing: its number of heads is worked out.
    """
    first = _next(wiring, name)
    if first is not None and first.op_type == "Reshape":
        sizes = sizes_of(wiring, first)
        if sizes is None or len(sizes) != 4 or sizes[1] not in (None, -1, 0):
            return None, None
        first = _next(wiring, first.output[0])
    if first is None or first.op_type != "Transpose":
        return None, None
    merge = _next(wiring, first.output[0])
    right = list(attribute(first, "perm", [])) == _HEADS_FIRST
    if not right or merge is None or merge.op_type != "Reshape":
        return None, None
    product = wiring.only_reader(merge.output[0], "MatMul", "Gemm")
    return merge, linear_of(wiring, product) if product is not None else None


def _next(wiring: Wiring, name: str) -> onnx.NodeProto | None:
    """Give the one node that reads a tensor's values, not its size."""
    readers = [node for node in wiring.readers.get(name, []) if node.op_type != "Shape"]
    return readers[0] if len(readers) == 1 and name not in wiring.outputs else None


def sizes_of(wiring: Wiring, reshape: onnx.NodeProto) -> list[int | None] | None:
    """Give the target of a Reshape; a computed size is `None`."""
    target = wiring.value(reshape.input[1])
    if target is not None:
        return [int(size) for size in target]
    made = wiring.maker(reshape.input[1], "Concat")
    if made is None:
        return None
    parts: list[int | None] = []
    for name in made.input:
        value = wiring.value(name)
        parts += [None] if value is None else [int(size) for size in value.reshape(-1)]
    return parts


def _heads(wiring: Wiring, splits: tuple[onnx.NodeProto, ...], query: Linear) -> int | None:
    width = query.weight(wiring).shape[1]
    counts = set()
    for split in splits:
        sizes = sizes_of(wiring, split)
        if sizes is None or len(sizes) != 4:
            return None
        heads, size = sizes[2], sizes[3]
        if heads is None or heads < 1:
            heads = width // size if size is not None and size > 0 else None
        counts.add(heads)
    return counts.pop() if len(counts) == 1 else None
