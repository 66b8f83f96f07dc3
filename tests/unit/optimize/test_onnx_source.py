"""Cuts of ONNX graphs: each gives just what the whole model has at that tensor."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewise.errors import InvalidModel
from edgewise.optimize.sources import open_source
from edgewise.optimize.sources.bert import BertSource
from edgewise.optimize.sources.flow import find_cuts
from edgewise.optimize.sources.onnx_file import OnnxSource
from edgewise.runtimes import find_runtime

GOLDEN = Path(__file__).parents[2] / "golden"
ENCODERS = GOLDEN / "onnx_encoder"
ENCODER_CASES = ("bert_opset14", "bert_dynamo", "bert_head", "vit_head")
LABELS = ("a", "b", "c")


def run(
    model: onnx.ModelProto, folder: Path, values: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    path = folder / "made.onnx"
    onnx.save(model, path)
    session = find_runtime("onnxruntime").load(path)
    return dict(session.run({name: values[name] for name in session.input_names}))


def opened(model: onnx.ModelProto, folder: Path, labels: tuple[str, ...] = ()) -> OnnxSource:
    path = folder / "source.onnx"
    onnx.save(model, path)
    return OnnxSource(path, labels)


def golden(case: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    model = onnx.load(ENCODERS / case / "model.onnx")
    return model, dict(np.load(ENCODERS / case / "expected.npz"))


def renamed(
    model: onnx.ModelProto, tensor: Callable[[str, int], str], node: Callable[[str], str]
) -> onnx.ModelProto:
    """Give the model with other names of inner tensors, weights and nodes."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    keep = {one.name for one in (*graph.input, *graph.output)} | {""}
    names: dict[str, str] = {}

    def of(name: str) -> str:
        return name if name in keep else names.setdefault(name, tensor(name, len(names)))

    for weight in graph.initializer:
        weight.name = of(weight.name)
    for one in graph.node:
        assert not any(attribute.HasField("g") for attribute in one.attribute)
        one.name = node(one.name)
        one.input[:] = [of(name) for name in one.input]
        one.output[:] = [of(name) for name in one.output]
    del graph.value_info[:]
    return model


def nameless(model: onnx.ModelProto) -> onnx.ModelProto:
    return renamed(model, lambda _, number: f"t{number}", lambda _: "")


def fused(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Give the model as ONNX Runtime writes it after its own fusions."""
    before, after = folder / "before.onnx", folder / "after.onnx"
    onnx.save(model, before)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(after)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(before), options, providers=["CPUExecutionProvider"])
    return onnx.load(after)


def test_a_graph_with_fused_norms_is_cut_at_them(tmp_path: Path) -> None:
    model, expected = golden("bert_dynamo")
    made = fused(model, tmp_path)
    assert "SkipLayerNormalization" in {node.op_type for node in made.graph.node}
    source = opened(nameless(made), tmp_path)

    path = tmp_path / "features.onnx"
    onnx.save(source.features(), path)
    session = find_runtime("onnxruntime").load(path)
    taken = {name: expected[name] for name in session.input_names}
    found: dict[str, np.ndarray] = dict(session.run(taken))

    assert source.layers == 3
    for layer in (1, 2, 3):
        reference = expected[f"layer_{layer}"]
        np.testing.assert_allclose(found[f"features_{layer}"], reference, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", ["as exported", "nameless"])
@pytest.mark.parametrize("case", ENCODER_CASES)
def test_features_of_every_cut_equal_the_reference(case: str, form: str, tmp_path: Path) -> None:
    model, expected = golden(case)
    source = opened(nameless(model) if form == "nameless" else model, tmp_path, LABELS)
    assert source.layers == 3

    found = run(source.features(), tmp_path, expected)

    for layer in (1, 2, 3):
        reference = expected[f"layer_{layer}"]
        np.testing.assert_allclose(found[f"features_{layer}"], reference, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", ENCODER_CASES)
def test_a_cut_with_a_head_is_the_head_on_its_features(case: str, tmp_path: Path) -> None:
    model, expected = golden(case)
    source = opened(model, tmp_path, LABELS)
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(4, 16)), rng.normal(size=4)

    for depth in (1, 2):
        made = source.classifier(depth, (weight, bias))
        found = run(made, tmp_path, expected)

        logits = expected[f"layer_{depth}"] @ weight.T + bias
        np.testing.assert_allclose(found["logits"], logits, atol=1e-4)
        assert len(made.graph.node) < len(model.graph.node) * (depth + 1) / 4 + 30
        assert made.ByteSize() < model.ByteSize()


@pytest.mark.parametrize("case", ["bert_head", "vit_head"])
def test_a_classifier_keeps_its_own_head_at_full_depth(case: str, tmp_path: Path) -> None:
    model, expected = golden(case)
    source = opened(model, tmp_path, LABELS)
    assert source.has_head

    found = run(source.classifier(3, None), tmp_path, expected)

    np.testing.assert_allclose(found["output"], expected["output"], atol=1e-5)


def test_a_tensor_of_the_model_may_have_the_name_of_an_output(tmp_path: Path) -> None:
    model, expected = golden("bert_head")
    taken = iter(("logits", "features_1", "features_2"))
    source = opened(
        renamed(model, lambda name, _: next(taken, name), lambda name: name), tmp_path, LABELS
    )
    head = (np.eye(3, 16), np.zeros(3))

    features = run(source.features(), tmp_path, expected)
    logits = run(source.classifier(2, head), tmp_path, expected)["logits"]

    np.testing.assert_allclose(features["features_2"], expected["layer_2"], atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(logits, expected["layer_2"][:, :3], atol=1e-5, rtol=1e-5)


def test_names_that_number_layers_wrongly_are_not_believed(tmp_path: Path) -> None:
    model, expected = golden("bert_opset14")

    def shuffled(name: str) -> str:
        return re.sub(r"layer\.(\d)", lambda m: f"layer.{(int(m[1]) + 1) % 3}", name)

    source = opened(renamed(model, lambda name, _: shuffled(name), shuffled), tmp_path)
    found = run(source.features(), tmp_path, expected)

    assert source.layers == 3
    np.testing.assert_allclose(found["features_1"], expected["layer_1"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", ["bert", "distilbert", "roberta", "mpnet"])
def test_our_own_encoder_written_as_onnx_cuts_as_the_directory_does(
    case: str, tmp_path: Path
) -> None:
    directory = BertSource(GOLDEN / "bert_family" / case)
    expected = dict(np.load(GOLDEN / "bert_family" / case / "expected.npz"))
    ids = expected["input_ids"].astype(np.int64)
    types = expected.get("token_type_ids", np.zeros_like(ids))
    mask = expected["attention_mask"].astype(np.int64)
    values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    whole = directory.features()
    del whole.graph.output[:-1]

    source = opened(whole, tmp_path)
    found = run(source.features(), tmp_path, values)
    reference = run(directory.features(), tmp_path, values)

    assert source.layers == directory.layers
    assert set(found) == set(reference)
    for name, value in found.items():
        np.testing.assert_allclose(value, reference[name], atol=1e-5, rtol=1e-5)


def graph_of(
    nodes: list[onnx.NodeProto],
    takes: list[tuple[str, int, list[str | int]]],
    gives: tuple[str, int, list[str | int]],
    weights: dict[str, np.ndarray],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(*one) for one in takes],
        [helper.make_tensor_value_info(*gives)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def two_layers(*, around: bool) -> onnx.ModelProto:
    """Embed, then twice x + x W; `around`: the embedding is also added at the end."""
    rng = np.random.default_rng(0)
    weights = {
        "words": rng.normal(size=(9, 4)).astype(np.float32),
        "layers.0.weight": rng.normal(size=(4, 4)).astype(np.float32),
        "layers.1.weight": rng.normal(size=(4, 4)).astype(np.float32),
    }
    nodes = [helper.make_node("Gather", ["words", "input_ids"], ["x0"])]
    for layer in (0, 1):
        product = [f"x{layer}", f"layers.{layer}.weight"]
        nodes.append(helper.make_node("MatMul", product, [f"y{layer}"], name=f"layers.{layer}/mul"))
        summed = [f"x{layer}", f"y{layer}"]
        nodes.append(helper.make_node("Add", summed, [f"x{layer + 1}"], name=f"layers.{layer}/add"))
    nodes.append(helper.make_node("Add", ["x2", "x0" if around else "x2"], ["output"]))
    takes: list[tuple[str, int, list[str | int]]] = [
        (name, TensorProto.INT64, ["n", "s"]) for name in ("input_ids", "attention_mask")
    ]
    return graph_of(nodes, takes, ("output", TensorProto.FLOAT, ["n", "s", 4]), weights)


def test_named_layers_that_are_no_transformers_are_cut(tmp_path: Path) -> None:
    model = two_layers(around=False)
    weights = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    values = {"input_ids": np.array([[1, 2, 3]]), "attention_mask": np.array([[1, 1, 0]])}

    source = opened(model, tmp_path)
    found = run(source.features(), tmp_path, values)

    assert source.layers == 2
    x = weights["words"][[1, 2]]
    x = x + x @ weights["layers.0.weight"]
    np.testing.assert_allclose(found["features_1"][0], x.mean(axis=0), atol=1e-6)
    x = 2 * (x + x @ weights["layers.1.weight"])
    np.testing.assert_allclose(found["features_2"][0], x.mean(axis=0), atol=1e-6)


def test_a_path_of_content_around_every_layer_means_no_cut(tmp_path: Path) -> None:
    assert opened(two_layers(around=True), tmp_path).layers == 1


def test_numbers_that_join_behind_the_layers_mean_no_cut() -> None:
    model = two_layers(around=False)
    model.graph.node[-1].input[1] = "numbers"
    number = helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["n", 1, 4])
    mask = helper.make_tensor_value_info("bias_mask", TensorProto.FLOAT, ["n", 1, 4])
    model.graph.input.append(number)
    masked = onnx.ModelProto.FromString(model.SerializeToString())
    masked.graph.input[-1].CopyFrom(mask)
    masked.graph.node[-1].input[1] = "bias_mask"

    assert find_cuts(model.graph, "output").ends == ()
    assert find_cuts(masked.graph, "output").ends == ("x1",)


def test_layers_of_unequal_width_are_not_cut(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["x0"]),
        helper.make_node("MatMul", ["x0", "layers.0.weight"], ["x1"]),
        helper.make_node("MatMul", ["x1", "layers.1.weight"], ["x2"]),
    ]
    widths = {"words": (9, 4), "layers.0.weight": (4, 2), "layers.1.weight": (2, 4)}
    weights = {name: np.ones(shape, np.float32) for name, shape in widths.items()}
    takes: list[tuple[str, int, list[str | int]]] = [("input_ids", TensorProto.INT64, ["n", "s"])]
    model = graph_of(nodes, takes, ("x2", TensorProto.FLOAT, ["n", "s", 4]), weights)
    square = np.ones((4, 4), np.float32)
    alike = {**weights, "layers.0.weight": square, "layers.1.weight": square}

    even = graph_of(nodes, takes, ("x2", TensorProto.FLOAT, ["n", "s", 4]), alike)

    assert opened(model, tmp_path).layers == 1
    assert opened(even, tmp_path).layers == 2


def test_a_model_that_takes_something_unknown_is_used_whole(tmp_path: Path) -> None:
    model = two_layers(around=False)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    model.graph.node[0].CopyFrom(helper.make_node("Gather", ["words", "far"], ["x0"]))
    far = helper.make_node("Mul", ["input_ids", "large"], ["far"])
    nodes = [far, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    # Ids of 1 are far outside the table of 9 words, so the trial run fails.
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(1000), "large"))

    assert opened(model, tmp_path).layers == 1


def test_an_encoder_of_images_is_averaged_over_pixels(tmp_path: Path) -> None:
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1)
    takes: list[tuple[str, int, list[str | int]]] = [("pixels", TensorProto.FLOAT, ["n", 3, 4, 4])]
    nodes = [helper.make_node("Conv", ["pixels", "kernel"], ["maps"])]
    model = graph_of(nodes, takes, ("maps", TensorProto.FLOAT, ["n", 2, 4, 4]), {"kernel": kernel})
    pixels = np.random.default_rng(0).random((2, 3, 4, 4)).astype(np.float32)

    found = run(opened(model, tmp_path).features(), tmp_path, {"pixels": pixels})

    expected = pixels.mean(axis=(2, 3)) @ kernel.reshape(2, 3).T
    np.testing.assert_allclose(found["features_1"], expected, atol=1e-5)


def test_hidden_states_without_a_mask_are_averaged_over_all(tmp_path: Path) -> None:
    model = two_layers(around=True)
    del model.graph.input[1:]
    values = {"input_ids": np.array([[1, 2, 3], [4, 4, 5]])}
    whole = run(model, tmp_path, values)["output"]

    found = run(opened(model, tmp_path).features(), tmp_path, values)

    np.testing.assert_allclose(found["features_1"], whole.mean(axis=1), atol=1e-6)


def test_the_first_float_output_counts(tmp_path: Path) -> None:
    model = two_layers(around=False)
    model.graph.node.append(helper.make_node("Identity", ["input_ids"], ["ids"]))
    output = model.graph.output.pop()
    model.graph.output.append(helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "s"]))
    model.graph.output.append(output)

    assert opened(model, tmp_path).layers == 2


def test_a_classifier_s_logits_are_its_first_output_also_behind_a_label(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["logits"]),
        helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0),
    ]
    weights = {"w": rng.standard_normal((4, 3)).astype(np.float32)}
    takes: list[tuple[str, int, list[str | int]]] = [("x", TensorProto.FLOAT, ["n", 4])]
    model = graph_of(nodes, takes, ("logits", TensorProto.FLOAT, ["n", 3]), weights)
    model.graph.output.insert(0, helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]))
    source = opened(model, tmp_path, ("a", "b", "c"))

    made = source.classifier(source.layers, None)

    assert source.has_head
    assert [one.name for one in made.graph.output] == ["logits"]


def test_a_model_s_inputs_are_what_it_is_asked_with_also_where_weights_come_first(
    tmp_path: Path,
) -> None:
    weights = {"w": np.ones((4, 3), np.float32)}
    takes: list[tuple[str, int, list[str | int]]] = [
        ("w", TensorProto.FLOAT, [4, 3]),
        ("x", TensorProto.FLOAT, ["n", 4]),
    ]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits"])]
    model = graph_of(nodes, takes, ("logits", TensorProto.FLOAT, ["n", 3]), weights)
    model.ir_version = 3  # before the fourth, weights are inputs too

    made = opened(model, tmp_path, ("a", "b", "c")).classifier(1, None)

    assert [one.name for one in made.graph.input] == ["x"]


@pytest.mark.parametrize("shape", [["n", 3], ["n", 2, 3], ["n", 3, 2, 2]])
def test_what_a_model_gives_in_16_bits_becomes_features_in_32(
    tmp_path: Path, shape: list[str | int]
) -> None:
    takes: list[tuple[str, int, list[str | int]]] = [("x", TensorProto.FLOAT, shape)]
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT16)]
    model = graph_of(nodes, takes, ("y", TensorProto.FLOAT16, shape), {})
    value = np.ones([2 if size == "n" else int(size) for size in shape], np.float32)

    found = run(opened(model, tmp_path).features(), tmp_path, {"x": value})

    assert found["features_1"].dtype == np.float32
    np.testing.assert_allclose(found["features_1"], np.ones((2, 3)))


def test_an_output_of_unknown_width_is_refused(tmp_path: Path) -> None:
    model = two_layers(around=False)
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_param = "width"
    path = tmp_path / "model.onnx"
    onnx.save(model, path)

    with pytest.raises(InvalidModel) as caught:
        open_source(path, ())

    assert "width unknown" in caught.value.what
    assert "(n, s, d)" in caught.value.hint
    assert caught.value.where == str(path)
