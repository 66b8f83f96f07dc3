"""Small graphs for passes: a residual convnet, an MLP, and BERTs as two exporters write them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from edgewise.optimize.sources.bert import BertSource

GOLDEN = Path(__file__).parent / "golden" / "bert_family"
BERTS = tuple(
    f"{name}{end}" for name in ("bert", "distilbert", "roberta", "mpnet") for end in ("", "_head")
)
HEADS, SIZE, INNER, WIDTH = 4, 4, 24, 16


class Builder:
    """Collects nodes; weights are drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, value: Any, kind: type = np.float32) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype=kind), name))
        return name

    def draw(self, *shape: int) -> str:
        return self.constant(self.rng.normal(0, 0.5, shape))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def conv(
        self, x: str, given: int, made: int, size: int, *, group: int = 1, bias: bool = True
    ) -> str:
        pads = [size // 2] * 4
        inputs = [x, self.draw(made, given // group, size, size)]
        inputs += [self.draw(made)] if bias else []
        return self.op("Conv", *inputs, pads=pads, group=group)

    def norm(self, x: str, width: int) -> str:
        scale, mean = self.draw(width), self.draw(width)
        shift = self.constant(self.rng.uniform(0.5, 2, width))  # no channel is dead by chance
        return self.op(
            "BatchNormalization",
            x,
            scale,
            shift,
            mean,
            self.constant(self.rng.uniform(0.5, 2, width)),
        )

    def finish(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        for value, node in zip(outputs, self.nodes[-len(outputs) :], strict=True):
            node.output[0] = value.name
        graph = helper.make_graph(self.nodes, "tiny", inputs, outputs, initializer=self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return model


def convnet() -> onnx.ModelProto:
    """Give a net with two residual blocks, a block with a projection, and an inverted residual."""
    b = Builder(1)
    x = b.op("Relu", b.norm(b.conv("image", 3, 8, 3, bias=False), 8))
    for _ in range(2):
        inner = b.op("Relu", b.norm(b.conv(x, 8, 10, 3), 10))
        x = b.op("Relu", b.op("Add", b.norm(b.conv(inner, 10, 8, 3), 8), x))
    x = b.op("Add", b.norm(b.conv(x, 8, 12, 1), 12), b.conv(x, 8, 12, 3))
    low, high = b.constant(0), b.constant(6)
    wide = b.op("Clip", b.norm(b.conv(x, 12, 24, 1), 24), low, high)
    deep = b.op("Clip", b.norm(b.conv(wide, 24, 24, 3, group=24), 24), low, high)
    x = b.op("Add", x, b.norm(b.conv(deep, 24, 12, 1), 12))
    x = b.op("Flatten", b.op("GlobalAveragePool", x), axis=1)
    b.op("Gemm", x, b.draw(4, 12), b.draw(4), transB=1)
    takes = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    return b.finish([takes], [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 4])])


def mlp(*, dead: int | None = None) -> onnx.ModelProto:
    """Give three linear layers; the neuron `dead` of the first hidden layer reaches nothing."""
    b = Builder(2)
    hidden = b.op("Relu", b.op("Gemm", "x", b.draw(16, 6), b.draw(16), transB=1))
    second = b.rng.normal(0, 0.5, (16, 12))
    if dead is not None:
        second[dead] = 0
    hidden = b.op("Tanh", b.op("Gemm", hidden, b.constant(second), b.draw(12)))
    b.op("Add", b.op("MatMul", hidden, b.draw(12, 3)), b.draw(3))
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])
    return b.finish([takes], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])])


def exported_bert() -> onnx.ModelProto:
    """Give two layers as torch's exporter writes them.

    Shapes are computed and concatenated, the scale is on both factors, biases come first, the mask
    is chosen by Where, constants are nodes.
    """
    b = Builder(3)
    x = b.op("Gather", b.draw(50, WIDTH), "input_ids")
    for label, number in (("first", 0), ("second", 1)):  # scalars, and they must stay so
        held = numpy_helper.from_array(np.asarray(number, dtype=np.int64))
        b.nodes.append(helper.make_node("Constant", [], [label], value=held))
    front = b.constant([0], np.int64)
    batch, length = (
        b.op("Unsqueeze", b.op("Gather", b.op("Shape", x), at), front) for at in ("first", "second")
    )
    split = b.op(
        "Concat", batch, length, *(b.constant([n], np.int64) for n in (HEADS, SIZE)), axis=0
    )
    back = b.op("Concat", batch, length, b.constant([WIDTH], np.int64), axis=0)
    mask = b.op("Cast", b.op("Unsqueeze", "attention_mask", b.constant([1, 2], np.int64)), to=9)
    mask = b.op("Where", mask, b.constant(0.0), b.constant(-1e9))
    square = b.op("Concat", batch, b.constant([1], np.int64), length, length, axis=0)
    square = b.op("Cast", b.op("Cast", square, to=1), to=7)  # inference does not see through it
    mask = b.op("Expand", mask, square)
    root, minus, size = (
        b.constant(SIZE**-0.25),
        b.constant([-1], np.int64),
        b.constant([SIZE], np.int64),
    )

    def linear(x: str, given: int, made: int) -> str:
        return b.op("Add", b.draw(made), b.op("MatMul", x, b.draw(given, made)))

    def norm(x: str) -> str:
        ones, zeros = b.constant(np.ones(WIDTH)), b.constant(np.zeros(WIDTH))
        return b.op("LayerNormalization", x, ones, zeros)

    for _ in range(2):
        query, key, value = (
            b.op("Transpose", b.op("Reshape", linear(x, WIDTH, WIDTH), split), perm=[0, 2, 1, 3])
            for _ in range(3)
        )
        key = b.op("Transpose", key, perm=[0, 1, 3, 2])
        scores = b.op("MatMul", b.op("Mul", query, root), b.op("Mul", key, root))
        shares = b.op("Softmax", b.op("Add", scores, mask))
        shares = b.op("Where", b.op("IsNaN", shares), b.constant(0.0), shares)
        mixed = b.op("MatMul", shares, value)
        mixed = b.op("Reshape", mixed, b.op("Concat", batch, minus, length, size, axis=0))
        mixed = b.op("Transpose", mixed, perm=[0, 2, 1, 3])
        x = norm(b.op("Add", linear(b.op("Reshape", mixed, back), WIDTH, WIDTH), x))
        inner = linear(x, WIDTH, INNER)
        erf = b.op("Add", b.op("Erf", b.op("Div", inner, b.constant(2**0.5))), b.constant(1.0))
        inner = b.op("Mul", b.op("Mul", inner, erf), b.constant(0.5))
        x = norm(b.op("Add", linear(inner, INNER, WIDTH), x))
    b.op("Identity", x)
    takes = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask")
    ]
    given = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["batch", "sequence", WIDTH])
    return b.finish(takes, [given])


def golden(case: str) -> onnx.ModelProto:
    """Give a golden BERT: its classifier where it has a head, else all its layers' features."""
    source = BertSource(GOLDEN / case)
    return source.classifier(source.layers, None) if source.has_head else source.features()


def images(count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Give images of several sizes, one a sample."""
    rng = np.random.default_rng(seed)
    sizes = [(8, 8), (6, 9)]
    return [
        {"image": rng.normal(size=(1, 3, *sizes[i % 2])).astype(np.float32)} for i in range(count)
    ]


def token_samples(count: int, seed: int = 0, vocabulary: int = 50) -> list[dict[str, np.ndarray]]:
    """Give token ids of natural lengths from 3 to 20, one a sample."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        ids = rng.integers(4, vocabulary, (1, rng.integers(3, 21)))
        found.append(tokens(ids))
    return found


def tokens(ids: np.ndarray) -> dict[str, np.ndarray]:
    """Give what a text model takes."""
    ids = ids.astype(np.int64)
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


def run(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Give the outputs."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, {v.name: inputs[v.name] for v in session.get_inputs()}))


def weight(model: onnx.ModelProto, name: str) -> np.ndarray:
    """Give one initializer."""
    (found,) = (t for t in model.graph.initializer if t.name == name)
    return numpy_helper.to_array(found)


def with_weight(model: onnx.ModelProto, name: str, value: np.ndarray) -> onnx.ModelProto:
    """Give a copy of the model with another initializer."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), name))
    return copy


def kinds(model: onnx.ModelProto) -> list[str]:
    """Give the operators in order."""
    return [node.op_type for node in model.graph.node]
