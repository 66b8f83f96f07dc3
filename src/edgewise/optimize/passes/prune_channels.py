"""Structured pruning of convolution channels.

A channel goes with its kernel, its BatchNormalization, its depthwise kernel and its slice of each
layer that reads it. Channels that a sum ties together (residual connections, squeeze and excite)
go together; those that reach something that can't be narrowed are left.

Sources: Li et al., "Pruning Filters for Efficient ConvNets", 2017; Fang et al., "DepGraph", 2023;
Sun et al., "Wanda", 2023, for scores with samples.
"""

from collections.abc import Sequence

import numpy as np
import onnx

from edgewise.optimize.graphs.channel_groups import Cut, Group, find_groups
from edgewise.optimize.graphs.moments import second_moments
from edgewise.optimize.graphs.pruning import begin
from edgewise.optimize.graphs.reconstruct import keep_best
from edgewise.optimize.graphs.shares import count_of
from edgewise.optimize.graphs.wiring import Array, Wiring, attribute, copy_of
from edgewise.runtimes.protocol import Tensors

NAME = "prune-channels"
_NONE = (
    "no channels to cut found: looked for a convolution whose channels reach another layer through "
    "norms, activations, pooling, depthwise convolutions or sums"
)


def prune_channels(
    model: onnx.ModelProto, share: float, samples: Sequence[Tensors] = ()
) -> onnx.ModelProto:
    """Give the model without a share of each group's channels.

    Parameters
    ----------
    share : in [0, 1)
        Of each group of tied channels, rounded down; 0 changes nothing.
    samples
        Sample inputs; without them channels are ranked by their weights alone.

    Raises
    ------
    InvalidModel
        When no convolution's channels can be cut.
    """
    wiring, groups = begin(model, share, _groups, name=NAME, none=_NONE)
    if not any(count_of(share, group.width) for group in groups):
        return copy_of(model)
    moments: dict[str, Array] = {}
    if samples:
        axes = {reader.x: reader.axis for group in groups for reader in group.readers}
        moments = second_moments(model, axes, samples)
    for group in groups:
        scores = _scores(wiring, group, moments)
        group.narrow(wiring, keep_best(scores, count_of(share, group.width)))
    return wiring.finish()


def _groups(wiring: Wiring) -> list[Group]:
    return [group for group in find_groups(wiring) if group.has_conv]


def _scores(wiring: Wiring, group: Group, moments: dict[str, Array]) -> Array:
    total = np.zeros(group.width)
    made = sum((_made(wiring, cut) for cut in group.makers), np.zeros(group.width))
    for reader in group.readers:
        read = _energy(wiring, reader.cut)
        total += read * (moments[reader.x] if moments else made)
    return total


def _energy(wiring: Wiring, cut: Cut) -> Array:
    value = wiring.value(cut.node.input[cut.index])
    assert value is not None  # a cut is made from a constant
    rows = np.moveaxis(value, cut.axis, 0).reshape(value.shape[cut.axis], -1)
    return np.asarray(np.square(rows, dtype=np.float64).sum(axis=1))


def _made(wiring: Wiring, cut: Cut) -> Array:
    """Give each channel's energy as its kernel makes it and a norm right after scales it."""
    energy = _energy(wiring, cut)
    norm = wiring.only_reader(cut.node.output[0], "BatchNormalization")
    if norm is None:
        if cut.node.op_type == "Conv" and len(cut.node.input) > 2 and cut.node.input[2]:
            energy = energy + _energy(wiring, Cut(node=cut.node, index=2, axis=0))
        return energy
    scale, shift, _, variance = (np.asarray(wiring.value(n), dtype=float) for n in norm.input[1:5])
    return np.asarray(energy * scale**2 / (variance + attribute(norm, "epsilon", 1e-5)) + shift**2)
