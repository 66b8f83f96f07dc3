"""An ONNX file as a source: a classifier as it is, or an encoder to get a head; and its cuts."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray

from edgewise.errors import EdgewiseError, InvalidModel
from edgewise.optimize.graphs.model_checks import close_weights
from edgewise.optimize.graphs.wiring import copy_of
from edgewise.optimize.sources.flow import find_cuts, is_first_token
from edgewise.optimize.sources.part import Part
from edgewise.runtimes import find_runtime

if TYPE_CHECKING:
    from edgewise.optimize.sources.protocol import Head

_HALF = onnx.TensorProto.FLOAT16
_FLOATS = (onnx.TensorProto.FLOAT, _HALF)
_BATCH, _LENGTH, _SIDE = 2, 5, 32


class OnnxSource:
    """An ONNX model. Made by `open_source`.

    The first float output decides: (n, number of labels) is a classifier, which keeps its head at
    full depth; (n, s, d) is averaged over the attention mask, (n, c, h, w) over the pixels, and
    (n, d) taken as features, and these get a trained head.

    Where `flow.find_cuts` finds layers whose ends all have the shape (n, s, d), as a run of the
    model shows, it can be cut behind each; else `layers` is 1. A cut's features are the first
    position where the model itself goes on from that alone, and the mean over the mask where not.
    """

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
        close_weights(self._model)
        output = _first_float(self._model.graph)
        dims = output.type.tensor_type.shape.dim if output is not None else ()
        self._output = output.name if output is not None else ""
        kind = output.type.tensor_type.elem_type if output is not None else None
        self._is_half = kind == _HALF
        self._rank = len(dims)
        self._width = dims[1 if self._rank == 4 else -1].dim_value if dims else 0
        if self._rank not in (2, 3, 4) or self._width == 0:
            what = (
                f"its first float output has rank {self._rank} and width {self._width or 'unknown'}"
            )
            hint = "give logits (n, k), features (n, d) or hidden states (n, s, d) or (n, c, h, w)"
            raise InvalidModel(what, where=str(path), hint=hint)
        self.has_head = self._rank == 2 and bool(labels) and self._width == len(labels)
        self._features_width = self._width
        self._ends, self._hidden = self._find_layers()
        pooled = self._rank == 2 and bool(self._ends)
        self._takes_first = pooled and is_first_token(self._model.graph, self._hidden)
        self.layers = 1 + len(self._ends)

    def features(self) -> onnx.ModelProto:
        """Give the model with `features_1` … `features_L` of shape (n, width)."""
        part = Part(self._model)
        outputs = {
            f"features_{depth}": self._pooled(part, depth) for depth in range(1, self.layers + 1)
        }
        return part.finish(outputs, dict.fromkeys(outputs, self._features_width))

    def classifier(self, depth: int, head: "Head | None") -> onnx.ModelProto:
        """Give the first `depth` layers with a head as `logits`; `None` takes the model's own."""
        if head is None:
            return self._with_logits_alone()
        part = Part(self._model)
        logits = part.linear(self._pooled(part, depth), *head)
        return part.finish({"logits": logits}, {"logits": len(head[1])})

    def encoder(self, depth: int) -> onnx.ModelProto:
        """Give the first `depth` layers, pooled, as `embedding` of shape (n, width)."""
        part = Part(self._model)
        pooled = self._pooled(part, depth)
        return part.finish({"embedding": pooled}, {"embedding": self._features_width})

    def _with_logits_alone(self) -> onnx.ModelProto:
        """Give the model without what stands before its logits: who runs it takes the first."""
        if self._model.graph.output[0].name == self._output:
            return self._model
        found = copy_of(self._model)
        kept = [one for one in found.graph.output if one.name == self._output]
        del found.graph.output[:]
        found.graph.output.extend(kept)
        return found

    def _pooled(self, part: Part, depth: int) -> str:
        if depth < self.layers:
            return self._pooled_hidden(part, self._ends[depth - 1])
        if self._rank == 2 and self.has_head and self._ends:
            return self._pooled_hidden(part, self._hidden)
        output = self._output
        if self._is_half:  # what is added computes in 32 bits, and is given so
            output = part.op("Cast", output, to=onnx.TensorProto.FLOAT)
        if self._rank == 2:
            return output
        if self._rank == 4:
            return part.op("Flatten", part.op("GlobalAveragePool", output))
        return part.mean(output)

    def _pooled_hidden(self, part: Part, hidden: str) -> str:
        return part.first(hidden) if self._takes_first else part.mean(hidden)

    def _find_layers(self) -> tuple[tuple[str, ...], str]:
        """Give the tensors that end a layer but the last, and the one before pooling and head."""
        cuts = find_cuts(self._model.graph, self._output)
        if not cuts.ends:
            return (), ""
        shapes = self._shapes(cuts.waists)
        wanted = shapes.get(cuts.ends[0])
        alike = [name for name in cuts.waists if wanted is not None and shapes[name] == wanted]
        if wanted is None or len(wanted) != 3 or not set(cuts.ends) <= set(alike):
            return (), ""
        same_width = self.has_head or self._width == wanted[-1]
        if not same_width or wanted[0] != _BATCH:
            return (), ""
        self._features_width = wanted[-1]
        return cuts.ends, alike[-1]

    def _shapes(self, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Run the model on made-up input and give the shapes that come; none when it fails."""
        part = Part(self._model)
        inputs: dict[str, NDArray[np.generic]] = {}
        for one in self._model.graph.input:
            kind = one.type.tensor_type
            dims = [dim.dim_value for dim in kind.shape.dim]
            usual = (_BATCH, _LENGTH) if len(dims) == 2 else (_BATCH, 3, _SIDE, _SIDE)
            shape = [size or usual[i] for i, size in enumerate(dims[: len(usual)])]
            inputs[one.name] = np.ones(shape, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
        outputs = {f"waist_{i}": name for i, name in enumerate(names)}
        with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(part.finish(outputs, {}).SerializeToString())
            try:
                session = find_runtime("onnxruntime").load(path)
                found = session.run(inputs)
                session.close()
            except EdgewiseError:
                # Not an error: a model that takes something else is used whole.
                return {}
        return {name: np.shape(found[key]) for key, name in outputs.items()}


def _first_float(graph: onnx.GraphProto) -> onnx.ValueInfoProto | None:
    floats = (o for o in graph.output if o.type.tensor_type.elem_type in _FLOATS)
    return next(floats, None)
