"""Model files timed in turn on tensors, in fresh processes."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_graphs import Builder, mlp

from edgewise.errors import InvalidData, InvalidModel, UsageError
from edgewise.profile.tensors import compare_models

pytestmark = pytest.mark.integration
ROWS = [{"x": np.full((1, 6), i, np.float32)} for i in range(3)]


def save(folder: Path, model: onnx.ModelProto, name: str = "m.onnx") -> Path:
    onnx.save(model, folder / name)
    return folder / name


def slow() -> onnx.ModelProto:
    """Give a model that multiplies by 16 MB of weights."""
    b = Builder(6)
    b.op("MatMul", b.op("MatMul", "x", b.draw(6, 2000)), b.draw(2000, 2000))
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])
    gives = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2000])
    return b.finish([takes], [gives])


def test_a_larger_model_takes_longer_and_more_memory(tmp_path: Path) -> None:
    first, second = compare_models(
        [save(tmp_path, mlp()), save(tmp_path, slow(), "slow.onnx")], ROWS, rounds=3
    )

    assert (first.ratio, first.ratio_low, first.ratio_high) == (1.0, 1.0, 1.0)
    assert 1 < second.ratio_low <= second.ratio <= second.ratio_high
    assert 0 < first.p50_ms < second.p50_ms <= second.p95_ms
    assert second.peak_memory_bytes - first.peak_memory_bytes > 14e6


@pytest.mark.parametrize(
    ("count", "inputs", "rounds", "error", "what"),
    [
        (1, ROWS, 2, UsageError, "1 model(s) in 2 round(s)"),
        (2, ROWS, 1, UsageError, "2 model(s) in 1 round(s)"),
        (2, [], 2, InvalidData, "no inputs to measure with"),
        (2, [{"x": np.zeros((1, 5), np.float32)}], 2, InvalidData, "can't take this input"),
    ],
)
def test_bad_use_is_said(
    tmp_path: Path, count: int, inputs: Any, rounds: int, error: type[Exception], what: str
) -> None:
    path = save(tmp_path, mlp())

    with pytest.raises(error) as caught:
        compare_models([path] * count, inputs, rounds=rounds)

    assert what in getattr(caught.value, "what", "")
    assert getattr(caught.value, "hint", "")


def test_a_model_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel) as caught:
        compare_models([save(tmp_path, mlp()), tmp_path / "no.onnx"], ROWS, rounds=2)

    assert caught.value.where == str(tmp_path / "no.onnx")
