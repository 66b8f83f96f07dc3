"""Structured pruning of the width: channels of the residual stream, through the whole model.

A channel goes from every table, normalization and linear layer that writes to the stream or reads
from it; the inner widths of attention and FFN stay. An output that is the stream itself, as an
encoder's embedding is, keeps its width by one linear layer behind it, fitted on samples. What is
left are the source's weights, which is where a student of another width starts: without training
afterwards it loses much.

Source: Muralidharan et al., "Compact Language Models via Pruning and Knowledge Distillation"
(Minitron), 2024: channels of the stream ranked by their activations.
"""

from collections.abc import Sequence

import numpy as np
import onnx

from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.activations import observe
from edgewise.optimize.graphs.reconstruct import gather, keep_best
from edgewise.optimize.graphs.shares import check_share, count_of
from edgewise.optimize.graphs.stream import Stream, find_stream
from edgewise.optimize.graphs.wiring import Array, Wiring, copy_of
from edgewise.runtimes.protocol import Tensors

NAME = "prune-width"


def prune_width(
    model: onnx.ModelProto, share: float, samples: Sequence[Tensors] = ()
) -> onnx.ModelProto:
    """Give the model without a share of the channels of its residual stream.

    Parameters
    ----------
    share : in [0, 1)
        Of the channels, rounded down; 0 changes nothing.
    samples
        Sample inputs; without them channels are ranked by their weights alone.

    Raises
    ------
    InvalidModel
        When there is no stream between normalizations, something in it can't be narrowed, or it is
        an output and there are no samples to fit one of the source's width on.
    """
    check_share(share)
    wiring = Wiring(model)
    stream = find_stream(wiring)
    drop = count_of(share, stream.width)
    if drop == 0:
        return copy_of(model)
    if stream.given and not samples:
        what = f"the output `{stream.given[0]}` is the stream itself, and there are no samples"
        raise InvalidModel(what, where=NAME, hint="give sample inputs")
    scores = _energies(model, stream, samples) if samples else _weights(wiring, stream)
    keep = keep_best(scores, drop)
    stream.narrow(wiring, keep)
    for name in stream.given:
        _widen(model, wiring, name, keep, samples)
    return wiring.finish()


def _energies(model: onnx.ModelProto, stream: Stream, samples: Sequence[Tensors]) -> Array:
    """Give how far each channel moves, after each normalization alike."""
    totals = np.zeros(stream.width)
    for name in stream.tensors:
        rows = np.concatenate(
            [found[name].reshape(-1, stream.width) for found in observe(model, [name], samples)]
        )
        variances = rows.var(axis=0, dtype=np.float64)
        totals += variances / max(float(variances.mean()), 1e-12)
    return totals


def _weights(wiring: Wiring, stream: Stream) -> Array:
    """Give the energy of what is stored for each channel, of each stored tensor alike."""
    totals = np.zeros(stream.width)
    for node, index, axis in stream.cuts:
        value = wiring.value(node.input[index])
        assert value is not None  # a cut is of a stored tensor
        rows = np.moveaxis(value, axis, 0).reshape(stream.width, -1)
        energies = np.square(rows, dtype=np.float64).sum(axis=1)
        totals += energies / max(float(energies.mean()), 1e-12)
    return totals


def _widen(
    model: onnx.ModelProto, wiring: Wiring, output: str, keep: Array, samples: Sequence[Tensors]
) -> None:
    """Put a linear layer behind a narrowed output that gives what it gave, as near as it can."""
    wanted = [found[output] for found in observe(model, [output], samples)]
    narrow = wiring.fresh(output)
    maker = wiring.makers[output]
    maker.output[list(maker.output).index(output)] = narrow
    for reader in wiring.readers.get(output, []):
        for index, name in enumerate(reader.input):
            if name == output:
                reader.input[index] = narrow
    wiring.reindex()
    part = wiring.finish([onnx.ValueInfoProto(name=narrow)])
    reached = [found[narrow] for found in observe(part, [narrow], samples)]
    full = wanted[0].shape[-1]
    evidence = gather(
        [one.reshape(-1, len(keep)) for one in reached],
        [one.reshape(-1, full) for one in wanted],
        has_bias=True,
    )
    start = np.eye(full, dtype=np.float32)[keep]
    fitted = evidence.refit(np.arange(len(keep)), start)
    product = wiring.add_node("MatMul", [narrow, wiring.add_weight(fitted.weight, "widen.weight")])
    wiring.add_node("Add", [product, wiring.add_weight(fitted.bias, "widen.bias")], output)
    wiring.reindex()
