"""Structured pruning of hidden neurons: FFN blocks of transformers and chains of linear layers.

A neuron goes with its column of the layer before and its row of the layer after, so the file is
smaller and the model faster. With samples, neurons go where the squared error of the layer after
is least, and that layer is fitted again to give what it gave in the source: in closed form,
without labels or training.

Sources: see `reconstruct`; the groups are those of `channel_groups`.
"""

from collections.abc import Sequence

import numpy as np
import onnx

from edgewise.optimize.graphs.activations import observe
from edgewise.optimize.graphs.channel_groups import Group, Reader, find_groups
from edgewise.optimize.graphs.moments import second_moments
from edgewise.optimize.graphs.pruning import begin
from edgewise.optimize.graphs.reconstruct import (
    gather,
    keep_best,
    keep_correctable,
    score_units,
)
from edgewise.optimize.graphs.shares import count_of
from edgewise.optimize.graphs.wiring import Array, Wiring, copy_of
from edgewise.runtimes.protocol import Tensors

NAME = "prune-ffn"
_NONE = (
    "no hidden neurons found: looked for a linear layer whose output reaches another through "
    "activations alone"
)


def prune_ffn(
    model: onnx.ModelProto,
    share: float,
    samples: Sequence[Tensors] = (),
    *,
    correct: bool = True,
) -> onnx.ModelProto:
    """Give the model without a share of each hidden layer's neurons.

    Parameters
    ----------
    share : in [0, 1)
        Of each hidden layer, rounded down; 0 changes nothing.
    samples
        Sample inputs; without them neurons are ranked by their weights alone.
    correct
        Fit the layer after each block again on the samples.

    Raises
    ------
    InvalidModel
        When no linear layer's output reaches another through activations alone.
    """
    wiring, groups = begin(model, share, _groups, name=NAME, none=_NONE)
    if not any(count_of(share, group.width) for group in groups):
        return copy_of(model)
    if not samples:
        for group in groups:
            keep = keep_best(_magnitudes(wiring, group), count_of(share, group.width))
            group.narrow(wiring, keep)
        return wiring.finish()
    single = [g for g in groups if len(g.readers) == 1] if correct else []
    _prune_by_energy(model, wiring, [g for g in groups if g not in single], share, samples)
    if single:
        _prune_and_refit(model, wiring, single, share, samples)
    return wiring.finish()


def _groups(wiring: Wiring) -> list[Group]:
    return [group for group in find_groups(wiring) if not group.has_conv]


def _magnitudes(wiring: Wiring, group: Group) -> Array:
    """Give each neuron's norm of incoming weights times that of outgoing ones, squared."""
    made = np.zeros(group.width)
    for cut in group.makers:
        made += _energy(wiring, cut.node.input[cut.index], cut.axis)
    for cut in group.carried:
        if cut.node.op_type in ("Add", "Gemm"):
            made += _energy(wiring, cut.node.input[cut.index], cut.axis)
    read = np.zeros(group.width)
    for reader in group.readers:
        read += _energy(wiring, reader.cut.node.input[reader.cut.index], reader.cut.axis)
    return np.asarray(made * read)


def _energy(wiring: Wiring, name: str, axis: int) -> Array:
    value = wiring.value(name)
    assert value is not None  # a cut is made from a constant
    rows = np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)
    return np.asarray(np.square(rows, dtype=np.float64).sum(axis=1))


def _prune_by_energy(
    model: onnx.ModelProto,
    wiring: Wiring,
    groups: list[Group],
    share: float,
    samples: Sequence[Tensors],
) -> None:
    if not groups:
        return
    axes = {reader.x: -1 for group in groups for reader in group.readers}
    moments = second_moments(model, axes, samples)
    for group in groups:
        scores = np.zeros(group.width)
        for reader in group.readers:
            scores += score_units(moments[reader.x], _weight(wiring, reader), 1)
        group.narrow(wiring, keep_best(scores, count_of(share, group.width)))


def _prune_and_refit(
    model: onnx.ModelProto,
    wiring: Wiring,
    groups: list[Group],
    share: float,
    samples: Sequence[Tensors],
) -> None:
    """Go through the blocks in order; each is fitted to what those before it became."""
    names = [group.readers[0].x for group in groups]
    weights = {g.readers[0].x: _weight(wiring, g.readers[0]) for g in groups}
    targets: dict[str, list[Array]] = {name: [] for name in names}

    for found in observe(model, names, samples):
        for name, value in found.items():
            targets[name].append(value.reshape(-1, value.shape[-1]) @ weights[name])
    for group, name in zip(groups, names, strict=True):
        drop = count_of(share, group.width)
        linear = group.readers[0].linear
        if drop == 0 or linear is None:
            continue
        values = (found[name] for found in observe(wiring.finish(), [name], samples))
        reached = [value.reshape(-1, value.shape[-1]) for value in values]
        evidence = gather(reached, targets.pop(name), has_bias=linear.bias_node is not None)
        keep = keep_correctable(evidence.covariance, weights[name], drop, 1)
        group.narrow(wiring, keep)
        fitted = evidence.refit(keep, weights[name])
        bias = linear.bias(wiring)
        linear.set_weight(wiring, fitted.weight)
        linear.set_bias(wiring, (bias + fitted.bias).astype(bias.dtype))


def _weight(wiring: Wiring, reader: Reader) -> Array:
    assert reader.linear is not None  # groups with convolutions are not this pass's
    return reader.linear.weight(wiring)
