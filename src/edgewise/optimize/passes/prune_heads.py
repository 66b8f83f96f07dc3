"""Structured pruning of attention heads.

A head goes with its columns of the query, key and value weights and its rows of the output's.
With samples, heads go where the squared error of the output layer is least, and that layer is
fitted again to give what it gave in the source.

Sources: Michel et al., "Are Sixteen Heads Really Better than One?", 2019; `reconstruct` for the
scores and the fit.
"""

from collections.abc import Sequence

import numpy as np
import onnx

from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.activations import observe
from edgewise.optimize.graphs.attention import Attention, find_attention, looked_for, sizes_of
from edgewise.optimize.graphs.pruning import begin
from edgewise.optimize.graphs.reconstruct import gather, keep_best, keep_correctable, score_units
from edgewise.optimize.graphs.shares import count_of
from edgewise.optimize.graphs.wiring import Array, Wiring, copy_of
from edgewise.runtimes.protocol import Tensors

NAME = "prune-heads"


def prune_heads(
    model: onnx.ModelProto,
    share: float,
    samples: Sequence[Tensors] = (),
    *,
    correct: bool = True,
) -> onnx.ModelProto:
    """Give the model without a share of each block's attention heads.

    Parameters
    ----------
    share : in [0, 1)
        Of each block's heads, rounded down; 0 changes nothing.
    samples
        Sample inputs; without them heads are ranked by their weights alone.
    correct
        Fit each block's output layer again on the samples.

    Raises
    ------
    InvalidModel
        When no attention is found, or its shapes say a number of heads that can't be changed.
    """
    none = f"no attention found: looked for {looked_for()}"
    wiring, blocks = begin(model, share, _blocks, name=NAME, none=none)
    if not any(count_of(share, block.heads) for block in blocks):
        return copy_of(model)
    if not samples:
        for block in blocks:
            drop = count_of(share, block.heads)
            _narrow(wiring, block, keep_best(_magnitudes(wiring, block), drop))
        return wiring.finish()
    _prune_on_samples(model, wiring, blocks, share, samples, correct=correct)
    return wiring.finish()


def _prune_on_samples(
    model: onnx.ModelProto,
    wiring: Wiring,
    blocks: list[Attention],
    share: float,
    samples: Sequence[Tensors],
    *,
    correct: bool,
) -> None:
    """Go through the blocks in order; each is fitted to what those before it became."""
    reached = _rows(model, [block.merge.output[0] for block in blocks], samples)
    for block in blocks:
        drop, name = count_of(share, block.heads), block.merge.output[0]
        source, weight = reached.pop(name), block.out.weight(wiring)
        if drop == 0:
            continue
        if not correct:
            scores = score_units(source.T @ source / len(source), weight, block.size)
            _narrow(wiring, block, keep_best(scores, drop))
            continue
        now = _rows(wiring.finish(), [name], samples)[name]
        has_bias = block.out.bias_node is not None
        evidence = gather([now], [source @ weight], has_bias=has_bias)
        keep = keep_correctable(evidence.covariance, weight, drop, block.size)
        _narrow(wiring, block, keep)
        fitted = evidence.refit(_columns(keep, block.size), weight)
        bias = block.out.bias(wiring)
        block.out.set_weight(wiring, fitted.weight)
        block.out.set_bias(wiring, (bias + fitted.bias).astype(bias.dtype))


def _rows(model: onnx.ModelProto, names: list[str], samples: Sequence[Tensors]) -> dict[str, Array]:
    """Give what the samples bring to each tensor, one row a position."""
    found: dict[str, list[Array]] = {name: [] for name in names}

    for values in observe(model, names, samples):
        for name, value in values.items():
            found[name].append(value.reshape(-1, value.shape[-1]))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _blocks(wiring: Wiring) -> list[Attention]:
    return [block for block in find_attention(wiring) if _is_separate(block)]


def _is_separate(block: Attention) -> bool:
    """Say whether queries, keys and values have weights of their own."""
    return len({id(part.node) for part in (block.query, block.key, block.value)}) == 3


def _columns(heads: Array, size: int) -> Array:
    return np.concatenate([np.arange(head * size, (head + 1) * size) for head in heads])


def _magnitudes(wiring: Wiring, block: Attention) -> Array:
    """Give each head's norm of value weights times that of output weights, squared."""
    made = np.square(block.value.weight(wiring), dtype=np.float64).sum(axis=0)
    made = made + np.square(block.value.bias(wiring), dtype=np.float64)
    read = np.square(block.out.weight(wiring), dtype=np.float64).sum(axis=1)
    parted = (block.heads, block.size)
    return np.asarray(made.reshape(parted).sum(axis=1) * read.reshape(parted).sum(axis=1))


def _narrow(wiring: Wiring, block: Attention, keep: Array) -> None:
    columns = _columns(keep, block.size)
    for part in (block.query, block.key, block.value):
        part.set_weight(wiring, part.weight(wiring)[:, columns])
        part.set_bias(wiring, part.bias(wiring)[columns])
    block.out.set_weight(wiring, block.out.weight(wiring)[columns])
    for split in block.splits:
        _resize(wiring, split, [None, None, len(keep), block.size])
    _resize(wiring, block.merge, [None, None, len(columns)])
    for node, index in block.additions:
        _select_heads(wiring, node, index, block.heads, keep)
    wiring.reindex()


def _resize(wiring: Wiring, reshape: onnx.NodeProto, sizes: list[int | None]) -> None:
    """Let a Reshape go to these sizes where it names any; `None` leaves one as it is."""
    found = sizes_of(wiring, reshape)
    if found is None or len(found) != len(sizes):
        raise InvalidModel(
            f"`{reshape.name}` has a computed shape that can't be narrowed",
            where=NAME,
            hint="export with the heads' number and size as constants",
        )
    if reshape.input[1] in wiring.weights:
        wanted = [
            old if new is None or old == -1 else new for old, new in zip(found, sizes, strict=True)
        ]
        wiring.put(reshape, 1, np.asarray(wanted, dtype=np.int64))
        return
    made = wiring.makers[reshape.input[1]]
    fresh = onnx.NodeProto()
    fresh.CopyFrom(made)
    fresh.output[0] = wiring.fresh("shape")
    fresh.name = fresh.output[0]
    at = 0
    for index, name in enumerate(made.input):
        value = wiring.value(name)
        count = 1 if value is None else value.size
        new = sizes[at : at + count]
        if value is None and new != [None]:
            raise InvalidModel(
                f"`{reshape.name}` computes the number of heads",
                where=NAME,
                hint="export with the heads' number and size as constants",
            )
        if value is not None and any(size is not None for size in new):
            flat = value.reshape(-1)
            wanted = [int(o) if n is None or o == -1 else n for o, n in zip(flat, new, strict=True)]
            wiring.put(fresh, index, np.asarray(wanted, dtype=np.int64))
        at += count
    wiring.nodes.append(fresh)
    reshape.input[1] = fresh.output[0]
    wiring.reindex()


def _select_heads(
    wiring: Wiring, node: onnx.NodeProto, index: int, heads: int, keep: Array
) -> None:
    """Take the heads that stay from a bias that has one slice a head.

    Where only a run tells whether it has, indices beyond its one slice are brought down to it.
    """
    bias = node.input[index]
    shape = wiring.shape(bias)
    if shape is None:
        raise InvalidModel(
            f"the shape of `{bias}`, which is added to the scores, is unknown",
            where=NAME,
            hint="export the model with shape inference",
        )
    if len(shape) < 3 or shape[-3] not in (None, heads) or heads == 1:
        return
    axis = len(shape) - 3
    indices = wiring.add_weight(np.asarray(keep, dtype=np.int64), "heads")
    if shape[axis] is None:
        at = wiring.add_weight(np.asarray([axis], dtype=np.int64), "axis")
        count = wiring.add_node("Gather", [wiring.add_node("Shape", [bias]), at])
        one = wiring.add_weight(np.asarray([1], dtype=np.int64), "one")
        indices = wiring.add_node("Min", [indices, wiring.add_node("Sub", [count, one])])
    node.input[index] = wiring.add_node("Gather", [bias, indices], axis=axis)
