"""Features kept on disk are those of this model, read as it is said to be."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgewise.optimize.features import encode_features
from edgewise.optimize.sources import open_source
from edgewise.optimize.writing import BundleWriter
from edgewise.records import (
    DataSpec,
    ImageInput,
    Input,
    ModelSpec,
    ProjectSpec,
    Task,
    silent,
)

PIXELS = np.arange(4, dtype=np.float32).reshape(2, 2, 1) / 4


def write_doubling(path: Path, factor: float = 2.0) -> None:
    """Write an encoder of four pixels that gives them times a factor."""
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("Mul", ["flat", "factor"], ["features"]),
        ],
        "doubling",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 2, 2])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.array([factor], np.float32), "factor")],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def features(folder: Path, mean: float) -> NDArray[np.float32]:
    """Give what the pixels become, from the folder where it is kept already."""
    image = ImageInput(height=2, width=2, channels=1, mean=(mean,), std=(0.5,))
    split = folder / "rows.csv"
    spec = ProjectSpec(
        name="four",
        task=Task.IMAGE_CLASSIFICATION,
        model=ModelSpec(source=folder / "model.onnx", image=image),
        data=DataSpec(train=split, calibration=split, test=split),
    )
    source = open_source(spec.model.source, ())
    writer = BundleWriter(spec, source, ("a", "b"), folder / "candidates")
    inputs: list[Input] = [{"image": PIXELS}]
    return encode_features(source, writer, inputs, "data", folder, silent, workers=1)


@pytest.mark.parametrize("mean", [0.25, 0.5])
def test_features_are_those_of_the_normalization_that_is_asked(tmp_path: Path, mean: float) -> None:
    write_doubling(tmp_path / "model.onnx")
    features(tmp_path, 0.0)

    found = features(tmp_path, mean)

    assert found.shape == (1, 1, 4)
    assert found[0, 0] == pytest.approx(2 * (PIXELS.ravel() - mean) / 0.5, abs=1e-6)


def test_features_of_the_same_question_are_kept(tmp_path: Path) -> None:
    write_doubling(tmp_path / "model.onnx")
    features(tmp_path, 0.0)
    kept = list(tmp_path.glob("features-*.npy"))
    features(tmp_path, 0.0)

    assert len(kept) == 1
    assert list(tmp_path.glob("features-*.npy")) == kept
