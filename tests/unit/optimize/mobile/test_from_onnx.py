"""ONNX models as torch modules: the same answers, whatever the passes made of the graph."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgewise.errors import InvalidModel
from edgewise.optimize.mobile import MobileFormat, export_mobile
from edgewise.optimize.passes import int8_dynamic
from edgewise.optimize.passes.prune_ffn import prune_ffn
from edgewise.optimize.sources.bert import BertSource
from edgewise.runtimes import find_runtime

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore"),  # converters warn of their own affairs
    pytest.mark.timeout(600),
]

GOLDEN = Path(__file__).parents[3] / "golden/bert_family"
Inputs = dict[str, NDArray[Any]]


def answers(model: onnx.ModelProto, inputs: Inputs, folder: Path) -> list[NDArray[Any]]:
    path = folder / "model.onnx"
    onnx.save(model, path)
    session = find_runtime("onnxruntime").load(path)
    try:
        return list(session.run(inputs).values())
    finally:
        session.close()


def module_answers(model: onnx.ModelProto, inputs: Inputs) -> list[NDArray[Any]]:
    import torch  # noqa: PLC0415 - heavy

    from edgewise.optimize.mobile.from_onnx import module_of  # noqa: PLC0415 - heavy

    with torch.no_grad():
        found = module_of(model)(**{k: torch.from_numpy(v) for k, v in inputs.items()})
    return [one.numpy() for one in (found if isinstance(found, tuple) else (found,))]


def sentence(length: int, masked: int) -> Inputs:
    ids = np.random.default_rng(length).integers(3, 40, (1, length))
    mask = np.ones_like(ids)
    mask[:, length - masked :] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "mpnet"])
@pytest.mark.parametrize(("length", "masked"), [(5, 0), (11, 4)])
def test_an_encoder_answers_as_its_graph_does(
    family: str, length: int, masked: int, tmp_path: Path
) -> None:
    model = BertSource(GOLDEN / family).features()
    taken = {one.name for one in model.graph.input}
    inputs = {k: v for k, v in sentence(length, masked).items() if k in taken}
    ours, expected = module_answers(model, inputs), answers(model, inputs, tmp_path)
    assert len(ours) == len(expected) > 1
    for found, wanted in zip(ours, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_a_pruned_encoder_stays_pruned(tmp_path: Path) -> None:
    model = BertSource(GOLDEN / "bert").features()
    pruned = prune_ffn(model, 0.5, [sentence(8, 0)])
    inputs = sentence(8, 2)
    ours, expected = module_answers(pruned, inputs), answers(pruned, inputs, tmp_path)
    np.testing.assert_allclose(ours[-1], expected[-1], atol=2e-5)
    assert np.abs(ours[-1] - answers(model, inputs, tmp_path)[-1]).max() > 1e-4


def convolutions() -> onnx.ModelProto:
    """Uneven padding, groups, a norm, ReLU6, pooling, and a turned linear head."""
    rng = np.random.default_rng(7)
    shapes = {"w1": (8, 3, 3, 3), "w2": (8, 1, 3, 3), "w3": (4, 8), "b3": (4,)}
    weights = {k: rng.normal(0, 0.4, v).astype(np.float32) for k, v in shapes.items()}
    weights |= {k: rng.uniform(0.5, 1.5, 8).astype(np.float32) for k in ("s", "b", "m", "v")}
    weights |= {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], strides=[2, 2], pads=[0, 0, 1, 1]),
        helper.make_node("BatchNormalization", ["c1", "s", "b", "m", "v"], ["n1"]),
        helper.make_node("Clip", ["n1", "low", "high"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], pads=[1, 1, 1, 1], group=8),
        helper.make_node("Add", ["c2", "r1"], ["a"]),
        helper.make_node("MaxPool", ["a"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["p"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def test_a_convolution_net_answers_as_its_graph_does(tmp_path: Path) -> None:
    x = {"x": np.random.default_rng(1).normal(0, 1, (1, 3, 16, 16)).astype(np.float32)}
    (ours,) = module_answers(convolutions(), x)
    (expected,) = answers(convolutions(), x, tmp_path)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_a_convolution_net_written_as_onnx_again_takes_any_batch(tmp_path: Path) -> None:
    from edgewise.optimize.mobile.from_onnx import module_of  # noqa: PLC0415 - heavy
    from edgewise.optimize.sources.torch_module import export_module  # noqa: PLC0415 - heavy

    images = np.random.default_rng(2).normal(0, 1, (3, 3, 16, 16)).astype(np.float32)
    again = export_module(module_of(convolutions()), {"x": images[:1]})
    (found,) = answers(again, {"x": images}, tmp_path)
    expected = [answers(convolutions(), {"x": one[None]}, tmp_path)[0] for one in images]
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-5)


def test_rows_of_a_table_by_stored_numbers_keep_their_shape(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    weights = {
        "table": rng.normal(size=(4, 3)).astype(np.float32),
        "rows": np.array([[0, -1, 2], [1, 1, 3]]),
        "picked": np.array([[2, 0, 1], [0, 0, 2]]),
        "last": np.array([2]),
    }
    nodes = [
        helper.make_node("Gather", ["table", "rows"], ["found"]),
        helper.make_node("Unsqueeze", ["x", "last"], ["lifted_x"]),
        helper.make_node("Add", ["found", "lifted_x"], ["sum"]),
        helper.make_node("GatherElements", ["x", "picked"], ["elements"], axis=1),
        helper.make_node("GreaterOrEqual", ["elements", "x2"], ["above"]),
        helper.make_node("Where", ["above", "x2", "elements"], ["least"]),
        helper.make_node("Unsqueeze", ["least", "last"], ["lifted"]),
        helper.make_node("Add", ["sum", "lifted"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "rows",
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [2, 3]) for x in ("x", "x2")],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3, 3])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    inputs = {x: rng.normal(size=(2, 3)).astype(np.float32) for x in ("x", "x2")}

    (ours,), (expected,) = module_answers(model, inputs), answers(model, inputs, tmp_path)

    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_an_operator_without_a_torch_form_is_named() -> None:
    from edgewise.optimize.mobile.from_onnx import module_of  # noqa: PLC0415 - heavy

    graph = helper.make_graph(
        [helper.make_node("Det", ["x"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    with pytest.raises(InvalidModel, match="Det can't become a torch operator"):
        module_of(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def test_a_convolution_net_in_onnx_becomes_every_mobile_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    examples = [{"x": rng.normal(0, 1, (1, 3, 16, 16)).astype(np.float32)} for _ in range(3)]
    onnx.save(convolutions(), tmp_path / "net.onnx")

    found = export_mobile(tmp_path / "net.onnx", examples, tmp_path / "out")

    assert [(one.format, one.made, one.why) for one in found] == [
        (one, True, "") for one in MobileFormat
    ]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("model.ort", "model.tflite", "model-int8.tflite", "model.pte")
    }
    assert all(one.agreement == 1.0 for one in found)


def test_an_encoder_in_onnx_becomes_a_tflite_file_for_the_lengths_of_its_examples(
    tmp_path: Path,
) -> None:
    source = BertSource(GOLDEN / "bert_head")
    model = source.classifier(source.layers, None)
    taken = {one.name for one in model.graph.input}
    examples = [{k: v for k, v in sentence(length, 0).items() if k in taken} for length in (5, 9)]

    tflite, pte = export_mobile(
        model, examples, tmp_path, formats=(MobileFormat.TFLITE, MobileFormat.PTE)
    )
    (fixed,) = export_mobile(model, examples[:1], tmp_path / "one", formats=(MobileFormat.PTE,))

    assert tflite.made, tflite.why
    assert not pte.made
    assert pte.why.startswith("sizes of an ONNX graph can't stay open in it")
    assert fixed.made, fixed.why


def test_an_int8_graph_is_not_made_and_its_operators_are_named(tmp_path: Path) -> None:
    model = int8_dynamic.quantize(convolutions(), reduce_range=True)
    x = {"x": np.random.default_rng(1).normal(0, 1, (1, 3, 16, 16)).astype(np.float32)}

    (found,) = export_mobile(model, [x], tmp_path, formats=(MobileFormat.TFLITE,))

    assert not found.made
    assert "ConvInteger" in found.why
    assert "can't become a torch operator" in found.why
    assert list(tmp_path.iterdir()) == []
