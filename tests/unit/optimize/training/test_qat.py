"""Quantization-aware tuning, against what ONNX Runtime's dynamic INT8 really computes."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_torch
import torch
from tiny_project import write_project
from torch import nn
from torch.nn.utils import parametrize

from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.passes import int8_dynamic
from edgewise.optimize.sources.torch_module import export_module
from edgewise.optimize.training import TrainingData, TrainingSettings
from edgewise.optimize.training.qat import train_quantized
from edgewise.optimize.training.recover import recover
from edgewise.optimize.training.rounding import round_activations
from edgewise.runtimes import find_runtime

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]
BRISK = TrainingSettings(epochs=12, learning_rate=2e-3)
NONE = TrainingSettings(max_steps=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    return tiny_torch.read_examples(folder)


@pytest.fixture(scope="module")
def model(data: TrainingData) -> Any:
    """Give a model that is right about the sentences."""
    rough = tiny_torch.make_bert(layers=2, hidden_act="relu")
    return recover(tiny_torch.make_sharp(rough, spread=0.2), data, settings=BRISK)[0]


def make_fragile(module: Any, factor: float) -> Any:
    """Scale a few channels up before a linear layer and down in it: the same function of floats.

    Their range sets the step of all others, which are rounded away. ReLU and the mixing of values
    by attention let a positive factor through.
    """
    found = copy.deepcopy(module)
    with torch.no_grad():
        for layer in found.bert.encoder.layer:
            attention = layer.attention
            for before, after in (
                (layer.intermediate.dense, layer.output.dense),
                (attention.self.value, attention.output.dense),
            ):
                for channel in (0, 7, 13, 29):
                    before.weight[channel] *= factor
                    before.bias[channel] *= factor
                    after.weight[:, channel] /= factor
    return found


def int8_logits(module: Any, data: TrainingData, folder: Path, *, reduce_range: bool) -> Any:
    path = folder / "int8.onnx"
    exported = export_module(module, data.inputs[0])
    found = int8_dynamic.quantize(exported, reduce_range=reduce_range)
    path.write_bytes(found.SerializeToString())
    session = find_runtime("onnxruntime").load(path)
    rows = [session.run(one)[session.output_names[0]] for one in data.inputs]
    session.close()
    return np.concatenate(rows)


def share_right(logits: Any, data: TrainingData) -> float:
    return float((logits.argmax(axis=1) == np.asarray(data.labels)).mean())


def test_a_fragile_model_tuned_for_int8_keeps_what_the_plain_one_loses(
    model: Any, data: TrainingData, tmp_path: Path
) -> None:
    fragile = make_fragile(model, 1000.0)

    tuned, record = train_quantized(
        fragile, data, settings=TrainingSettings(epochs=6, learning_rate=5e-4)
    )

    plain = share_right(int8_logits(fragile, data, tmp_path, reduce_range=False), data)
    kept = share_right(int8_logits(tuned, data, tmp_path, reduce_range=False), data)
    assert tiny_torch.accuracy(fragile, data) >= 0.99
    assert plain <= 0.7
    assert kept >= 0.95
    assert record.before is not None
    assert record.after is not None
    assert record.before <= 0.7
    assert record.after >= 0.9


@pytest.mark.parametrize("reduce_range", [False, True])
def test_what_is_trained_on_is_what_the_runtime_will_compute(
    model: Any, data: TrainingData, tmp_path: Path, *, reduce_range: bool
) -> None:
    seen: list[Any] = []
    some = TrainingData(inputs=data.inputs[:40], labels=(data.labels or ())[:40])

    class Watched(nn.Module):  # type: ignore[misc, unused-ignore]
        """Keeps what it answers while it is rounded."""

        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            found = self.inner(input_ids, attention_mask, token_type_ids).logits
            seen.append((input_ids, found.detach()))
            return found

    train_quantized(
        Watched(model),
        some,
        reduce_range=reduce_range,
        settings=TrainingSettings(max_steps=0, held_out_share=0.9, batch_size=1),
    )
    real = int8_logits(model, some, tmp_path, reduce_range=reduce_range)

    answered = {
        tuple(row.tolist()): logits.numpy()
        for ids, found in seen
        for row, logits in zip(ids, found, strict=True)
    }
    by_ids = {tuple(one["input_ids"][0].tolist()): index for index, one in enumerate(some.inputs)}
    whole = [key for key in answered if key in by_ids]
    assert len(whole) >= 20
    places = [by_ids[key] for key in whole]
    rounded = np.stack([answered[key] for key in whole])
    exact = tiny_torch.answers(model, some).numpy()[places]
    # The runtime sums in another order, so now and then a value falls to the next step.
    assert np.abs(rounded - real[places]).mean() <= 0.2 * np.abs(exact - real[places]).mean()


def test_what_comes_out_is_a_plain_float_module(model: Any, data: TrainingData) -> None:
    before = tiny_torch.weights(model)

    tuned, record = train_quantized(model, data, settings=NONE)

    assert not any(parametrize.is_parametrized(one) for one in tuned.modules())
    assert not any(one._forward_pre_hooks for one in tuned.modules())
    after = tiny_torch.weights(tuned)
    assert list(after) == list(before)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert record.steps == 0


def test_without_labels_the_module_in_float_is_the_teacher(model: Any, data: TrainingData) -> None:
    fragile = make_fragile(model, 1000.0)

    tuned, record = train_quantized(
        fragile,
        TrainingData(inputs=data.inputs),
        settings=TrainingSettings(epochs=6, learning_rate=5e-4),
    )

    assert record.metric == "agreement"
    assert record.before is not None
    assert record.after is not None
    assert record.before + 0.2 <= record.after
    assert tiny_torch.weights(tuned).keys() == tiny_torch.weights(fragile).keys()


def test_activations_are_rounded_as_the_operators_definition_says() -> None:
    values = torch.tensor([[-1.0, 0.0, 0.1, 2.0]], requires_grad=True)

    found = round_activations(values)
    found.sum().backward()

    # Scale 3 / 255, zero point 85; .1 is 8.5 steps, and halves go to the even number.
    wanted = torch.tensor([[-85.0, 0.0, 8.0, 170.0]]) * (3 / 255)
    assert torch.allclose(found.detach(), wanted, atol=1e-6)
    assert values.grad is not None
    assert values.grad.tolist() == [[1.0, 1.0, 1.0, 1.0]]


def test_each_example_has_its_own_range() -> None:
    small, large = torch.tensor([[0.0, 0.013]]), torch.tensor([[0.0, 100.0]])

    together = round_activations(torch.cat([small, large]))

    assert torch.allclose(together, torch.cat([small, large]))


def test_layers_that_stay_float_are_not_rounded(model: Any, data: TrainingData) -> None:
    everything = [
        name for name, one in model.named_modules() if isinstance(one, (nn.Linear, nn.Embedding))
    ]

    with pytest.raises(InvalidModel) as refused:
        train_quantized(model, data, keep_float=everything, settings=NONE)

    assert refused.value.where == "BertForSequenceClassification"
    assert "no linear layer to quantize" in refused.value.what
    assert "leave this pass out" in refused.value.hint


def test_a_name_that_is_no_layer_is_refused(model: Any, data: TrainingData) -> None:
    with pytest.raises(UsageError) as refused:
        train_quantized(model, data, keep_float=["nowhere"], settings=NONE)

    assert refused.value.where == "keep_float"
    assert "`nowhere`" in refused.value.what
    assert "bert.embeddings.word_embeddings" in refused.value.hint
