import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgewise.errors import InvalidData, InvalidModel
from edgewise.runtimes.ort import OnnxRuntime
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle


def test_shapes_are_none_where_calls_may_choose(tmp_path: Path) -> None:
    text = OnnxRuntime().load(tiny_text_bundle(tmp_path / "text") / "model.onnx")
    image = OnnxRuntime().load(tiny_image_bundle(tmp_path / "image") / "model.onnx")

    assert text.input_names == ("input_ids", "attention_mask", "token_type_ids")
    assert text.input_shapes == ((None, None),) * 3
    assert text.output_names == image.output_names == ("logits",)
    assert (image.input_names, image.input_shapes) == (("image",), ((None, 3, 4, 4),))


def test_version_is_that_of_the_library() -> None:
    assert OnnxRuntime().version() == onnxruntime.__version__


def test_absent_input_error_lists_what_the_model_takes(tmp_path: Path) -> None:
    model = tiny_image_bundle(tmp_path) / "model.onnx"

    with pytest.raises(InvalidData) as caught:
        OnnxRuntime().load(model).run({})

    assert caught.value.what == "the model's input 'image' is absent"
    assert caught.value.where == str(model)
    assert caught.value.hint == "it takes: image"


def test_input_of_a_wrong_shape_is_invalid_data(tmp_path: Path) -> None:
    model = tiny_image_bundle(tmp_path) / "model.onnx"

    with pytest.raises(InvalidData) as caught:
        OnnxRuntime().load(model).run({"image": np.zeros((1, 3, 5, 5), dtype=np.float32)})

    assert caught.value.what.startswith("the model can't take this input: ")
    assert "\n" not in caught.value.what
    assert caught.value.where == str(model)
    assert caught.value.hint == "check shapes and types"


def test_corrupt_model_says_so_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x00corrupt")

    with pytest.raises(InvalidModel) as caught:
        OnnxRuntime().load(path)

    assert caught.value.what.startswith("ONNX Runtime can't load it: ")
    assert "\n" not in caught.value.what
    assert caught.value.hint == "is it a whole ONNX file?"


def test_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel) as caught:
        OnnxRuntime().load(tmp_path)

    assert caught.value.what == "no such model file"
    assert caught.value.where == str(tmp_path)
    assert caught.value.hint == "check the path"


def test_failures_write_nothing_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    session = OnnxRuntime().load(tiny_image_bundle(tmp_path) / "model.onnx")

    with pytest.raises(InvalidData):
        session.run({"image": np.zeros((1, 3, 5, 5), dtype=np.float32)})

    assert capfd.readouterr() == ("", "")


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, edgewise.runtimes\n"
        "heavy = ('onnxruntime', 'tokenizers', 'httpx2', 'PIL', 'onnx')\n"
        "print([name for name in heavy if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
