"""Batch normalization folded into the convolution before it; the answers stay the same.

Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", section 3.2. Integer kernels need it: between a convolution and
its activation a normalization in float would split what they compute in one step.
"""

from typing import TYPE_CHECKING

import numpy as np

from edgewise import extras
from edgewise.optimize.graphs.model_checks import close_weights
from edgewise.optimize.graphs.wiring import reads_of

if TYPE_CHECKING:
    import onnx


def fold_batch_norms(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Fold each `BatchNormalization` whose convolution and numbers are stored weights."""
    with extras.needed("optimize"):
        from onnx import ModelProto, numpy_helper  # noqa: PLC0415 - optional

    found = ModelProto()
    found.CopyFrom(model)
    close_weights(found)
    graph = found.graph
    stored = {one.name: one for one in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, int] = {}
    read = [name for node in graph.node for name in reads_of(node)]
    for name in [*read, *(one.name for one in graph.output)]:
        readers[name] = readers.get(name, 0) + 1
    taken = {*stored, *makers, *(one.name for one in graph.input)}
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        conv = makers.get(norm.input[0])
        if conv is None or conv.op_type != "Conv" or readers[norm.input[0]] > 1:
            continue
        if any(one.name == "training_mode" and one.i for one in norm.attribute):
            continue
        if not {*conv.input[1:], *norm.input[1:]} - {""} <= stored.keys():
            continue
        scale, shift, mean, variance = (numpy_helper.to_array(stored[i]) for i in norm.input[1:5])
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        weight = numpy_helper.to_array(stored[conv.input[1]])
        bias = (
            numpy_helper.to_array(stored[conv.input[2]])
            if len(conv.input) > 2 and conv.input[2]
            else np.zeros(len(weight), np.float32)
        )
        factor = scale / np.sqrt(variance + np.float32(epsilon))
        folded = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
        stem = norm.name or norm.output[0]
        while not taken.isdisjoint(names := (f"{stem}.weight", f"{stem}.bias")):
            stem += ".folded"  # a layer's name, whose own numbers are called so
        taken.update(names)
        for name, value in zip(names, (folded, (bias - mean) * factor + shift), strict=True):
            graph.initializer.append(numpy_helper.from_array(value.astype(weight.dtype), name))
        del conv.input[1:]
        conv.input.extend(names)
        conv.output[0] = norm.output[0]
        graph.node.remove(norm)
    used = {name for node in graph.node for name in reads_of(node)}
    kept = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return found
