"""FP16: half the bytes; faster only where the target computes in 16 bits.

On a CPU without 16-bit kernels ONNX Runtime casts around each operator, so the model runs, in half
the bytes on disk and no faster. Inputs and outputs stay float32. Sums over many numbers
(normalization, reductions) stay in float32, and so does what overflows 16 bits on the sample
inputs. Source: ONNX Runtime, `onnxruntime.transformers.float16`; the rule for sums is Micikevicius
et al. 2018, "Mixed precision training".
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidModel
from edgewise.optimize.activations import observe
from edgewise.optimize.model_checks import (
    check_loads,
    check_names,
    check_samples,
    copy_model,
    float_tensors,
    weights_of,
)
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

NAME = "fp16"
LARGEST = float(np.finfo(np.float16).max)
_SUMS = ("LayerNormalization", "ReduceSum", "ReduceMean", "ReduceL2", "Pow", "Exp", "Log")


def convert_fp16(
    model: "onnx.ModelProto", samples: Sequence[Tensors], *, keep_float: Sequence[str] = ()
) -> "onnx.ModelProto":
    """Give the model in 16-bit floats, with inputs and outputs in 32.

    Parameters
    ----------
    samples
        Inputs as the task encodes them; nodes that overflow on one of them stay in float32.
    keep_float
        Names of further nodes to leave in float32.

    Raises
    ------
    InvalidModel
        When the model holds no float32 weight, or can't be converted.
    InvalidData
        When the samples do not fit the model.
    """
    with extras.needed("optimize"):
        from onnxruntime.transformers import float16  # noqa: PLC0415 - heavy

    source = copy_model(model)
    check_names(source, keep_float)
    check_samples(source, samples)
    if not weights_of(source):
        raise InvalidModel("no float32 weight", where="model", hint="leave this pass out")
    kept = {*keep_float, *overflowing(source, samples)}
    try:
        found = float16.convert_float_to_float16(
            source,
            keep_io_types=True,
            op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *_SUMS],
            node_block_list=sorted(kept),
        )
    except Exception as broken:
        what = f"can't be converted: {(str(broken).splitlines() or ['unknown'])[0][:120]}"
        raise InvalidModel(what, where="model", hint="leave FP16 out for this model") from broken
    return check_loads(found)


def overflowing(model: "onnx.ModelProto", samples: Sequence[Tensors]) -> tuple[str, ...]:
    """Give the nodes that read or write a number too large for 16 bits on one of the samples."""
    names = float_tensors(model, model.graph.node)
    large = {
        name for name, value in weights_of(model).items() if np.abs(value).max(initial=0) > LARGEST
    }
    for found in observe(model, names, samples):
        large |= {name for name, value in found.items() if np.abs(value).max(initial=0) > LARGEST}
    return tuple(node.name for node in model.graph.node if large & {*node.input, *node.output})
