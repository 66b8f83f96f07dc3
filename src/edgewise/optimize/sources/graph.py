"""A few lines that make ONNX graphs readable to write."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8


class Graph:
    """Collects nodes and weights of one model. Made and finished by a source."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}
        self._count = 0

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and give the output's name."""
        self._count += 1
        name = f"{kind.lower()}_{self._count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def weight(self, name: str, value: NDArray[Any]) -> str:
        """Add a weight once and give its name."""
        if name not in self.weights:
            self.weights[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def number(self, value: float) -> str:
        """Add a float scalar."""
        return self.weight(f"const_{value!r}", np.asarray(value, dtype=np.float32))

    def ints(self, *values: int) -> str:
        """Add a vector of int64."""
        return self.weight("ints_" + "_".join(map(str, values)), np.asarray(values, dtype=np.int64))

    def int_scalar(self, value: int) -> str:
        """Add an int64 scalar."""
        return self.weight(f"int_{value}", np.asarray(value, dtype=np.int64))

    def linear(self, x: str, name: str, weight: NDArray[Any], bias: NDArray[Any]) -> str:
        """Give x W' + b for a weight of shape (out, in)."""
        product = self.op("MatMul", x, self.weight(f"{name}.weight", weight.T.astype(np.float32)))
        return self.op("Add", product, self.weight(f"{name}.bias", bias.astype(np.float32)))

    def gelu(self, x: str) -> str:
        """Give the exact Gaussian error linear unit."""
        erf = self.op("Erf", self.op("Div", x, self.number(float(np.sqrt(2.0)))))
        half = self.op("Mul", x, self.op("Add", erf, self.number(1.0)))
        return self.op("Mul", half, self.number(0.5))

    def gelu_tanh(self, x: str) -> str:
        """Give the tanh form of the Gaussian error linear unit (Hendrycks and Gimpel, 2016)."""
        cube = self.op("Mul", self.op("Mul", x, x), self.op("Mul", x, self.number(0.044715)))
        inner = self.op("Mul", self.op("Add", x, cube), self.number(math.sqrt(2.0 / math.pi)))
        shares = self.op("Add", self.op("Tanh", inner), self.number(1.0))
        return self.op("Mul", self.op("Mul", x, shares), self.number(0.5))

    def silu(self, x: str) -> str:
        """Give x times its sigmoid."""
        return self.op("Mul", x, self.op("Sigmoid", x))

    def relu(self, x: str) -> str:
        """Give the positive part."""
        return self.op("Relu", x)

    def mean_pool(self, hidden: str, mask: str) -> str:
        """Average (n, s, d) over the positions whose mask is 1."""
        weights = self.op("Unsqueeze", self.op("Cast", mask, to=TensorProto.FLOAT), self.ints(2))
        total = self.op("ReduceSum", self.op("Mul", hidden, weights), self.ints(1), keepdims=0)
        count = self.op("ReduceSum", weights, self.ints(1), keepdims=0)
        return self.op("Div", total, self.op("Max", count, self.number(1e-9)))

    def finish(
        self, inputs: Sequence[str], outputs: dict[str, str], widths: dict[str, int]
    ) -> onnx.ModelProto:
        """Give the model; `outputs` names the tensors behind the outputs, all (batch, width)."""
        for name, tensor in outputs.items():
            self.nodes.append(helper.make_node("Identity", [tensor], [name], name=f"out_{name}"))
        takes = [
            helper.make_tensor_value_info(i, TensorProto.INT64, ["batch", "sequence"])
            for i in inputs
        ]
        gives = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", widths[name]])
            for name in outputs
        ]
        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for name, tensor in self.weights.items() if name in used]
        graph = helper.make_graph(self.nodes, "encoder", takes, gives, initializer=kept)
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="edgewise",
        )


ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "gelu": Graph.gelu,
    "gelu_new": Graph.gelu_tanh,
    "gelu_pytorch_tanh": Graph.gelu_tanh,
    "relu": Graph.relu,
    "silu": Graph.silu,
    "swish": Graph.silu,
}
"""By the names that Hugging Face's configurations give them."""
