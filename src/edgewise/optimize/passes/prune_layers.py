"""Structured pruning of whole residual blocks.

A block is what lies between two points of the residual stream; it goes by letting its readers
read what it read. In a transformer an attention and the FFN after it are one block. With samples,
blocks go whose output is most like their input; without, those whose last weights are smallest.

Sources: Men et al., "ShortGPT", 2024 (block influence: one minus the cosine of input and output);
Sajjad et al., "On the Effect of Dropping Layers of Pre-trained Transformer Models", 2020.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.activations import observe
from edgewise.optimize.graphs.pruning import begin
from edgewise.optimize.graphs.shares import count_of
from edgewise.optimize.graphs.wiring import Array, Wiring, copy_of
from edgewise.runtimes.protocol import Tensors

NAME = "prune-layers"
_NONE = "no residual block found: looked for a sum of a tensor and what is computed from it"
_AFTER_SUM = ("LayerNormalization", "Relu", "Clip", "BatchNormalization")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A residual block from one point of the stream to a later one."""

    x: str
    y: str
    nodes: tuple[onnx.NodeProto, ...]


def prune_layers(
    model: onnx.ModelProto, share: float, samples: Sequence[Tensors] = ()
) -> onnx.ModelProto:
    """Give the model without a share of its residual blocks.

    Parameters
    ----------
    share : in [0, 1)
        Of the blocks that can go, rounded down; 0 changes nothing.
    samples
        Sample inputs; without them blocks are ranked by their weights alone.

    Raises
    ------
    InvalidModel
        When there is no block whose output could be its input.
    """
    wiring, blocks = begin(model, share, find_blocks, name=NAME, none=_NONE)
    drop = count_of(share, len(blocks))
    if drop == 0:
        return copy_of(model)
    scores = _influence(model, blocks, samples) if samples else _last_weights(wiring, blocks)
    order = np.lexsort((-np.arange(len(blocks)), scores))
    for at in sorted(order[:drop], reverse=True):
        wiring.bypass(blocks[at].y, blocks[at].x)
    return wiring.finish()


def keep_layers(model: onnx.ModelProto, depth: int) -> onnx.ModelProto:
    """Give the model with so many of its residual blocks, spread evenly up to the last one.

    Source: Sanh et al., "DistilBERT", 2019, whose student begins as every other layer.

    Raises
    ------
    InvalidModel
        When it has fewer that could go.
    """
    wiring = Wiring(model)
    blocks = find_blocks(wiring)
    if not 1 <= depth <= len(blocks):
        what = f"{depth} layers are wanted, and {len(blocks)} residual blocks are found"
        raise InvalidModel(what, where=NAME, hint="distil before fusing or quantizing the model")
    kept = {round((i + 1) * len(blocks) / depth) - 1 for i in range(depth)}
    for at in sorted(set(range(len(blocks))) - kept, reverse=True):
        wiring.bypass(blocks[at].y, blocks[at].x)
    return wiring.finish()


def find_blocks(wiring: Wiring) -> list[Block]:
    """Give the blocks that can go, in the order of the stream."""
    sites = [site for node in wiring.nodes if (site := _site(wiring, node)) is not None]
    joined: list[Block] = []
    for site in sites:
        has_heads = any(node.op_type == "Softmax" for node in site.nodes)
        last = joined[-1] if joined else None
        opened = last is not None and any(node.op_type == "Softmax" for node in last.nodes)
        if last is not None and opened and not has_heads and last.y == site.x:
            joined[-1] = Block(x=last.x, y=site.y, nodes=(*last.nodes, *site.nodes))
        else:
            joined.append(site)
    return joined


def _site(wiring: Wiring, add: onnx.NodeProto) -> Block | None:
    if add.op_type != "Add" or any(name in wiring.weights for name in add.input):
        return None
    for skip, branch in ((add.input[0], add.input[1]), (add.input[1], add.input[0])):
        inside = _between(wiring, skip, branch)
        if inside is None:
            continue
        if not any(_weighs(wiring, node) for node in inside):
            continue
        y, nodes = add.output[0], [*inside, add]
        after = wiring.only_reader(y, *_AFTER_SUM)
        if after is not None:
            y, nodes = after.output[0], [*nodes, after]
        block = Block(x=skip, y=y, nodes=tuple(nodes))
        if _can_go(wiring, block):
            return block
    return None


def _weighs(wiring: Wiring, node: onnx.NodeProto) -> bool:
    return node.op_type in ("MatMul", "Gemm", "Conv") and node.input[1] in wiring.weights


def _between(wiring: Wiring, start: str, end: str) -> list[onnx.NodeProto] | None:
    """Give the nodes on the ways from one tensor to another; `None` where there is no way."""
    leads: dict[str, bool] = {start: True}
    stack = [(end, False)]
    while stack:
        name, ready = stack.pop()
        node = wiring.makers.get(name)
        if name in leads and not ready:
            continue
        if node is None:
            leads[name] = False
        elif ready:
            # a size carries no values, and the same size is still there when the block is gone
            reads = [] if node.op_type == "Shape" else node.input
            leads[name] = any(leads.get(part, False) for part in reads)
        else:
            stack.append((name, True))
            stack += [(part, False) for part in node.input if part and part not in leads]
    if not leads[end]:
        return None
    return [
        node
        for node in wiring.nodes
        if any(leads.get(y, False) and y != start for y in node.output)
    ]


def _can_go(wiring: Wiring, block: Block) -> bool:
    """Say whether nothing outside reads the inside, and input and output have one shape."""
    inside = {id(node) for node in block.nodes}
    for node in block.nodes:
        for name in node.output:
            if name == block.y:
                continue
            if name in wiring.outputs:
                return False
            readers = [r for r in wiring.readers.get(name, []) if r.op_type != "Shape"]
            if any(id(reader) not in inside for reader in readers):
                return False
    before, after = wiring.shape(block.x), wiring.shape(block.y)
    if before is None or after is None or len(before) != len(after):
        return False
    return all(a == b or a is None or b is None for a, b in zip(before, after, strict=True))


def _influence(model: onnx.ModelProto, blocks: list[Block], samples: Sequence[Tensors]) -> Array:
    totals, counts = np.zeros(len(blocks)), np.zeros(len(blocks))
    names = list(dict.fromkeys(name for block in blocks for name in (block.x, block.y)))
    for found in observe(model, names, samples):
        for at, block in enumerate(blocks):
            x, y = (_rows(found[name]) for name in (block.x, block.y))
            norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
            totals[at] += float(np.sum(1 - np.sum(x * y, axis=1) / np.maximum(norms, 1e-12)))
            counts[at] += len(x)
    return np.asarray(totals / np.maximum(counts, 1))


def _rows(value: Array) -> Array:
    """Give a vector a position: (n, s, d) by token, (n, c, h, w) by pixel."""
    last = np.moveaxis(value, 1, -1) if value.ndim == 4 else value
    return last.reshape(-1, last.shape[-1]).astype(np.float64)


def _last_weights(wiring: Wiring, blocks: list[Block]) -> Array:
    """Give the energy of the weights that write to the stream."""
    scores = np.zeros(len(blocks))
    for at, block in enumerate(blocks):
        for node in block.nodes:
            if node.op_type == "Add" and not any(name in wiring.weights for name in node.input):
                branch = [name for name in node.input if _writer(wiring, name, block) is not None]
                scores[at] += sum(_writer(wiring, name, block) or 0.0 for name in branch)
    return scores


def _writer(wiring: Wiring, name: str, block: Block) -> float | None:
    """Give the energy of the last weights on the way to a sum, a few steps up."""
    inside = {id(node) for node in block.nodes}
    for _ in range(4):
        node = wiring.makers.get(name)
        if node is None or id(node) not in inside or name == block.x:
            return None
        value = wiring.value(node.input[1]) if len(node.input) > 1 else None
        if value is not None and node.op_type in ("MatMul", "Gemm", "Conv", "BatchNormalization"):
            return float(np.square(value, dtype=np.float64).sum())
        sides = wiring.operands(node)
        name = sides[0] if sides is not None else node.input[0]
    return None
