"""What training takes is checked before torch is needed."""

import numpy as np
import pytest

from edgewise.errors import InvalidData, UsageError
from edgewise.optimize.training import LossWeights, StudentShape, TrainingData, TrainingSettings


def one(length: int = 3) -> dict[str, np.ndarray]:
    return {"input_ids": np.ones((1, length), np.int64)}


def test_no_examples_are_refused() -> None:
    with pytest.raises(InvalidData) as refused:
        TrainingData(inputs=[])

    assert refused.value.where == "inputs"
    assert "no examples" in refused.value.what
    assert "at least one" in refused.value.hint


def test_each_input_needs_its_label() -> None:
    with pytest.raises(InvalidData) as refused:
        TrainingData(inputs=[one(), one()], labels=[1])

    assert refused.value.where == "labels"
    assert "2 inputs and 1 labels" in refused.value.what
    assert "one label" in refused.value.hint


@pytest.mark.parametrize("odd", [{"pixels": np.ones((1, 3))}, {"input_ids": np.ones((2, 3))}])
def test_an_input_that_is_no_single_example_is_named(odd: dict[str, np.ndarray]) -> None:
    with pytest.raises(InvalidData) as refused:
        TrainingData(inputs=[one(), odd])

    assert refused.value.where == "inputs[1]"
    assert "batch of one" in refused.value.what
    assert "same task" in refused.value.hint


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": -1},
        {"max_steps": -1},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"weight_decay": -0.1},
        {"warmup_share": 1.0},
        {"held_out_share": -0.1},
        {"evaluate_every": 0},
        {"patience": 0},
        {"clip_norm": 0.0},
        {"threads": 0},
    ],
)
def test_a_setting_out_of_range_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError) as refused:
        TrainingSettings(**settings)  # type: ignore[arg-type]

    assert refused.value.where == "TrainingSettings"
    assert "out of range" in refused.value.what
    assert "[0, 1)" in refused.value.hint


@pytest.mark.parametrize("weights", [{"logits": 0.0}, {"hidden": -1.0}, {"temperature": 0.0}])
def test_weights_that_leave_no_loss_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(UsageError) as refused:
        LossWeights(**weights)

    assert refused.value.where == "LossWeights"
    assert "temperature" in refused.value.what
    assert "one above 0" in refused.value.hint


def test_a_student_without_layers_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        StudentShape(depth=0)

    assert refused.value.where == "StudentShape"
    assert "below 1" in refused.value.what
    assert "from 1" in refused.value.hint
