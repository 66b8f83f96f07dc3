from pathlib import Path

import numpy as np
import pytest

from edgewise.runtimes import RUNTIMES, Runtime
from edgewise.testing.models import tiny_text_bundle
from edgewise.testing.runtimes import RuntimeLaws, Tensors

MAKERS = {"onnxruntime": tiny_text_bundle}


def test_every_runtime_has_a_model_to_be_tried_with() -> None:
    assert {runtime.name for runtime in RUNTIMES} == set(MAKERS)


class TestRuntimes(RuntimeLaws):
    @pytest.fixture(params=RUNTIMES, ids=lambda runtime: str(runtime.name))
    def runtime(self, request: pytest.FixtureRequest) -> Runtime:
        found: Runtime = request.param
        return found

    @pytest.fixture
    def model(self, runtime: Runtime, tmp_path: Path) -> Path:
        return MAKERS[runtime.name](tmp_path / "bundle") / "model.onnx"

    @pytest.fixture
    def inputs(self) -> Tensors:
        ids = np.array([[2, 4, 6, 3], [2, 5, 3, 0]], dtype=np.int64)
        return {
            "input_ids": ids,
            "attention_mask": (ids > 0).astype(np.int64),
            "token_type_ids": np.zeros_like(ids),
        }
