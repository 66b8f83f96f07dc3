"""Small models with the shapes of real ones, and inputs of natural lengths for them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from edgewise.optimize.sources.bert import BertSource
from edgewise.runtimes.protocol import Tensors

WIDTH, INNER, VOCABULARY, LAYERS, CLASSES = 64, 256, 1500, 2, 8


def bert(folder: Path, *, outliers: float = 1.0) -> onnx.ModelProto:
    """Make a random BERT classifier; three channels of each LayerNorm are `outliers` large."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    tensors: dict[str, NDArray[np.float32]] = {}

    def add(name: str, *shape: int, scale: float) -> None:
        tensors[name] = (rng.standard_normal(shape) * scale).astype(np.float32)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = np.ones(WIDTH, np.float32)
        tensors[f"{name}.weight"][[3, 17, 40]] = outliers
        tensors[f"{name}.bias"] = (rng.standard_normal(WIDTH) * 0.1).astype(np.float32)

    add("embeddings.word_embeddings.weight", VOCABULARY, WIDTH, scale=0.5)
    add("embeddings.position_embeddings.weight", 64, WIDTH, scale=0.1)
    add("embeddings.token_type_embeddings.weight", 2, WIDTH, scale=0.1)
    norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        shapes = {
            "attention.self.query": (WIDTH, WIDTH),
            "attention.self.key": (WIDTH, WIDTH),
            "attention.self.value": (WIDTH, WIDTH),
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (INNER, WIDTH),
            "output.dense": (WIDTH, INNER),
        }
        for name, shape in shapes.items():
            add(f"{at}{name}.weight", *shape, scale=shape[1] ** -0.5)
            add(f"{at}{name}.bias", shape[0], scale=0.1)
        norm(f"{at}attention.output.LayerNorm")
        norm(f"{at}output.LayerNorm")
    save_file(tensors, folder / "model.safetensors")
    config = {
        "model_type": "bert",
        "num_hidden_layers": LAYERS,
        "hidden_size": WIDTH,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    head = rng.standard_normal((CLASSES, WIDTH)).astype(np.float32), np.zeros(CLASSES, np.float32)
    return BertSource(folder).classifier(LAYERS, head)


def sentences(count: int, *, vocabulary: int = VOCABULARY, seed: int = 7) -> list[Tensors]:
    """Make inputs of 3 to 24 tokens."""
    rng = np.random.default_rng(seed)
    found: list[Tensors] = []
    for _ in range(count):
        ids = rng.integers(0, vocabulary, (1, int(rng.integers(3, 25))))
        mask, kinds = np.ones_like(ids), np.zeros_like(ids)
        found.append({"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds})
    return found


def convnet(*, norms: bool = True) -> onnx.ModelProto:
    """Make a net of inverted residuals: 1x1 and depthwise convolutions, normalized and clipped.

    The depthwise channels differ by two orders of magnitude, as they do in trained MobileNets.
    """
    rng = np.random.default_rng(11)
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, NDArray[Any]] = {
        "zero": np.asarray(0, np.float32),
        "six": np.asarray(6, np.float32),
    }

    def conv(x: str, name: str, shape: tuple[int, ...], clip: bool, **attributes: Any) -> str:
        spread = 10 ** rng.uniform(-1, 1, (shape[0], 1, 1, 1)) if "group" in attributes else 1.0
        fan = shape[1] * shape[2] * shape[3]
        weights[f"{name}.w"] = rng.standard_normal(shape) * (2 / fan) ** 0.5 * spread
        nodes.append(helper.make_node("Conv", [x, f"{name}.w"], [f"{name}.c"], name, **attributes))
        out = f"{name}.c"
        if norms:
            many = np.broadcast_to(np.square(spread), (shape[0], 1, 1, 1)).reshape(-1)
            weights[f"{name}.s"] = rng.uniform(0.5, 1.5, shape[0])
            weights[f"{name}.b"] = rng.standard_normal(shape[0]) * 0.3
            weights[f"{name}.m"] = rng.standard_normal(shape[0]) * 0.1
            weights[f"{name}.v"] = many * rng.uniform(0.5, 1.5, shape[0])
            reads = [out, *(f"{name}.{part}" for part in "sbmv")]
            out = f"{name}.n"
            nodes.append(helper.make_node("BatchNormalization", reads, [out], f"{name}.norm"))
        if clip:
            nodes.append(
                helper.make_node("Clip", [out, "zero", "six"], [f"{name}.r"], f"{name}.clip")
            )
            out = f"{name}.r"
        return out

    x = conv("image", "stem", (16, 3, 3, 3), True, strides=[2, 2], pads=[1, 1, 1, 1])
    for block in ("one", "two"):
        wide = conv(x, f"{block}.expand", (64, 16, 1, 1), True)
        deep = conv(wide, f"{block}.depth", (64, 1, 3, 3), True, group=64, pads=[1, 1, 1, 1])
        thin = conv(deep, f"{block}.project", (16, 64, 1, 1), False)
        nodes.append(helper.make_node("Add", [x, thin], [f"{block}.sum"], f"{block}.add"))
        x = f"{block}.sum"
    x = conv(x, "last", (128, 16, 1, 1), True)
    weights["fc.w"], weights["fc.b"] = rng.standard_normal((128, CLASSES)), np.zeros(CLASSES)
    nodes += [
        helper.make_node("GlobalAveragePool", [x], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "fc.w", "fc.b"], ["logits"], "fc"),
    ]
    shape = ["batch", 3, "height", "width"]
    return model_of(nodes, {"image": (TensorProto.FLOAT, shape)}, ["batch", CLASSES], weights)


def images(count: int, seed: int = 13) -> list[Tensors]:
    """Make images of several sizes."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(8, 20, (count, 2)) * 2
    return [
        {"image": rng.uniform(-1, 1, (1, 3, int(h), int(w))).astype(np.float32)} for h, w in sizes
    ]


def model_of(
    nodes: Sequence[onnx.NodeProto],
    takes: dict[str, tuple[int, list[Any]]],
    gives: list[Any],
    weights: dict[str, NDArray[Any]],
) -> onnx.ModelProto:
    """Make a checked model with one output, `logits`; float64 weights become float32."""
    inputs = [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in takes.items()]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, gives)
    stored = [
        numpy_helper.from_array(np.asarray(v, np.float32 if v.dtype == np.float64 else v.dtype), n)
        for n, v in weights.items()
    ]
    graph = helper.make_graph(list(nodes), "small", inputs, [output], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def answers(model: onnx.ModelProto, samples: Sequence[Tensors]) -> NDArray[np.float32]:
    """Give the rows that ONNX Runtime computes with its default optimizations."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    takes = [one.name for one in session.get_inputs()]
    rows = [session.run(None, {name: one[name] for name in takes})[0] for one in samples]
    return np.vstack(rows)


def cosines(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the cosine of each pair of rows."""
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray(np.sum(a * b, axis=1) / lengths, dtype=np.float64)


def bytes_share(found: onnx.ModelProto, source: onnx.ModelProto) -> float:
    """Give the size of a model as a share of another's."""
    return float(found.ByteSize() / source.ByteSize())
