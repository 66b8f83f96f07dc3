"""FP16: half the bytes; faster only where the target computes in 16 bits.

On a CPU without 16-bit kernels ONNX Runtime casts around each operator, so the model runs, in half
the bytes on disk and no faster. Inputs and outputs stay float32, and so do sums over many numbers
(normalization, reductions), every operator that is not known to bear 16 bits, and what overflows
them on the sample inputs. ONNX Runtime's own converter casts between two operators that are both
kept in float, and so overflows all the same; this one does not. The rule for sums is Micikevicius
et al. 2018, "Mixed precision training".
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.activations import observe
from edgewise.optimize.graphs.batch_norm import fold_batch_norms
from edgewise.optimize.graphs.model_checks import (
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
_HALF = frozenset(
    (
        *("MatMul", "Gemm", "Conv", "ConvTranspose", "Add", "Sub", "Mul", "Div", "Sum", "Neg"),
        *("Abs", "Max", "Min", "Sqrt", "Where", "Expand", "Identity", "Gather", "Reshape"),
        *("Transpose", "Unsqueeze", "Squeeze", "Flatten", "Slice", "Split", "Concat", "Pad"),
        *("Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSigmoid", "Tanh", "Erf", "Softmax"),
        *("MaxPool", "AveragePool", "GlobalAveragePool", "Gelu", "FastGelu", "BiasGelu"),
    )
)


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
        When nothing in the model can be converted, or it branches.
    InvalidData
        When the samples do not fit the model.
    """
    source = copy_model(model)
    check_names(source, keep_float)
    check_samples(source, samples)
    branch = next(
        (n for n in source.graph.node if any(a.type == a.GRAPH for a in n.attribute)), None
    )
    if branch is not None:
        what = f"`{branch.op_type}` holds a graph of its own"
        raise InvalidModel(what, where="model", hint="leave FP16 out for this model")
    source = fold_batch_norms(source)
    kept = {*keep_float, *overflowing(source, samples)}
    chosen = {n.name for n in source.graph.node if n.op_type in _HALF and n.name not in kept}
    weights = weights_of(source)
    reads = {name for n in source.graph.node if n.name in chosen for name in n.input}
    if not reads & weights.keys():
        what = "no operator with stored weights that 16 bits can hold"
        raise InvalidModel(what, where="model", hint="leave FP16 out for this model")
    return check_loads(_Converter(source, chosen).run())


def overflowing(model: "onnx.ModelProto", samples: Sequence[Tensors]) -> tuple[str, ...]:
    """Give the nodes that read or write a number too large for 16 bits on one of the samples."""
    names = float_tensors(model, model.graph.node)
    large = {
        name for name, value in weights_of(model).items() if np.abs(value).max(initial=0) > LARGEST
    }
    for found in observe(model, names, samples):
        large |= {name for name, value in found.items() if np.abs(value).max(initial=0) > LARGEST}
    return tuple(node.name for node in model.graph.node if large & {*node.input, *node.output})


class _Converter:
    """Each tensor has the type that its maker gives it; readers of the other type get a cast."""

    def __init__(self, model: "onnx.ModelProto", chosen: set[str]) -> None:
        self._model, self._chosen = model, chosen
        self._floats = set(float_tensors(model, model.graph.node))
        self._weights = weights_of(model)
        self._outputs = {one.name for one in model.graph.output}
        self._halves = {
            name
            for node in model.graph.node
            if node.name in chosen
            for name in node.output
            if name in self._floats
        }
        self._nodes: list[onnx.NodeProto] = []
        self._casts: dict[tuple[str, bool], str] = {}
        self._half_weights: dict[str, str] = {}

    def run(self) -> "onnx.ModelProto":
        """Give the converted model."""
        with extras.needed("optimize"):
            from onnx import numpy_helper  # noqa: PLC0415 - optional

        graph = self._model.graph
        for node in graph.node:
            made = type(node).FromString(node.SerializeToString())
            half = node.name in self._chosen
            for place, name in enumerate(node.input):
                made.input[place] = self._read(name, half=half)
            self._nodes.append(made)
            for place, name in enumerate(node.output):
                if name in self._outputs & self._halves:
                    made.output[place] = f"{name}.half"
                    self._cast(f"{name}.half", name, half=False)
        used = {name for node in self._nodes for name in node.input}
        kept = [one for one in graph.initializer if one.name in used]
        kept += [
            numpy_helper.from_array(self._weights[name].astype(np.float16), half)
            for name, half in self._half_weights.items()
        ]
        for field, values in ((graph.node, self._nodes), (graph.initializer, kept)):
            del field[:]
            field.extend(values)
        del graph.value_info[:]
        return self._model

    def _read(self, name: str, *, half: bool) -> str:
        """Give the name under which a node of a type reads a tensor."""
        if name in self._weights:
            return self._half_weights.setdefault(name, f"{name}.half") if half else name
        if name in self._halves and name in self._outputs:
            return f"{name}.half" if half else name
        if name not in self._floats or (name in self._halves) == half:
            return name
        if (name, half) not in self._casts:
            self._casts[name, half] = f"{name}.as_{'half' if half else 'float'}"
            self._cast(name, self._casts[name, half], half=half)
        return self._casts[name, half]

    def _cast(self, source: str, out: str, *, half: bool) -> None:
        from onnx import TensorProto, helper  # noqa: PLC0415 - optional

        kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        self._nodes.append(helper.make_node("Cast", [source], [out], name=f"cast.{out}", to=kind))
