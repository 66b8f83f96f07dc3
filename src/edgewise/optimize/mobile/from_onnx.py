"""An ONNX model as a torch module, so that what our passes made of it can become a `.tflite`.

Nothing sound converts ONNX to LiteRT directly; litert-torch converts torch modules. This runs a
graph node by node with torch's operators. What depends on shapes and stored numbers alone is worked
out with numpy, so that a converter sees no arithmetic of shapes. Batch normalizations are folded,
attention and Gaussian units fused first (`passes/fuse.py`), a linear layer keeps its bias: each is
then one operator of LiteRT's, or a few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidModel
from edgewise.optimize.mobile.torch_operators import OPERATORS, Call, attention, linear, scale_of

if TYPE_CHECKING:
    import onnx

    from edgewise.optimize.graphs.wiring import Wiring


def module_of(model: "onnx.ModelProto", *, takes: Sequence[str] | None = None) -> Any:
    """Give a torch module that takes the model's inputs by name and gives its outputs in order.

    Parameters
    ----------
    takes
        The inputs' names in the order of the call; the model's own order where it is `None`.

    Returns
    -------
    torch.nn.Module
        Of a model with one output it gives that tensor, of another a tuple.

    Raises
    ------
    InvalidModel
        When the model has an operator that this does not know; it is named.
    """
    with extras.needed("mobile"):
        import torch  # noqa: PLC0415 - optional
    from edgewise.optimize.graphs.wiring import Wiring  # noqa: PLC0415 - needs onnx
    from edgewise.optimize.passes.fuse import fuse  # noqa: PLC0415 - needs onnx

    wiring = Wiring(fuse(model))
    names = tuple(takes or (value.name for value in model.graph.input))
    outputs = tuple(value.name for value in model.graph.output)
    unknown = sorted({node.op_type for node in wiring.nodes} - OPERATORS.keys())
    if unknown:
        what = f"{', '.join(unknown)} can't become a torch operator"
        raise InvalidModel(what, where="model", hint="leave LiteRT out, or give the torch module")
    layers = _linears(wiring)

    graph = _Read(wiring=wiring, layers=layers)
    stored = _stored(wiring, layers)
    places = {name: str(index) for index, name in enumerate(stored)}

    class Graph(torch.nn.Module):  # type: ignore[misc]  # torch is untyped where it is absent
        """Runs the graph's nodes in order."""

        def __init__(self) -> None:
            super().__init__()
            self.kept = torch.nn.ParameterDict(
                {
                    places[name]: torch.nn.Parameter(torch.from_numpy(value), requires_grad=False)
                    for name, value in stored.items()
                }
            )

        def forward(self, *tensors: Any, **by_name: Any) -> Any:
            """Give the outputs."""
            known: dict[str, Any] = {**dict(zip(names, tensors, strict=False)), **by_name}
            kept = {name: self.kept[place] for name, place in places.items()}
            for node in wiring.nodes:
                known.update(_run(torch, node, graph, known, kept))
            found = tuple(known[name] for name in outputs)
            return found[0] if len(found) == 1 else found

    return Graph().eval()


Layers = Mapping[str, tuple[str, str]]
"""A product's output, with the names of its weight and of the bias that joins it (or empty)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    wiring: "Wiring"
    layers: Layers


def _linears(wiring: "Wiring") -> dict[str, tuple[str, str]]:
    """Find the products with stored matrices, and the biases that only they get."""
    found = {}
    for node in wiring.nodes:
        stored = wiring.value(node.input[1]) if node.op_type == "MatMul" else None
        if stored is None or stored.ndim != 2 or node.input[0] in wiring.weights:
            continue
        reader = wiring.only_reader(node.output[0], "Add", "BiasGelu")
        sides = wiring.operands(reader) if reader is not None else None
        bias = wiring.value(sides[1]) if sides is not None else None
        fits = bias is not None and bias.shape == (stored.shape[1],)
        found[node.output[0]] = (node.input[1], sides[1] if fits and sides is not None else "")
    return found


def _stored(wiring: "Wiring", layers: Layers) -> dict[str, Any]:
    """Give what becomes parameters, which all lengths of a model share, in the form torch has it.

    A layer's matrix and bias are called by its output, and an attention's, with queries scaled.
    """
    found: dict[str, Any] = {}
    for node in wiring.nodes:
        name = node.output[0]
        if name in layers:
            weight, bias = (wiring.value(one) for one in layers[name])
            assert weight is not None  # `_linears` saw it
            found[f"{name}//weight"] = weight.T
            found[f"{name}//bias"] = np.zeros(len(weight.T), weight.dtype) if bias is None else bias
        elif node.op_type == "Attention":
            weight, bias = (wiring.value(one) for one in node.input[1:3])
            assert weight is not None  # `fuse` wrote both
            assert bias is not None
            factor = np.ones(len(bias), np.float32)
            factor[: len(bias) // 3] = scale_of(node, len(bias) // 3)
            found[f"{name}//heads"] = weight.T * factor[:, None]
            found[f"{name}//heads.bias"] = bias * factor
        else:
            values = {one: wiring.value(one) for one in node.input}
            found.update(
                {
                    k: v
                    for k, v in values.items()
                    if v is not None and v.dtype == np.float32 and v.ndim
                }
            )
    return {name: np.array(value, order="C") for name, value in found.items()}


def _run(
    torch: Any,
    node: "onnx.NodeProto",
    graph: "_Read",
    known: Mapping[str, Any],
    kept: Mapping[str, Any],
) -> dict[str, Any]:
    wiring, layers, name = graph.wiring, graph.layers, node.output[0]
    if f"{name}//weight" in kept:
        x, weight, bias = known[node.input[0]], kept[f"{name}//weight"], kept[f"{name}//bias"]
        return {name: linear(torch, x, weight, bias)}
    if f"{name}//heads" in kept:
        others = [known.get(one) if one else None for one in node.input]
        own = (kept[f"{name}//heads"], kept[f"{name}//heads.bias"])
        return {name: attention(Call.of(torch, node, others), own)}
    fixed = [known.get(one, wiring.value(one)) if one else None for one in node.input]
    if all(value is None or isinstance(value, np.ndarray) for value in fixed):
        made: Any = _worked_out(node, fixed)
    else:
        joined = {layers[one][1] for one in node.input if one in layers}
        values = [
            None if one in joined else kept.get(one, value)
            for one, value in zip(node.input, fixed, strict=True)
        ]
        made = OPERATORS[node.op_type](Call.of(torch, node, values))
    made = made if isinstance(made, tuple | list) else (made,)
    return dict(zip(node.output, made, strict=False))


def _worked_out(node: "onnx.NodeProto", fixed: Sequence[Any]) -> Any:
    """Give what a node makes of stored numbers, by numpy."""
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - optional

    if node.op_type == "GatherElements":  # onnx 1.23's own fails on more than 32 rows
        axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
        return np.take_along_axis(fixed[0], fixed[1], axis)
    feed = {name: value for name, value in zip(node.input, fixed, strict=True) if name}
    return ReferenceEvaluator(node).run(None, feed)
