"""`ModelOptimizer` on torch modules: every method on small ones, the sequence on a BERT-base."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgewise import ModelOptimizer
from edgewise.errors import InvalidData, InvalidModel, UsageError
from edgewise.optimize.optimized import OptimizedModel

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore"),  # converters warn of their own affairs
    pytest.mark.timeout(900),
]
optimizer = ModelOptimizer()


def weights_of(model: OptimizedModel) -> list[onnx.TensorProto]:
    return list(onnx.load_from_string(model.model).graph.initializer)


def operators(model: OptimizedModel) -> set[str]:
    return {node.op_type for node in onnx.load_from_string(model.model).graph.node}


def sentences(count: int, *, vocabulary: int, length: int, seed: int = 0) -> dict[str, Any]:
    import torch  # noqa: PLC0415 - heavy

    ids = np.random.default_rng(seed).integers(5, vocabulary, (count, length))
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.ones(count, length).long()}


def two_sided(module: Any, data: dict[str, Any]) -> Any:
    """Give the module's own answers, its bias moved so that both of two classes occur."""
    import torch  # noqa: PLC0415 - heavy

    with torch.no_grad():
        logits = module(**data).logits
        margin = (logits[:, 1] - logits[:, 0]).quantile(0.5)  # between two, so none is a tie
        module.classifier.bias[1] -= margin
        return module(**data).logits.argmax(-1)


def tiny_bert(layers: int = 2, **changed: Any) -> Any:
    from tiny_torch import make_bert, make_sharp  # noqa: PLC0415 - heavy

    return make_sharp(make_bert(layers=layers, **changed))


def convnet() -> Any:
    from torch_models import ConvNet, seeded  # noqa: PLC0415 - heavy

    return seeded(ConvNet)


def pictures(count: int) -> Any:
    import torch  # noqa: PLC0415 - heavy

    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def answers(module: Any, *values: Any, **named: Any) -> np.ndarray:
    import torch  # noqa: PLC0415 - heavy

    with torch.no_grad():
        found = module(*values, **named)
    return np.asarray(getattr(found, "logits", found))


@pytest.mark.slow
def test_the_whole_sequence_on_a_bert_base() -> None:
    import torch  # noqa: PLC0415 - heavy
    from transformers import BertConfig, BertForSequenceClassification  # noqa: PLC0415 - heavy

    torch.manual_seed(0)
    module = BertForSequenceClassification(BertConfig(num_labels=2)).eval()
    known = sentences(4, vocabulary=30_000, length=32)
    test = sentences(16, vocabulary=30_000, length=32, seed=1)
    labels = two_sided(module, test)
    assert sorted(Counter(labels.tolist()).values()) == [8, 8]

    quantized = optimizer.quantize_model(module, known, "static")
    pruned = optimizer.prune_model(quantized, 0.4)
    mobile = optimizer.optimize_for_mobile(pruned, {k: v[:2] for k, v in test.items()})
    found = optimizer.measure_optimization_impact(module, mobile, test, labels, rounds=3)

    assert quantized.recipe == ("int8-static",)
    assert mobile.recipe == ("prune-ffn:0.4", "int8-static")
    assert "can't be done after `int8-static`" in mobile.notes[0]
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators(mobile)
    matrices = [one for one in weights_of(mobile) if len(one.dims) == 2]
    # 0.4 of 3072 hidden neurons is 1228, and 12 layers have two matrices each.
    shapes = Counter(tuple(sorted(one.dims)) for one in matrices)
    assert shapes[768, 1844] == 24
    assert not any(3072 in shape for shape in shapes)
    assert {one.data_type for one in matrices if 1844 in one.dims} == {TensorProto.INT8}
    assert mobile.format == "ort"
    assert found.original_accuracy == 1.0
    assert found.size_reduction > 0.7
    assert found.latency_improvement > 1
    assert np.isfinite(found.accuracy_delta)
    assert found.optimized_peak_memory_mb < found.original_peak_memory_mb


@pytest.mark.parametrize("kind", ["dynamic", "static", "int4"])
def test_a_text_module_is_quantized_and_answers_nearly_alike(kind: str) -> None:
    module, data = tiny_bert(), sentences(8, vocabulary=24, length=9)

    made = optimizer.quantize_model(module, data, kind)

    found = made.run(data)["output"]
    expected = answers(module, **data)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95
    shorter = sentences(3, vocabulary=24, length=5)
    assert made.run(shorter)["output"].shape == (3, 2)


def test_a_text_module_is_pruned_without_an_example() -> None:
    module = tiny_bert(intermediate_size=40)  # no other size is 40 or 20
    before = {name: value.clone() for name, value in module.state_dict().items()}

    made = optimizer.prune_model(module, 0.5, structures=["ffn", "heads"])

    assert made.recipe == ("prune-heads:0.5", "prune-ffn:0.5")
    dims = [tuple(one.dims) for one in weights_of(made)]
    assert not any(40 in one for one in dims)
    assert sum(20 in one for one in dims) == 6  # two matrices and a bias a layer
    assert made.run(sentences(2, vocabulary=24, length=7))["output"].shape == (2, 2)
    assert all((value == before[name]).all() for name, value in module.state_dict().items())


def test_integer_operators_keep_a_graph_from_litert_and_executorch_and_are_named() -> None:
    module, data = tiny_bert(), sentences(6, vocabulary=24, length=9)

    made = optimizer.prune_model(module, 0.25, sample_data=data)
    made = optimizer.quantize_model(made, quantization_type="static")
    made = optimizer.optimize_for_mobile(made, data)

    assert made.recipe == ("prune-ffn:0.25", "int8-static")
    assert [one.artifact.made for one in made.mobile] == [True, False, False, False]
    for one in made.mobile[1:]:
        assert "DequantizeLinear, QuantizeLinear" in one.artifact.why
        assert one.artifact.why.endswith("can't become a torch operator")
    assert made.notes[-1].startswith("the torch module has not got `prune-ffn:0.25`")


def test_a_pruned_module_stays_pruned_in_its_mobile_files() -> None:
    module, data = tiny_bert(), sentences(1, vocabulary=24, length=9)

    whole = optimizer.optimize_for_mobile(module, data)
    pruned = optimizer.prune_model(module, 0.5, sample_data=data)
    made = optimizer.optimize_for_mobile(pruned, data)

    assert made.recipe == ("prune-ffn:0.5",)
    assert [one.artifact.made for one in made.mobile] == [True] * 4, made.notes
    for ours, before in zip(made.mobile, whole.mobile, strict=True):
        assert ours.artifact.size_bytes < before.artifact.size_bytes


@pytest.mark.parametrize("end", ["pt", "pt2"])
def test_a_torch_file_goes_through_every_step(end: str, tmp_path: Path) -> None:
    import torch  # noqa: PLC0415 - heavy

    module, data, path = convnet().eval(), pictures(4), tmp_path / f"net.{end}"
    if end == "pt":
        torch.jit.save(torch.jit.trace(module, data), str(path))
    else:
        torch.export.save(torch.export.export(module, (data,)), path)

    made = optimizer.prune_model(path, 0.5, sample_data=data)
    made = optimizer.quantize_model(made, data, "static")
    found = optimizer.measure_optimization_impact(path, made, data, rounds=2)

    assert made.recipe == ("prune-channels:0.5", "int8-static")
    assert found.n == 4
    assert found.size_reduction > 0.2


def test_a_script_whose_inputs_nobody_tells_asks_for_an_example(tmp_path: Path) -> None:
    import torch  # noqa: PLC0415 - heavy

    path = tmp_path / "net.pt"
    torch.jit.save(torch.jit.script(convnet().eval()), str(path))

    with pytest.raises(UsageError) as caught:
        optimizer.quantize_model(path)

    assert caught.value.hint == "give an example input"


def test_a_torch_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(b"none")

    with pytest.raises(InvalidModel) as caught:
        optimizer.quantize_model(path)

    assert caught.value.what.startswith("not a TorchScript file")
    assert caught.value.where == str(path)


def test_a_convolution_module_goes_through_every_method() -> None:
    module, data = convnet(), pictures(8)
    labels = answers(module, data).argmax(-1)

    pruned = optimizer.prune_model(module, 0.25, sample_data=data)
    quantized = optimizer.quantize_model(pruned, data, "static")
    mobile = optimizer.optimize_for_mobile(quantized, data[:1], formats=["ort"])
    found = optimizer.measure_optimization_impact(module, mobile, data, labels, rounds=2)

    assert mobile.recipe == ("prune-channels:0.25", "int8-static")
    assert found.n == 8
    assert found.original_accuracy == 1.0
    kernels = [tuple(one.dims) for one in weights_of(pruned) if len(one.dims) == 4]
    assert sorted(kernels) == [(6, 3, 3, 3), (12, 6, 3, 3)]


def test_an_untouched_module_becomes_every_mobile_format() -> None:
    module, data = convnet(), pictures(2)

    made = optimizer.optimize_for_mobile(module, data)

    assert [(one.artifact.format.value, one.artifact.made) for one in made.mobile] == [
        ("ort", True),
        ("tflite", True),
        ("tflite-int8", True),
        ("pte", True),
    ]
    assert all(one.content for one in made.mobile)
    assert made.notes == ()


def test_a_student_is_distilled_and_goes_on_to_other_steps() -> None:
    from edgewise.optimize.training import TrainingSettings  # noqa: PLC0415 - heavy

    teacher, data = tiny_bert(4), sentences(64, vocabulary=24, length=9)
    settings = TrainingSettings(
        epochs=10, batch_size=16, learning_rate=1e-3, held_out_share=0.25, patience=10
    )

    student = optimizer.distill(teacher, 2, data, settings=settings)
    small = optimizer.quantize_model(student, data, "dynamic")
    found = optimizer.measure_optimization_impact(teacher, small, data, rounds=2)

    assert student.recipe == ("distill",)
    assert "distilled in 30 steps" in student.notes[0]
    assert "16 examples held out" in student.notes[0]
    assert student.origin.module.config.num_hidden_layers == 2
    expected = answers(student.origin.module, **data)
    assert np.allclose(student.run(data)["output"], expected, atol=1e-4)
    assert small.recipe == ("distill", "int8-dynamic")
    assert found.size_reduction > 0.3
    assert 0 <= found.agreement <= 1


def test_a_student_may_be_a_module_and_labels_count() -> None:
    from edgewise.optimize.training import TrainingSettings  # noqa: PLC0415 - heavy

    data = pictures(12)
    settings = TrainingSettings(epochs=1)

    made = optimizer.distill(convnet(), convnet(), data, labels=[0, 1, 2] * 4, settings=settings)

    assert made.run({"image": data})["output"].shape == (12, 3)


def test_a_search_tries_recipes_and_students() -> None:
    module, data = tiny_bert(), sentences(8, vocabulary=24, length=9)

    found = optimizer.search_architecture(
        module, data, recipes=["int8-dynamic", "fuse"], students=[1], min_agreement=0.0, rounds=2
    )

    assert [one.name for one in found.tried] == ["float32", "int8-dynamic", "fuse", "distill 1"]
    assert all(one.p50_ms > 0 for one in found.tried)
    assert found.chosen is not None


def test_a_module_that_does_not_tell_what_it_takes_needs_an_example() -> None:
    with pytest.raises(UsageError) as caught:
        optimizer.prune_model(convnet(), 0.4)

    assert caught.value.what == "`ConvNet` does not tell what it takes"
    assert caught.value.hint == "give an example input"


def test_a_module_of_linear_layers_tells_what_it_takes() -> None:
    from torch import nn  # noqa: PLC0415 - heavy

    made = optimizer.prune_model(nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 3)), 0.4)

    assert sorted(tuple(one.dims) for one in weights_of(made)) == [(3,), (3, 6), (6,), (6, 6)]


def test_a_module_with_broken_weights_is_refused() -> None:
    import torch  # noqa: PLC0415 - heavy

    module = convnet()
    with torch.no_grad():
        module.head.weight[0, 0] = float("nan")

    with pytest.raises(InvalidModel) as caught:
        optimizer.quantize_model(module, pictures(2))

    assert "not finite" in caught.value.what


@pytest.mark.parametrize("data", [[], None, "text"])
def test_a_module_with_unusable_data_is_refused(data: Any) -> None:
    with pytest.raises((InvalidData, UsageError)) as caught:
        optimizer.quantize_model(convnet(), data)

    assert caught.value.hint
