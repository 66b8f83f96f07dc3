from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgewise.runtimes import RUNTIMES, Runtime
from edgewise.testing.models import tiny_text_bundle
from edgewise.testing.runtimes import RuntimeLaws, Tensors


def onnx_model(folder: Path) -> Path:
    return tiny_text_bundle(folder / "bundle") / "model.onnx"


def ort_model(folder: Path) -> Path:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(folder / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(onnx_model(folder)), options)
    return folder / "model.ort"


def tflite_model(folder: Path) -> Path:
    import litert_torch  # noqa: PLC0415 - heavy
    from torch_models import WordCount, seeded, torch_of  # noqa: PLC0415 - heavy

    converted = litert_torch.convert(seeded(WordCount), sample_kwargs=torch_of(INPUTS))
    converted.export(str(folder / "model.tflite"))
    return folder / "model.tflite"


IDS = np.array([[2, 4, 6, 3], [2, 5, 3, 0]], dtype=np.int64)
INPUTS: Tensors = {
    "input_ids": IDS,
    "attention_mask": (IDS > 0).astype(np.int64),
    "token_type_ids": np.zeros_like(IDS),
}
MAKERS: dict[str, dict[str, Callable[[Path], Path]]] = {
    "onnxruntime": {".onnx": onnx_model, ".ort": ort_model},
    "openvino": {".onnx": onnx_model},
    "litert": {".tflite": tflite_model},
}
CASES = [
    pytest.param(
        (runtime, maker),
        id=f"{runtime.name}{suffix}",
        marks=[pytest.mark.heavy] if runtime.extra else [],
    )
    for runtime in RUNTIMES
    for suffix, maker in MAKERS[runtime.name].items()
]


def test_every_runtime_has_a_model_to_be_tried_with() -> None:
    assert {runtime.name for runtime in RUNTIMES} == set(MAKERS)
    assert all(set(MAKERS[runtime.name]) <= set(runtime.formats) for runtime in RUNTIMES)


@pytest.mark.filterwarnings("ignore")  # converters warn of their own affairs
class TestRuntimes(RuntimeLaws):
    @pytest.fixture(scope="class", params=CASES)
    def case(
        self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[Runtime, Path]:
        runtime, maker = request.param
        return runtime, maker(tmp_path_factory.mktemp(runtime.name))

    @pytest.fixture
    def runtime(self, case: tuple[Runtime, Path]) -> Runtime:
        return case[0]

    @pytest.fixture
    def model(self, case: tuple[Runtime, Path]) -> Path:
        return case[1]

    @pytest.fixture
    def inputs(self) -> Tensors:
        return dict(INPUTS)
