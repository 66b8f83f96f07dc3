"""An ONNX file as a source: a classifier as it is, or an encoder that gets a head."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgewise.errors import InvalidModel


class OnnxSource:
    """An ONNX model. Made by `open_source`. It is not cut: layers have no names in a graph.

    The first output decides: (n, number of labels) is a classifier; (n, s, d) is averaged over
    the attention mask and (n, d) taken as features, and both get a trained head.
    """

    layers = 1
    max_length = 512

    def __init__(self, path: Path, labels: tuple[str, ...]) -> None:
        self.folder = path.parent
        self.labels = labels
        try:
            self._model = onnx.load(str(path))
            onnx.checker.check_model(self._model)
        except Exception as broken:
            reason = (str(broken).splitlines() or ["unreadable"])[0][:120]
            what = f"not a valid ONNX model: {reason}"
            raise InvalidModel(what, where=str(path), hint="export or copy it again") from broken
        self._output = self._model.graph.output[0]
        dims = self._output.type.tensor_type.shape.dim
        self._rank = len(dims)
        self._width = dims[-1].dim_value if dims else 0
        if self._rank not in (2, 3) or self._width == 0:
            what = (
                f"its first output has rank {self._rank} and last size {self._width or 'unknown'}"
            )
            raise InvalidModel(
                what, where=str(path), hint="give logits (n, k) or hidden states (n, s, d)"
            )
        self.has_head = self._rank == 2 and bool(labels) and self._width == len(labels)

    def features(self) -> onnx.ModelProto:
        """Give the model with `features_1` of shape (n, width)."""
        return self._with_output("features_1", None)

    def classifier(
        self, depth: int, head: tuple[NDArray[Any], NDArray[Any]] | None
    ) -> onnx.ModelProto:
        """Give the model with `logits`, through the head when one is given."""
        del depth
        return self._model if head is None else self._with_output("logits", head)

    def _with_output(
        self, name: str, head: tuple[NDArray[Any], NDArray[Any]] | None
    ) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        graph, tensor, width = model.graph, self._output.name, self._width

        def add(kind: str, *inputs: str, **attributes: Any) -> str:
            made = f"edgewise_{len(graph.node)}"
            graph.node.append(helper.make_node(kind, list(inputs), [made], **attributes))
            return made

        def weight(label: str, value: NDArray[Any]) -> str:
            graph.initializer.append(numpy_helper.from_array(value, f"edgewise_{label}"))
            return f"edgewise_{label}"

        if self._rank == 3:
            mask = add("Cast", "attention_mask", to=TensorProto.FLOAT)
            mask = add("Unsqueeze", mask, weight("two", np.asarray([2], np.int64)))
            axis = weight("one", np.asarray([1], np.int64))
            total = add("ReduceSum", add("Mul", tensor, mask), axis, keepdims=0)
            tensor = add("Div", total, add("ReduceSum", mask, axis, keepdims=0))
        if head is not None:
            product = add("MatMul", tensor, weight("head.weight", head[0].T.astype(np.float32)))
            tensor = add("Add", product, weight("head.bias", head[1].astype(np.float32)))
            width = len(head[1])
        graph.node.append(helper.make_node("Identity", [tensor], [name]))
        del graph.output[:]
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
        graph.output.append(info)
        return model
