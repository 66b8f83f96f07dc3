"""Weights that lie beside an ONNX model are a part of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewise.errors import IntegrityError
from edgewise.records import BundleManifest, ImageInput, Task, write_json
from edgewise.runtimes import open_bundle, open_onnx, write_manifest
from edgewise.runtimes.weights import weights_beside

IMAGE = ImageInput(height=2, width=2, channels=1, mean=(0.0,), std=(1.0,))
LONG = "weights-of-a-model-" + "x" * 150


def write_model(path: Path, sign: float, name: str = "weights.bin") -> Path:
    """Write a model that answers by the sign of its weights, which lie in a file of their own."""
    weights = np.array([[sign, -sign]] * 4, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "signs",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 2, 2])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(weights, "weights")],
    )
    path.with_name(name).unlink(missing_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path, save_as_external_data=True, location=name, size_threshold=0)
    return path


def test_a_plain_model_with_other_weights_beside_it_has_another_hash(tmp_path: Path) -> None:
    path, pixels = tmp_path / "model.onnx", np.ones((2, 2, 1), np.float32)
    found = []

    for sign in (1.0, -1.0):
        model = open_onnx(write_model(path, sign), labels=("up", "down"), image=IMAGE)
        found.append((model.predict({"image": pixels}).label, model.sha256))
        model.close()

    (one, first), (other, second) = found
    assert (one, other) == ("up", "down")
    assert first != second


def test_a_bundle_whose_weights_have_no_hash_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "model.onnx", 1.0)
    made = BundleManifest(
        name="signs",
        task=Task.IMAGE_CLASSIFICATION,
        labels=("up", "down"),
        files={},
        model="model.onnx",
        source_sha256="0",
        source_size_bytes=1,
        image=IMAGE,
    )
    whole = write_manifest(tmp_path, made)
    open_bundle(tmp_path).close()
    files = {name: sha256 for name, sha256 in whole.files.items() if name != "weights.bin"}
    write_json(tmp_path / "manifest.json", replace(whole, files=files))

    with pytest.raises(IntegrityError) as refused:
        open_bundle(tmp_path)

    assert refused.value.what == "the manifest has no hash of it"
    assert refused.value.where == str(tmp_path / "weights.bin")
    assert refused.value.hint == "make the bundle anew"


@pytest.mark.parametrize("name", ["weights.bin", LONG])
def test_weights_are_found_by_their_name(tmp_path: Path, name: str) -> None:
    path = write_model(tmp_path / "model.onnx", 1.0, name)

    assert weights_beside(path) == {name: tmp_path / name}


def test_nothing_lies_beside_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "cut.onnx").write_bytes(b"\n\x08location\x12\xff\xff")
    (tmp_path / "odd.onnx").write_bytes(b"\n\x08location\x12\xff\x7f" + b"x" * 9_000)

    assert weights_beside(tmp_path / "empty.onnx") == {}
    assert weights_beside(tmp_path / "cut.onnx") == {}
    assert weights_beside(tmp_path / "odd.onnx") == {}
    assert weights_beside(tmp_path / "absent.onnx") == {}
    assert weights_beside(tmp_path / "model.tflite") == {}
