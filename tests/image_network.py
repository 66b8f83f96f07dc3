"""The convolution network of `examples/optimize_image`, with digits as PNG files."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
PIXELS = ("--image-mean", "0", "--image-std", "1")


def write_digits(
    folder: Path, *, side: int = 8, most: int = 500
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Write the splits in `data` and `convnet.onnx`; give pixels and labels of the test split.

    Parameters
    ----------
    side
        Of the images, in pixels: a larger one is drawn from the 8 x 8 that there are.
    most
        So many images a part.
    """
    digits = runpy.run_path(str(EXAMPLES / "digits/prepare.py"))
    network = runpy.run_path(str(EXAMPLES / "optimize_image/network.py"))
    parts: dict[str, Any] = {
        name: (_resized(pixels[:most], side), labels[:most])
        for name, (pixels, labels) in digits["split"]().items()
    }
    for name in ("train", "calibration", "test"):
        digits["write_split"](folder / "data", name, *parts[name])
    onnx.save(network["learn"](*parts["source"]), folder / "convnet.onnx")
    pixels, labels = parts["test"]
    return pixels, labels


def _resized(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    how = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), how)) for one in pixels])


def source_answers(model: Path, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Give what the network itself answers, straight through ONNX Runtime."""
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    images = pixels[:, None].astype(np.float32) / np.float32(255)
    found: NDArray[np.int64] = np.asarray(session.run(None, {"image": images})[0]).argmax(axis=1)
    return found
