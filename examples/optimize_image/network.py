"""A small convolution network that is learned without torch, as ONNX.

Each layer's kernels are the centres of the patches that it sees, contrast taken out; a logistic
regression reads the last maps. Source: Coates, Ng and Lee, "An Analysis of Single-Layer Networks in
Unsupervised Feature Learning", 2011.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float32]

KERNELS = (64, 96)
SIZE = 3
SAMPLED_PATCHES = 20_000


def learn(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> onnx.ModelProto:
    """Learn from images of shape (n, h, w): `image` (n, 1, h, w), 0 to 1, to `logits` (n, 10)."""
    maps = pixels[:, None].astype(np.float32) / np.float32(255)
    shape = maps.shape[1:]
    layers = []
    for count in KERNELS:
        layers.append(centres(maps, count))
        maps = forward(maps, *layers[-1])
    head = LogisticRegression(C=1.0, max_iter=2000)
    head.fit(maps.reshape(len(maps), -1), labels)
    return to_onnx(layers, head, shape)


def centres(maps: Floats, count: int) -> tuple[Floats, Floats]:
    """Give kernels (count, channels, 3, 3) of length 1, and the biases that make them sparse."""
    rows = patches(maps)
    chosen = np.random.default_rng(0).permutation(len(rows))[:SAMPLED_PATCHES]
    sample = rows[chosen] - rows[chosen].mean(axis=1, keepdims=True)
    sample = sample[np.linalg.norm(sample, axis=1) > 0.1]
    found = KMeans(count, n_init=1, random_state=0).fit(sample).cluster_centers_
    found = found - found.mean(axis=1, keepdims=True)
    kernels = found / (np.linalg.norm(found, axis=1, keepdims=True) + 1e-6)
    biases = -np.quantile(sample @ kernels.T, 0.6, axis=0)
    shape = (count, maps.shape[1], SIZE, SIZE)
    return kernels.reshape(shape).astype(np.float32), biases.astype(np.float32)


def patches(maps: Floats) -> Floats:
    """Give what a kernel sees at each place, as rows; borders are padded with 0."""
    padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (SIZE, SIZE), axis=(2, 3))
    return seen.transpose(0, 2, 3, 1, 4, 5).reshape(-1, maps.shape[1] * SIZE * SIZE)


def forward(maps: Floats, kernels: Floats, biases: Floats) -> Floats:
    """Give a layer's maps: the convolution, what is above 0, the largest of each 2 x 2."""
    n, _, height, width = maps.shape
    made = patches(maps) @ kernels.reshape(len(kernels), -1).T + biases
    whole = np.maximum(made, 0).reshape(n, height // 2, 2, width // 2, 2, len(kernels))
    return whole.max(axis=(2, 4)).transpose(0, 3, 1, 2)


def to_onnx(
    layers: Sequence[tuple[Floats, Floats]], head: LogisticRegression, shape: Sequence[int]
) -> onnx.ModelProto:
    """Write the layers and the head."""
    nodes, weights, tensor = [], {}, "image"
    for number, (kernels, biases) in enumerate(layers, start=1):
        weights |= {f"conv.{number}.weight": kernels, f"conv.{number}.bias": biases}
        names = [tensor, f"conv.{number}.weight", f"conv.{number}.bias"]
        nodes.append(helper.make_node("Conv", names, [f"sum_{number}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"sum_{number}"], [f"active_{number}"]))
        tensor = f"maps_{number}"
        how = {"kernel_shape": [2, 2], "strides": [2, 2]}
        nodes.append(helper.make_node("MaxPool", [f"active_{number}"], [tensor], **how))
    weights |= {"head.weight": head.coef_.T, "head.bias": head.intercept_}
    nodes.append(helper.make_node("Flatten", [tensor], ["flat"]))
    nodes.append(helper.make_node("Gemm", ["flat", "head.weight", "head.bias"], ["logits"]))
    graph = helper.make_graph(
        nodes,
        "convnet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(head.classes_)])],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
