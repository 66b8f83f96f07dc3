"""A float ONNX graph as a torch module whose stored weights can be trained and put back.

So whatever the source was, and whatever passes made of it, is trained as it will be shipped: a
pruned graph, a fitted head and fused attention alike. Where asked, products are computed as ONNX
Runtime's 8 bits will compute them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from edgewise import extras
from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.batch_norm import fold_batch_norms
from edgewise.optimize.graphs.model_checks import copy_model
from edgewise.optimize.graphs.wiring import Wiring, attribute
from edgewise.optimize.mobile.torch_operators import Call, attention, scale_of
from edgewise.optimize.training.operators import TRAINABLE
from edgewise.optimize.training.rounding import (
    round_activations,
    round_table,
    round_weights,
    steps_of,
)

with extras.needed("torch"):
    import torch
    from torch import nn

_STORED = {
    "MatMul": (1,),
    "Gemm": (1, 2),
    "Conv": (1, 2),
    "LayerNormalization": (1, 2),
    "Attention": (1, 2),
    "Add": (0, 1),
    "Mul": (0, 1),
    "BiasGelu": (1,),
}
"""Which inputs of a node are weights, where they are stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """Which nodes compute in 8 bits while they are trained."""

    nodes: Collection[str] = field(default=())
    reduce_range: bool = False


class GraphModule(nn.Module):  # type: ignore[misc, unused-ignore]
    """Runs a graph with torch's operators; takes its inputs by position, in the graph's order.

    Parameters
    ----------
    with_tables
        Whether tables of embeddings are trained too.

    Raises
    ------
    InvalidModel
        When the graph has an operator that torch is not told how to run; it is named.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        *,
        with_tables: bool = False,
        rounding: Rounding | None = None,
    ) -> None:
        super().__init__()
        self._wiring = Wiring(copy_model(fold_batch_norms(model)))
        self._rounding = rounding or Rounding()
        taken = self._wiring.inputs
        self.inputs = tuple(one.name for one in model.graph.input if one.name in taken)
        self._output = model.graph.output[0].name
        self._nodes = list(self._wiring.finish().graph.node)
        unknown = sorted({node.op_type for node in self._nodes} - TRAINABLE.keys())
        if unknown:
            what = f"{', '.join(unknown)} can't be trained"
            raise InvalidModel(what, where="model", hint="leave training out for this model")
        names = _trained(self._wiring, self._nodes, with_tables=with_tables)
        if not names:
            what = "no stored weights to train"
            raise InvalidModel(what, where="model", hint="leave training out for this model")
        self._places = {name: str(at) for at, name in enumerate(names)}
        self.kept = nn.ParameterDict(
            {self._places[name]: nn.Parameter(_tensor(self._wiring, name)) for name in names}
        )
        self._fixed: dict[str, Any] = {}
        self._evaluators: dict[int, ReferenceEvaluator] = {}

    def forward(self, *tensors: Any) -> Any:
        """Give the first output."""
        known: dict[str, Any] = dict(zip(self.inputs, tensors, strict=True))
        for at, node in enumerate(self._nodes):
            known.update(zip(node.output, self._run(at, node, known), strict=False))
        return known[self._output]

    def model(self) -> onnx.ModelProto:
        """Give the graph with the weights as they are now."""
        for name, place in self._places.items():
            value = self.kept[place].detach().numpy()
            self._wiring.weights[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return self._wiring.finish()

    def _run(self, at: int, node: onnx.NodeProto, known: Mapping[str, Any]) -> tuple[Any, ...]:
        values = [self._value(name, known) if name else None for name in node.input]
        if all(value is None or isinstance(value, np.ndarray) for value in values):
            # Shapes and stored numbers alone: no weight flows here.
            if at not in self._evaluators:
                self._evaluators[at] = ReferenceEvaluator(node)
            feed = {one: value for one, value in zip(node.input, values, strict=True) if one}
            return tuple(self._evaluators[at].run(None, feed))
        if node.name in self._rounding.nodes:
            values = self._rounded(node, values)
        call = Call.of(torch, node, values)
        if node.op_type == "Attention":
            return (_attention(call, node),)
        made = TRAINABLE[node.op_type](call)
        return tuple(made) if isinstance(made, tuple | list) else (made,)

    def _value(self, name: str, known: Mapping[str, Any]) -> Any:
        if name in self._places:
            return self.kept[self._places[name]]
        if name in known:
            return known[name]
        if name not in self._fixed:
            value = self._wiring.value(name)
            is_table = value is not None and value.ndim == 2 and value.dtype == np.float32
            self._fixed[name] = torch.from_numpy(np.array(value)) if is_table else value
        return self._fixed[name]

    def _rounded(self, node: onnx.NodeProto, values: list[Any]) -> list[Any]:
        if node.op_type == "Gather":
            return [self._rounded_table(node.input[0], values[0]), *values[1:]]
        axis = 0 if node.op_type == "Conv" or attribute(node, "transB", 0) else -1
        steps = steps_of(reduce_range=self._rounding.reduce_range)
        weight = round_weights(values[1], axis, steps)
        return [round_activations(values[0]), weight, *values[2:]]

    def _rounded_table(self, name: str, table: Any) -> Any:
        """Round a table, once where it is not trained."""
        if name in self._places:
            return round_table(table)
        key = f"{name}//rounded"
        if key not in self._fixed:
            self._fixed[key] = round_table(table)
        return self._fixed[key]


def _attention(call: Call, node: onnx.NodeProto) -> Any:
    weight, bias = call.tensor(1), call.tensor(2)
    third = len(bias) // 3
    factor = torch.ones(len(bias))
    factor[:third] = scale_of(node, third)
    return attention(call, (weight.T * factor[:, None], bias * factor))


def _trained(
    wiring: Wiring, nodes: Collection[onnx.NodeProto], *, with_tables: bool
) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for node in nodes:
        places = _STORED.get(node.op_type, ())
        if node.op_type == "Gather" and with_tables:
            places = (0,)
        for place in places:
            name = node.input[place] if place < len(node.input) else ""
            value = wiring.value(name) if name else None
            if value is not None and value.dtype == np.float32 and value.ndim and value.size > 1:
                names[name] = None
    return tuple(names)


def _tensor(wiring: Wiring, name: str) -> Any:
    value = wiring.value(name)
    assert value is not None  # `_trained` saw it
    return torch.from_numpy(np.array(value, order="C"))
