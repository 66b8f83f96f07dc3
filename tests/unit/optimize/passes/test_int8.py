"""Dynamic and static INT8 stay near the float model, in a quarter of its weights' bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numeric_models import (
    WIDTH,
    answers,
    bert,
    bytes_share,
    convnet,
    cosines,
    images,
    model_of,
    sentences,
)
from onnx import TensorProto, helper, numpy_helper

from edgewise.errors import InvalidData, InvalidModel
from edgewise.optimize.graphs.batch_norm import fold_batch_norms
from edgewise.optimize.graphs.ranges import Calibrator
from edgewise.optimize.passes import int8_dynamic
from edgewise.optimize.passes.int8_static import quantize_static
from edgewise.optimize.passes.plain_sums import keep_sums_apart
from edgewise.optimize.passes.weight_only import quantize_weights
from edgewise.optimize.sources.bert import BertSource
from edgewise.runtimes.protocol import Tensors

GOLDEN = Path(__file__).parents[3] / "golden" / "bert_family"
Pass = Callable[[onnx.ModelProto], onnx.ModelProto]


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    return bert(tmp_path_factory.mktemp("bert"))


def dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    return int8_dynamic.quantize(model, reduce_range=False)


def static(model: onnx.ModelProto) -> onnx.ModelProto:
    return quantize_static(model, sentences(12))


@pytest.mark.parametrize("change", [dynamic, static])
def test_int8_agrees_with_float_on_sentences_of_any_length(
    text_model: onnx.ModelProto, change: Pass
) -> None:
    samples = sentences(30, seed=99)

    found, wanted = answers(change(text_model), samples), answers(text_model, samples)

    assert cosines(found, wanted).mean() > 0.999
    assert np.abs(found - wanted).max() > 1e-4, "nothing was quantized"


@pytest.mark.parametrize("change", [dynamic, static, keep_sums_apart])
def test_a_pass_leaves_its_input_alone_and_gives_the_same_again(
    text_model: onnx.ModelProto, change: Pass
) -> None:
    before = text_model.SerializeToString(deterministic=True)

    first, second = change(text_model), change(text_model)

    assert text_model.SerializeToString(deterministic=True) == before
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize("change", [dynamic, static])
def test_matrices_and_the_word_table_shrink_to_a_quarter(
    text_model: onnx.ModelProto, change: Pass
) -> None:
    made = change(text_model)

    # all but positions, normalizations and biases is a byte a weight; scales and nodes come on top
    assert 0.25 < bytes_share(made, text_model) < 0.33
    left = [
        one.name
        for one in made.graph.initializer
        if one.data_type == TensorProto.FLOAT and np.prod(one.dims) >= WIDTH * WIDTH
    ]
    assert left == ["positions"]


@pytest.mark.parametrize("calibrator", list(Calibrator))
def test_static_int8_of_a_depthwise_net_agrees_with_float(calibrator: Calibrator) -> None:
    model, samples = convnet(), images(20, seed=3)

    made = quantize_static(model, images(12), calibrator=calibrator)

    assert cosines(answers(made, samples), answers(model, samples)).min() > 0.999


def test_static_weights_are_signed_and_activations_unsigned() -> None:
    made = quantize_static(convnet(), images(4))

    stored = {one.name: one for one in made.graph.initializer}
    weights = [node.input[1] for node in made.graph.node if node.op_type in ("Conv", "Gemm")]
    makers = {name: node for node in made.graph.node for name in node.output}
    assert len(weights) == 9
    for name in weights:
        assert stored[makers[name].input[0]].data_type == TensorProto.INT8
    zeros = {stored[n.input[2]].data_type for n in made.graph.node if n.op_type == "QuantizeLinear"}
    assert zeros == {TensorProto.UINT8}


def test_a_convnet_computes_in_integers_from_end_to_end(tmp_path: Path) -> None:
    made = quantize_static(convnet(), images(4))

    kinds = _loaded_kinds(made, tmp_path)

    assert kinds.count("QLinearConv") == 8
    assert kinds.count("QLinearAdd") == 2
    assert not {"Conv", "BatchNormalization", "Clip"} & set(kinds)


def test_a_transformers_softmax_normalization_and_sums_stay_in_float(
    text_model: onnx.ModelProto,
) -> None:
    made = static(text_model)

    makers = {name: node.op_type for node in made.graph.node for name in node.output}
    readers = {"Softmax", "LayerNormalization", "Erf", "Div"}
    reads = {
        makers.get(name)
        for node in made.graph.node
        if node.op_type in readers
        for name in node.input
    }
    assert "DequantizeLinear" not in reads
    quantized = {node.input[0] for node in made.graph.node if node.op_type == "QuantizeLinear"}
    inputs = {node.input[0] for node in text_model.graph.node if _is_product(text_model, node)}
    tables = {
        node.output[0]
        for node in text_model.graph.node
        if node.op_type == "Gather" and node.input[0] in ("words", "types")
    }
    assert quantized == inputs | tables


def test_folding_normalizations_changes_no_answer() -> None:
    model, samples = convnet(), images(5)

    made = fold_batch_norms(model)

    assert not [node for node in made.graph.node if node.op_type == "BatchNormalization"]
    np.testing.assert_allclose(
        answers(made, samples), answers(model, samples), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", ["bn", ""])
def test_a_normalization_is_folded_whose_own_numbers_are_called_as_its_weights(name: str) -> None:
    rng = np.random.default_rng(3)
    reads = ["conv", "bn.weight", "bn.bias", "mean", "variance"]
    weights = {
        "kernel": rng.standard_normal((4, 3, 3, 3)),
        "bn.weight": rng.uniform(0.5, 1.5, 4),
        "bn.bias": rng.standard_normal(4),
        "mean": rng.standard_normal(4),
        "variance": rng.uniform(0.5, 1.5, 4),
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["conv"], "conv"),
        helper.make_node("BatchNormalization", reads, ["bn"], name),
        helper.make_node("GlobalAveragePool", ["bn"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["logits"], "flatten"),
    ]
    takes: dict[str, tuple[int, list[Any]]] = {
        "image": (TensorProto.FLOAT, ["batch", 3, "height", "width"])
    }
    model, samples = model_of(nodes, takes, ["batch", 4], weights), images(3)

    made = fold_batch_norms(model)

    assert not [node for node in made.graph.node if node.op_type == "BatchNormalization"]
    np.testing.assert_allclose(
        answers(made, samples), answers(model, samples), rtol=1e-4, atol=1e-4
    )


def test_sums_kept_apart_change_no_answer_and_load_unfused(
    text_model: onnx.ModelProto, tmp_path: Path
) -> None:
    samples = sentences(5)

    made = keep_sums_apart(text_model)

    np.testing.assert_allclose(
        answers(made, samples), answers(text_model, samples), rtol=1e-4, atol=1e-4
    )
    assert "SkipLayerNormalization" in _loaded_kinds(dynamic(text_model), tmp_path)
    assert "SkipLayerNormalization" not in _loaded_kinds(dynamic(made), tmp_path)
    with pytest.raises(InvalidModel, match="no sum feeds"):
        keep_sums_apart(convnet())


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "mpnet"])
def test_every_family_survives_both(family: str) -> None:
    source = BertSource(GOLDEN / f"{family}_head")
    model = source.classifier(source.layers, None)
    samples = sentences(12, vocabulary=90)
    wanted = answers(model, samples)

    for made in (dynamic(model), quantize_static(model, samples)):
        found = answers(made, samples)
        assert np.isfinite(found).all()
        assert cosines(found, wanted).mean() > 0.99


@pytest.mark.parametrize("change", [dynamic, static])
def test_shapes_stay_dynamic(text_model: onnx.ModelProto, change: Pass) -> None:
    made = change(text_model)

    for before, after in zip(text_model.graph.input, made.graph.input, strict=True):
        assert before == after
    assert text_model.graph.output[0] == made.graph.output[0]
    pair = {name: np.repeat(value, 3, axis=0) for name, value in sentences(1)[0].items()}
    assert answers(made, [pair]).shape[0] == 3


def test_nodes_kept_in_float_keep_their_weights(text_model: onnx.ModelProto) -> None:
    node = next(node for node in text_model.graph.node if "output.dense" in "".join(node.input))
    sums = int8_dynamic.quantize(text_model, reduce_range=False, keep_float=[node.name])
    fixed = quantize_static(text_model, sentences(4), keep_float=[node.name])

    for made in (sums, fixed):
        assert node in list(made.graph.node)
        with pytest.raises(InvalidModel, match="no node `nothing`"):
            quantize_static(text_model, sentences(1), keep_float=["nothing"])
        assert node.input[1] in {one.name for one in made.graph.initializer}


def test_the_word_table_alone_or_nothing_at_all_can_be_quantized(
    text_model: onnx.ModelProto,
) -> None:
    samples = sentences(4)
    names = [node.name for node in text_model.graph.node]
    table = next(node.name for node in text_model.graph.node if "words" in node.input)
    rest = [name for name in names if name != table]
    wanted = answers(text_model, samples)

    for kept, near in ((rest, 0.05), (names, 1e-4)):
        for made in (
            int8_dynamic.quantize(text_model, reduce_range=False, keep_float=kept),
            quantize_static(text_model, samples, keep_float=kept),
            quantize_weights(text_model, bits=8, keep_float=kept),
        ):
            lost = np.abs(answers(made, samples) - wanted).max() / np.abs(wanted).max()
            assert lost < near
            assert (lost > 1e-4) == (kept is rest)


@pytest.mark.parametrize("reduce_range", [False, True])
def test_a_reduced_range_leaves_one_bit_free(
    text_model: onnx.ModelProto, reduce_range: bool
) -> None:
    made = (
        int8_dynamic.quantize(text_model, reduce_range=reduce_range),
        quantize_static(text_model, sentences(4), reduce_range=reduce_range),
    )

    for model in made:
        largest = max(
            int(np.abs(numpy_helper.to_array(one).astype(int)).max())
            for one in model.graph.initializer
            if one.data_type == TensorProto.INT8 and len(one.dims) == 2 and "words" not in one.name
        )
        assert largest == (64 if reduce_range else 127)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_named(text_model: onnx.ModelProto, value: float) -> None:
    broken = onnx.ModelProto()
    broken.CopyFrom(text_model)
    weight = next(one for one in broken.graph.initializer if one.name == "head.weight")
    values = numpy_helper.to_array(weight).copy()
    values[2, 1] = value
    weight.CopyFrom(numpy_helper.from_array(values, "head.weight"))

    for change in (dynamic, static):
        with pytest.raises(InvalidModel, match=r"`head\.weight` has NaN or infinite"):
            change(broken)


def _is_product(model: onnx.ModelProto, node: onnx.NodeProto) -> bool:
    stored = {one.name for one in model.graph.initializer}
    return node.op_type == "MatMul" and node.input[1] in stored


def _replaced(name: str, value: np.ndarray) -> list[Tensors]:
    return [*sentences(2), {**sentences(1)[0], name: value}]


@pytest.mark.parametrize(
    ("samples", "what"),
    [
        ([], "there are none"),
        ([{"input_ids": np.ones((1, 4), np.int64)}], "attention_mask: absent"),
        (_replaced("input_ids", np.ones((1, 4), np.int32)), r"\[2\].input_ids: has type int32"),
        (_replaced("input_ids", np.ones(4, np.int64)), r"shape \(4,\), the model takes \(any, any"),
        (_replaced("input_ids", np.ones((1, 0), np.int64)), r"shape \(1, 0\)"),
        (_replaced("input_ids", np.full((1, 4), 10**6)), "can't take it"),
    ],
)
def test_unusable_samples_say_what_is_wrong(
    text_model: onnx.ModelProto, samples: list[Tensors], what: str
) -> None:
    with pytest.raises(InvalidData, match=what):
        quantize_static(text_model, samples)


def test_images_that_are_not_finite_or_wrong_in_size_are_refused() -> None:
    model = convnet()
    strange = np.full((1, 3, 8, 8), np.nan, np.float32)

    with pytest.raises(InvalidData, match="NaN or infinite"):
        quantize_static(model, [{"image": strange}])
    with pytest.raises(InvalidData, match=r"takes \(any, 3, any, any\)"):
        quantize_static(model, [{"image": np.ones((1, 4, 8, 8), np.float32)}])


def test_a_model_without_products_is_refused() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["logits"])]
    model = model_of(nodes, {"x": (TensorProto.FLOAT, ["n", 2])}, ["n", 2], {})

    for change in (dynamic, lambda m: quantize_static(m, [{"x": np.ones((1, 2), np.float32)}])):
        with pytest.raises(InvalidModel, match="no product or table with a stored weight"):
            change(model)


def test_an_old_opset_is_refused() -> None:
    model = convnet()
    model.opset_import[0].version = 12

    with pytest.raises(InvalidModel, match="opset 12 has no quantization by channel"):
        quantize_static(model, images(1))


def _loaded_kinds(model: onnx.ModelProto, folder: Path) -> list[str]:
    """Name the operators that ONNX Runtime really runs."""
    path = folder / "loaded.onnx"
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(path)
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(path).graph.node]


def test_passes_print_and_log_nothing(
    text_model: onnx.ModelProto,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    dynamic(text_model)
    static(text_model)

    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_gemm_that_is_kept_stays_in_float() -> None:
    rng = np.random.default_rng(2)
    first, last = (rng.normal(size=shape).astype(np.float32) for shape in ((6, 8), (8, 3)))
    nodes = [
        helper.make_node("Gemm", ["x", "first"], ["hidden"], name="first"),
        helper.make_node("Gemm", ["hidden", "last", "bias"], ["y"], name="last"),
    ]
    weights = {"first": first, "last": last, "bias": np.ones(3, np.float32)}
    graph = helper.make_graph(
        nodes,
        "gemms",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    found = int8_dynamic.quantize(model, reduce_range=False, keep_float=["last"])

    held = {one.name: numpy_helper.to_array(one) for one in found.graph.initializer}
    assert np.array_equal(held["last"], last)
    assert "first" not in held
    assert [node.op_type for node in found.graph.node].count("MatMulInteger") == 1
