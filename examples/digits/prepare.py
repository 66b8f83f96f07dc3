"""Write scikit-learn's digits as PNG files with splits, and a small network for them as ONNX.

The 1,797 images of 8 x 8 come with scikit-learn (UCI ML Repository, Alpaydin and Kaynak, 1998).
The network learns from a part that is in no split: what gates and certificates look at is unseen.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

SIZES = {"source": 500, "train": 500, "calibration": 500, "test": 297}
HIDDEN = (64, 32)


def prepare(folder: Path) -> None:
    """Make `data/{train,calibration,test}.csv` with their images and `models/digits.onnx`."""
    parts = split()
    for name in ("train", "calibration", "test"):
        pixels, labels = parts[name]
        write_split(folder / "data", name, pixels, labels)
    (folder / "models").mkdir(parents=True, exist_ok=True)
    network = train(*parts["source"])
    onnx.save(to_onnx(network), folder / "models/digits.onnx")


def split() -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Give pixels of shape (n, 8, 8) and labels of each part, shuffled with a fixed seed."""
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(pixels))
    parts, start = {}, 0
    for name, size in SIZES.items():
        chosen = order[start : start + size]
        parts[name] = pixels[chosen], digits.target[chosen]
        start += size
    return parts


def write_split(
    folder: Path, name: str, pixels: NDArray[np.uint8], labels: NDArray[np.int64]
) -> None:
    """Write a split: a PNG file an image, and their paths with labels."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    rows = [("image", "label")]
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        path = f"{name}/{number:04d}.png"
        Image.fromarray(image).save(folder / path)
        rows.append((path, str(label)))
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def train(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> MLPClassifier:
    """Fit a network of two hidden layers on pixels scaled to 0..1."""
    network = MLPClassifier(HIDDEN, max_iter=400, alpha=1e-3, random_state=0)
    return network.fit(flat(pixels), labels)


def flat(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give rows of 64 values from 0 to 1, as the network takes them."""
    return pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(255)


def to_onnx(network: MLPClassifier) -> onnx.ModelProto:
    """Write the network as ONNX: `image` (n, 1, 8, 8) to `logits` (n, 10)."""
    nodes, weights, tensor = [helper.make_node("Flatten", ["image"], ["flat"])], [], "flat"
    depth = len(network.coefs_)
    for layer, (slope, offset) in enumerate(
        zip(network.coefs_, network.intercepts_, strict=True), start=1
    ):
        for kind, value in (("weight", slope), ("bias", offset)):
            weights.append(
                numpy_helper.from_array(value.astype(np.float32), f"dense.{layer}.{kind}")
            )
        made = "logits" if layer == depth else f"sum_{layer}"
        names = [tensor, f"dense.{layer}.weight", f"dense.{layer}.bias"]
        nodes.append(helper.make_node("Gemm", names, [made]))
        if layer < depth:
            tensor = f"active_{layer}"
            nodes.append(helper.make_node("Relu", [made], [tensor]))
    takes = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])
    gives = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])
    graph = helper.make_graph(nodes, "digits", [takes], [gives], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
