"""A Hugging Face directory of the BERT family becomes ONNX, with numpy and onnx alone.

BERT (MiniLM too), DistilBERT, RoBERTa and MPNet; weights from `model.safetensors`. The results
are held to 1e-4 against the reference implementation by `tests/golden/bert_family`.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from safetensors import SafetensorError
from safetensors.numpy import load_file

from edgewise.errors import InvalidModel
from edgewise.optimize.sources.families import FAMILIES
from edgewise.optimize.sources.graph import ACTIVATIONS, Graph

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_MASKED = -1e9


class BertSource:
    """An encoder of the BERT family. Made by `open_source`.

    `features` gives the pooled output of every layer in one pass; `classifier` gives the first
    layers with a head, the checkpoint's own when `head` is `None`. `max_length` may be set lower
    than the checkpoint's: positions beyond it are not written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._config = _read_config(folder)
        kind = str(self._config.get("model_type", "absent"))
        if kind not in FAMILIES:
            what = f"model_type `{kind}` can't be imported"
            known = ", ".join(sorted(FAMILIES))
            hint = (
                f'known: {known}; others need `pip install "edgewise[torch]"`; '
                "or export it to ONNX and give that file"
            )
            raise InvalidModel(what, where=str(folder / "config.json"), hint=hint)
        self._family = FAMILIES[kind]
        self._activation = self._read_activation()
        self._tensors = _read_tensors(folder / "model.safetensors")
        self.layers = int(self._config.get("num_hidden_layers", self._config.get("n_layers", 0)))
        self._width = int(self._config.get("hidden_size", self._config.get("dim", 0)))
        self._heads = int(self._config.get("num_attention_heads", self._config.get("n_heads", 1)))
        self._pad = int(self._config.get("pad_token_id", 1 if self._family.offset_positions else 0))
        positions = int(self._config.get("max_position_embeddings", 512))
        self.max_length = positions - self._pad - 1 if self._family.offset_positions else positions
        self._pooling = _read_pooling(folder)
        # A tagger of tokens has a last layer too, and none before it.
        parts = (self._family.head_dense, self._family.head_out)
        self.has_head = all(f"{self._name_of(part)}.weight" in self._tensors for part in parts)
        names = self._config.get("id2label") or {}
        ordered = tuple(str(names[key]) for key in sorted(names, key=int))
        self.labels = ordered if self.has_head else ()
        self.has_prefix = any(name.startswith(self._family.prefix) for name in self._tensors)

    def _read_activation(self) -> Callable[[Graph, str], str]:
        """Give what stands between the two products of a layer, where it is known."""
        where = str(self.folder / "config.json")
        name = str(self._config.get("hidden_act", self._config.get("activation", "gelu")))
        if name not in ACTIVATIONS:
            hint = f"known: {', '.join(ACTIVATIONS)}; or export it to ONNX and give that file"
            raise InvalidModel(f"hidden_act `{name}` can't be imported", where=where, hint=hint)
        positions = self._config.get("position_embedding_type", "absolute")
        if positions not in ("absolute", None):
            hint = "known: absolute; or export it to ONNX and give that file"
            what = f"position_embedding_type `{positions}` can't be imported"
            raise InvalidModel(what, where=where, hint=hint)
        return ACTIVATIONS[name]

    def features(self) -> onnx.ModelProto:
        """Give the encoder with `features_1` … `features_L` of shape (n, width)."""
        graph = Graph()
        outputs = {}
        for depth, hidden in enumerate(self._encode(graph, self.layers), start=1):
            outputs[f"features_{depth}"] = self._pool(graph, hidden)
        return graph.finish(_INPUTS, outputs, dict.fromkeys(outputs, self._width))

    def classifier(
        self, depth: int, head: tuple[NDArray[Any], NDArray[Any]] | None
    ) -> onnx.ModelProto:
        """Give the first `depth` layers with a head (weight (k, width), bias (k,)) as `logits`."""
        graph = Graph()
        hidden = self._encode(graph, depth)[-1]
        if head is not None:
            weight, bias = head
            logits = graph.linear(self._pool(graph, hidden), "head", weight, bias)
            return graph.finish(_INPUTS, {"logits": logits}, {"logits": len(bias)})
        family = self._family
        first = graph.op("Gather", hidden, graph.int_scalar(0), axis=1)
        dense = self._own_linear(graph, first, family.head_dense)
        active = graph.op(family.head_activation, dense)
        logits = self._own_linear(graph, active, family.head_out)
        width = self._tensors[f"{family.head_out}.bias"].shape[0]
        return graph.finish(_INPUTS, {"logits": logits}, {"logits": width})

    def encoder(self, depth: int) -> onnx.ModelProto:
        """Give the first `depth` layers, pooled, as `embedding` of shape (n, width)."""
        graph = Graph()
        pooled = self._pool(graph, self._encode(graph, depth)[-1])
        return graph.finish(_INPUTS, {"embedding": pooled}, {"embedding": self._width})

    def _encode(self, graph: Graph, depth: int) -> list[str]:
        hidden = self._embed(graph)
        mask = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
        hidden_positions = graph.op("Sub", graph.number(1.0), mask)
        bias = graph.op("Mul", hidden_positions, graph.number(_MASKED))
        bias = graph.op("Unsqueeze", bias, graph.ints(1, 2))
        if self._family.relative_bias:
            bias = graph.op("Add", bias, self._relative_bias(graph))
        found = []
        for index in range(depth):
            hidden = self._layer(graph, hidden, bias, index)
            found.append(hidden)
        return found

    def _embed(self, graph: Graph) -> str:
        name = "embeddings."
        words = graph.weight("words", self._tensor(f"{name}word_embeddings.weight"))
        hidden = graph.op("Gather", words, "input_ids")
        rows = self.max_length + (self._pad + 1 if self._family.offset_positions else 0)
        kept = self._tensor(f"{name}position_embeddings.weight")[:rows]
        table = graph.weight("positions", kept)
        if self._family.offset_positions:
            pad = graph.int_scalar(self._pad)
            real = graph.op("Not", graph.op("Equal", "input_ids", pad))
            real = graph.op("Cast", real, to=TensorProto.INT64)
            order = graph.op("Mul", graph.op("CumSum", real, graph.int_scalar(1)), real)
            positions = graph.op("Gather", table, graph.op("Add", order, pad))
        else:
            length = graph.op("Shape", "input_ids", start=1, end=2)
            positions = graph.op("Slice", table, graph.ints(0), length, graph.ints(0))
        hidden = graph.op("Add", hidden, positions)
        if self._family.token_types:
            types = graph.weight("types", self._tensor(f"{name}token_type_embeddings.weight"))
            hidden = graph.op("Add", hidden, graph.op("Gather", types, "token_type_ids"))
        return self._norm(graph, hidden, f"{name}LayerNorm")

    def _layer(self, graph: Graph, x: str, bias: str, index: int) -> str:
        family, at = self._family, self._family.layer.format(i=index)
        size = self._width // self._heads
        split = graph.ints(0, 0, self._heads, size)

        def parts(which: str, order: list[int]) -> str:
            flat = self._linear(graph, x, at + which)
            return graph.op("Transpose", graph.op("Reshape", flat, split), perm=order)

        query, key = parts(family.query, [0, 2, 1, 3]), parts(family.key, [0, 2, 3, 1])
        scores = graph.op("MatMul", query, key)
        scores = graph.op("Div", scores, graph.number(math.sqrt(size)))
        shares = graph.op("Softmax", graph.op("Add", scores, bias), axis=-1)
        mixed = graph.op("MatMul", shares, parts(family.value, [0, 2, 1, 3]))
        mixed = graph.op("Transpose", mixed, perm=[0, 2, 1, 3])
        mixed = graph.op("Reshape", mixed, graph.ints(0, 0, self._width))
        attended = graph.op("Add", x, self._linear(graph, mixed, at + family.attention_out))
        attended = self._norm(graph, attended, at + family.attention_norm)
        inner = self._activation(graph, self._linear(graph, attended, at + family.ffn_in))
        outer = graph.op("Add", attended, self._linear(graph, inner, at + family.ffn_out))
        return self._norm(graph, outer, at + family.ffn_norm)

    def _relative_bias(self, graph: Graph) -> str:
        """MPNet's bias by distance (Raffel et al. 2020, bidirectional buckets)."""
        weights = self._tensor("encoder.relative_attention_bias.weight")
        reach = self.max_length
        distance = np.arange(-reach + 1, reach)
        table = weights[_buckets(distance, len(weights))]
        values = graph.weight("relative", table.T.astype(np.float32))
        length = graph.op("Shape", "input_ids", start=1, end=2)
        count = graph.op("Squeeze", length, graph.ints(0))
        row = graph.op("Range", graph.int_scalar(0), count, graph.int_scalar(1))
        across = graph.op("Unsqueeze", row, graph.ints(0))
        down = graph.op("Unsqueeze", row, graph.ints(1))
        index = graph.op("Add", graph.op("Sub", across, down), graph.int_scalar(reach - 1))
        return graph.op("Unsqueeze", graph.op("Gather", values, index, axis=1), graph.ints(0))

    def _pool(self, graph: Graph, hidden: str) -> str:
        if self._pooling == "cls":
            return graph.op("Gather", hidden, graph.int_scalar(0), axis=1)
        return graph.mean_pool(hidden, "attention_mask")

    def _linear(self, graph: Graph, x: str, name: str) -> str:
        return graph.linear(x, name, self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias"))

    def _own_linear(self, graph: Graph, x: str, name: str) -> str:
        at = self._name_of(name)
        return graph.linear(x, at, self._tensors[f"{at}.weight"], self._tensors[f"{at}.bias"])

    def _name_of(self, name: str) -> str:
        """Give the name that a layer of the head has here: an encoder's has no prefix."""
        short = name.removeprefix(self._family.prefix)
        return name if f"{name}.weight" in self._tensors else short

    def _norm(self, graph: Graph, x: str, name: str) -> str:
        scale = graph.weight(f"{name}.weight", self._tensor(f"{name}.weight"))
        shift = graph.weight(f"{name}.bias", self._tensor(f"{name}.bias"))
        epsilon = float(self._config.get("layer_norm_eps", 1e-12))
        return graph.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon)

    def _tensor(self, name: str) -> NDArray[Any]:
        full = self._family.prefix + name if self.has_prefix else name
        if full not in self._tensors:
            what = f"the checkpoint has no tensor `{full}`"
            raise InvalidModel(what, where=str(self.folder), hint="is config.json of this model?")
        return self._tensors[full].astype(np.float32)


def _buckets(distance: NDArray[np.integer], count: int, reach: int = 128) -> NDArray[np.integer]:
    half = count // 2
    behind = np.where(distance > 0, half, 0)
    near, away = half // 2, np.abs(distance)
    with np.errstate(divide="ignore"):
        grown = np.log(away / near) / math.log(reach / near) * (half - near)
    far = np.minimum(near + np.where(np.isfinite(grown), grown, 0).astype(np.int64), half - 1)
    return behind + np.where(away < near, away, far)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as broken:
        raise InvalidModel(
            f"can't be read: {broken}", where=str(path), hint="give a whole model folder"
        ) from broken
    return dict(found)


def _read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise InvalidModel("no such file", where=str(path), hint="save the model as safetensors")
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as broken:
        raise InvalidModel(
            f"not a safetensors file: {broken}", where=str(path), hint="copy it again"
        ) from broken


def _read_pooling(folder: Path) -> str:
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    return (
        "cls"
        if json.loads(path.read_text(encoding="utf-8")).get("pooling_mode_cls_token")
        else "mean"
    )
