"""The convolution network of `examples/optimize_image`, with digits as PNG files."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

EXAMPLES = Path(__file__).parents[1] / "examples"
PIXELS = ("--image-mean", "0", "--image-std", "1")


def write_digits(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Write `data/train.csv` and `convnet.onnx`; give pixels and labels that neither saw."""
    digits = runpy.run_path(str(EXAMPLES / "digits/prepare.py"))
    network = runpy.run_path(str(EXAMPLES / "optimize_image/network.py"))
    parts: dict[str, Any] = digits["split"]()
    digits["write_split"](folder / "data", "train", *parts["train"])
    onnx.save(network["learn"](*parts["source"]), folder / "convnet.onnx")
    pixels, labels = parts["test"]
    return pixels, labels


def source_answers(model: Path, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Give what the network itself answers, straight through ONNX Runtime."""
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    images = pixels[:, None].astype(np.float32) / np.float32(255)
    found: NDArray[np.int64] = np.asarray(session.run(None, {"image": images})[0]).argmax(axis=1)
    return found
