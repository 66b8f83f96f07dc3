"""Balancing: large activations made smaller, their weights larger by as much.

8 bits for a whole activation are few where one channel is a hundred times the others. Each channel
is divided by `max|activation|^strength / max|weight|^(1 - strength)` and the weight's row
multiplied by it, so in float the answers stay the same. Source: Xiao et al. 2023, "SmoothQuant".

The division is folded into the normalization that makes the activation, or into a product with a
stored number, where nothing else reads it; elsewhere (a residual sum, a fused activation) one `Mul`
is put before the products.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.graphs.activations import observe
from edgewise.optimize.graphs.model_checks import check_names, check_samples, copy_model, weights_of
from edgewise.optimize.graphs.wiring import reads_of
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

NAME = "smooth"
_SMALLEST = 1e-5


def smooth(
    model: "onnx.ModelProto",
    samples: Sequence[Tensors],
    *,
    strength: float = 0.8,
    skip: Sequence[str] = (),
) -> "onnx.ModelProto":
    """Give the model with activations and weights balanced channel by channel.

    Parameters
    ----------
    samples
        Inputs as the task encodes them; their largest activations count.
    strength
        0 to 1: how much of the difficulty moves into the weights. The paper takes 0.5 with weights
        quantized as a whole; by channel they bear more: MiniLM in dynamic INT8 has a mean cosine
        of .992 without balancing, .985 at 0.5, .997 at 0.7, .998 at 0.8 and .997 at 1.
    skip
        Names of products to leave as they are, say because they stay in float.

    Raises
    ------
    InvalidModel
        When no product with a stored matrix reads a computed activation.
    InvalidData
        When the samples do not fit the model.
    UsageError
        When `strength` is outside 0 to 1.
    """
    if not 0.0 <= strength <= 1.0:
        raise UsageError(f"strength is {strength}", where="strength", hint="give 0 to 1")
    found = copy_model(model)
    check_names(found, skip)
    check_samples(found, samples)
    groups = _groups(found, skip)
    if not groups:
        what = "no product with a stored matrix to balance"
        raise InvalidModel(what, where="model", hint="leave this pass out for this model")
    largest = _largest(found, list(groups), samples)
    editor = _Editor(found)
    for name, products in groups.items():
        weight = np.max([np.abs(editor.weights[p.input[1]]).max(axis=1) for p in products], axis=0)
        factor = largest[name] ** strength / np.maximum(weight, _SMALLEST) ** (1 - strength)
        factor = np.where(largest[name] > _SMALLEST, np.maximum(factor, _SMALLEST), 1.0)
        editor.balance(name, products, factor.astype(np.float32))
    return editor.finish()


def _groups(model: "onnx.ModelProto", skip: Sequence[str]) -> dict[str, list["onnx.NodeProto"]]:
    """Give the products by the activation they share."""
    weights = weights_of(model)
    made = {name for node in model.graph.node for name in node.output}
    readers: dict[str, int] = {}
    for node in model.graph.node:
        for name in reads_of(node):
            readers[name] = readers.get(name, 0) + 1
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        if node.op_type != "MatMul" or node.name in skip or node.input[0] not in made:
            continue
        weight = weights.get(node.input[1])
        if weight is not None and weight.ndim == 2 and readers[node.input[1]] == 1:
            found.setdefault(node.input[0], []).append(node)
    return found


def _largest(
    model: "onnx.ModelProto", names: list[str], samples: Sequence[Tensors]
) -> dict[str, NDArray[np.float64]]:
    largest: dict[str, NDArray[np.float64]] = {}
    for found in observe(model, names, samples):
        for name, values in found.items():
            seen = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0).astype(np.float64)
            largest[name] = np.maximum(largest.get(name, 0.0), seen)
    return largest


class _Editor:
    def __init__(self, model: "onnx.ModelProto") -> None:
        self._model = model
        self.weights: dict[str, NDArray[Any]] = weights_of(model)
        self._changed: dict[str, NDArray[Any]] = {}
        self._makers = {name: node for node in model.graph.node for name in node.output}
        self._before: dict[str, list[onnx.NodeProto]] = {}

    def balance(
        self, name: str, products: list["onnx.NodeProto"], factor: NDArray[np.float32]
    ) -> None:
        """Divide the activation `name` by `factor`, and multiply the products' rows by it."""
        for product in products:
            self._changed[product.input[1]] = self.weights[product.input[1]] * factor[:, None]
        if self._readers(name) > len(products) or not self._fold(name, factor):
            self._insert(name, products, factor)

    def finish(self) -> "onnx.ModelProto":
        """Give the model with the new weights and nodes."""
        from onnx import numpy_helper  # noqa: PLC0415 - optional

        graph = self._model.graph
        nodes = [
            type(node).FromString(node.SerializeToString())
            for one in graph.node
            for node in (*self._before.get(one.name, ()), one)
        ]
        del graph.node[:]
        graph.node.extend(nodes)
        used = {name for node in nodes for name in reads_of(node)}
        kept = [
            one for one in graph.initializer if one.name in used and one.name not in self._changed
        ]
        kept += [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in self._changed.items()
        ]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        return self._model

    def _readers(self, name: str) -> int:
        graph = self._model.graph
        read = [
            *(one.name for one in graph.output),
            *(name for node in graph.node for name in reads_of(node)),
        ]
        return read.count(name)

    def _fold(self, name: str, factor: NDArray[np.float32]) -> bool:
        """Divide in the node that makes the activation, where that node can."""
        maker = self._makers[name]
        if maker.op_type == "LayerNormalization":
            places = range(1, len(maker.input))
        elif maker.op_type == "Mul" and not _is_gelu(maker, self._makers):
            places = range(2)
        else:
            return False
        names = [maker.input[i] for i in places if maker.input[i] in self.weights]
        if maker.op_type == "Mul":
            names = [one for one in names if self.weights[one].ndim <= 1][:1]
        if not names or (maker.op_type != "Mul" and len(names) < len(places)):
            return False
        for place in places:
            if maker.input[place] in names:
                own = f"{maker.name}.balanced.{place}"
                self._changed[own] = self.weights[maker.input[place]] / factor
                maker.input[place] = own
        return True

    def _insert(
        self, name: str, products: list["onnx.NodeProto"], factor: NDArray[np.float32]
    ) -> None:
        with extras.needed("optimize"):
            from onnx import helper  # noqa: PLC0415 - optional

        weight, output = f"{name}.shrink", f"{name}.balanced"
        self._changed[weight] = 1.0 / factor
        made = helper.make_node("Mul", [name, weight], [output], name=output)
        self._before[products[0].name] = [made]
        for product in products:
            product.input[0] = output


def _is_gelu(node: "onnx.NodeProto", makers: dict[str, "onnx.NodeProto"]) -> bool:
    """Say whether a product ends a Gaussian unit, which runtimes fuse as long as it is whole."""
    near = [makers[name] for name in node.input if name in makers]
    behind = [makers[name] for one in near for name in one.input if name in makers]
    further = [makers[name] for one in behind for name in one.input if name in makers]
    return any(one.op_type in ("Erf", "Tanh") for one in (*near, *behind, *further))
