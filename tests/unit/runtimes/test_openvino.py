import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewise.errors import InvalidModel
from edgewise.runtimes import open_bundle, read_manifest, write_manifest
from edgewise.runtimes.openvino import OpenVino
from edgewise.runtimes.ort import OnnxRuntime
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

pytestmark = pytest.mark.heavy


def text_of(length: int, batch: int = 1) -> dict[str, np.ndarray]:
    ids = np.random.default_rng(length).integers(0, 8, (batch, length))
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


def test_any_length_and_batch_gives_what_onnx_runtime_gives(tmp_path: Path) -> None:
    model = tiny_text_bundle(tmp_path) / "model.onnx"
    ours, theirs = OpenVino().load(model), OnnxRuntime().load(model)

    assert ours.input_names == theirs.input_names
    assert ours.input_shapes == theirs.input_shapes == ((None, None),) * 3
    for length, batch in ((3, 1), (50, 1), (3, 1), (7, 4), (1, 1)):
        inputs = text_of(length, batch)
        found, expected = ours.run(inputs)["logits"], theirs.run(inputs)["logits"]
        np.testing.assert_allclose(found.astype(float), expected.astype(float), rtol=1e-5)


def test_an_answer_stays_when_the_next_comes(tmp_path: Path) -> None:
    session = OpenVino().load(tiny_text_bundle(tmp_path) / "model.onnx")
    first = session.run(text_of(5))["logits"]
    kept = first.copy()

    session.run(text_of(6))

    np.testing.assert_array_equal(first, kept)


def test_a_bundle_whose_manifest_names_it_is_answered_by_it(tmp_path: Path) -> None:
    folder = tiny_image_bundle(tmp_path / "bundle")
    write_manifest(folder, replace(read_manifest(folder), runtime="openvino"))

    with_it = open_bundle(folder).predict({"image": np.full((4, 4, 3), 200, np.uint8)})

    assert with_it.label == "bright"
    # 8 m - 4 for the last label and its opposite for the first, with m = 200 / 255
    assert with_it.probabilities[1] == pytest.approx(1 / (1 + np.exp(-2 * (8 * 200 / 255 - 4))))


def test_its_import_brings_no_telemetry() -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom edgewise.runtimes.openvino import OpenVino\n"
        "try: OpenVino().load(Path('absent.onnx'))\n"
        "except Exception as absent: print(absent.what)\n"
        "print('openvino' in sys.modules, 'openvino_telemetry' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n")[:2] == ["no such model file", "True False"]


def test_a_broken_file_is_told_in_one_line_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x00corrupt")

    with pytest.raises(InvalidModel) as caught:
        OpenVino().load(path)

    assert caught.value.what == "OpenVINO can't load it: Model can't be parsed"
    assert capfd.readouterr() == ("", "")


def test_an_empty_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"")

    with pytest.raises(InvalidModel) as caught:
        OpenVino().load(path)

    assert caught.value.what == "it has no outputs"
