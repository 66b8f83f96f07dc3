from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest

from edgewise.errors import IntegrityError, InvalidModel
from edgewise.runtimes import RUNTIMES, find_fits, read_manifest, write_manifest
from edgewise.testing.models import tiny_text_bundle


def test_every_runtime_is_in_the_answer_and_the_default_one_runs(tmp_path: Path) -> None:
    fits = find_fits(tiny_text_bundle(tmp_path / "bundle"))

    assert [fit.runtime for fit in fits] == [runtime.name for runtime in RUNTIMES]
    assert (fits[0].runs, fits[0].why, fits[0].command) == (True, "", "")
    assert fits[0].version == onnxruntime.__version__
    assert all(fit.runs == (not fit.why) for fit in fits)


def test_a_runtime_of_another_format_says_what_it_loads(tmp_path: Path) -> None:
    litert = find_fits(tiny_text_bundle(tmp_path / "bundle"))[2]

    assert litert.why == "it loads .tflite, and the model is model.onnx"
    assert not litert.runs
    assert not litert.command


def test_a_model_that_does_not_load_says_why(tmp_path: Path) -> None:
    folder = tiny_text_bundle(tmp_path / "bundle")
    (folder / "model.onnx").write_bytes(b"\x00corrupt")
    write_manifest(folder, replace(read_manifest(folder, verify=False), files={}))

    fit = find_fits(folder)[0]

    assert fit.why.startswith("ONNX Runtime can't load it: ")
    assert (fit.runs, fit.version) == (False, onnxruntime.__version__)


def test_what_is_no_whole_bundle_is_refused(tmp_path: Path) -> None:
    folder = tiny_text_bundle(tmp_path / "bundle")
    (folder / "model.onnx").write_bytes(b"other bytes")

    with pytest.raises(IntegrityError):
        find_fits(folder)
    with pytest.raises(InvalidModel):
        find_fits(tmp_path)


@pytest.mark.heavy
def test_openvino_runs_the_same_bundle(tmp_path: Path) -> None:
    openvino = find_fits(tiny_text_bundle(tmp_path / "bundle"))[1]

    assert (openvino.runtime, openvino.runs, openvino.why) == ("openvino", True, "")
