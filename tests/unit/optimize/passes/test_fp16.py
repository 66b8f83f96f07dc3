"""FP16 halves the bytes, keeps what overflows in 32 bits, and runs on any CPU."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from numeric_models import answers, bert, bytes_share, convnet, cosines, images, model_of, sentences
from onnx import TensorProto, helper

from edgewise.errors import InvalidData, InvalidModel
from edgewise.optimize.graphs.activations import observe
from edgewise.optimize.passes.fp16 import convert_fp16, overflowing
from edgewise.runtimes.protocol import Tensors


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    return bert(tmp_path_factory.mktemp("bert"))


def large() -> onnx.ModelProto:
    """Make x a -> Mul by 1000 -> Mul by 1000 -> times 1e-6: the middle overflows 16 bits."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "product"),
        helper.make_node("Mul", ["a", "thousand"], ["b"], "grow"),
        helper.make_node("Mul", ["b", "thousand"], ["c"], "overflow"),
        helper.make_node("Mul", ["c", "small"], ["d"], "shrink"),
        helper.make_node("MatMul", ["d", "w"], ["logits"], "last"),
    ]
    weights = {
        "w": np.eye(4) * 2,
        "thousand": np.asarray(1000.0),
        "small": np.asarray(1e-6),
    }
    return model_of(nodes, {"x": (TensorProto.FLOAT, ["n", 4])}, ["n", 4], weights)


@pytest.mark.parametrize(("make", "samples"), [(convnet, images(6)), (None, sentences(6))])
def test_fp16_is_half_the_bytes_and_next_to_the_float_model(
    text_model: onnx.ModelProto,
    make: Callable[..., onnx.ModelProto] | None,
    samples: list[Tensors],
) -> None:
    model = make(norms=False) if make else text_model

    made = convert_fp16(model, samples)

    found, wanted = answers(made, samples), answers(model, samples)
    assert found.dtype == np.float32
    assert cosines(found, wanted).min() > 0.9999
    assert 0 < np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()
    assert 0.5 < bytes_share(made, model) < 0.6


def test_what_overflows_sixteen_bits_stays_in_float() -> None:
    model = large()
    sample: Tensors = {"x": np.full((1, 4), 1.5, np.float32)}

    made = convert_fp16(model, [sample])

    assert overflowing(model, [sample]) == ("overflow", "shrink")
    # x goes through two doublings, and the rest cancels
    np.testing.assert_allclose(answers(made, [sample]), np.full((1, 4), 6.0), rtol=1e-2)


def test_inputs_outputs_and_shapes_are_as_they_were_and_the_input_model_too(
    text_model: onnx.ModelProto,
) -> None:
    before = text_model.SerializeToString(deterministic=True)

    made, again = (convert_fp16(text_model, sentences(2)) for _ in range(2))

    assert text_model.SerializeToString(deterministic=True) == before
    assert made.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    assert list(made.graph.input) == list(text_model.graph.input)
    assert [o.type for o in made.graph.output] == [o.type for o in text_model.graph.output]


def test_an_output_that_other_nodes_read_is_float_for_the_caller() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["logits"], "first"),
        helper.make_node("Relu", ["logits"], ["positive"], "second"),
        helper.make_node("ReduceSum", ["logits"], ["total"], "third"),
    ]
    model = model_of(nodes, {"x": (TensorProto.FLOAT, ["n", 4])}, ["n", 4], {"w": np.eye(4) * 2})
    for name in ("positive", "total"):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    sample: Tensors = {"x": np.asarray([[1, -2, 3, -4]], np.float32)}

    made = convert_fp16(model, [sample])

    found = next(observe(made, ["logits", "positive", "total"], [sample]))
    assert {name: value.tolist() for name, value in found.items()} == {
        "logits": [[2, -4, 6, -8]],
        "positive": [[2, 0, 6, 0]],
        "total": [[-4]],
    }
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}


def test_padding_weighs_nothing_in_sixteen_bits_too(text_model: onnx.ModelProto) -> None:
    sample = sentences(1)[0]
    padded = {name: np.pad(value, ((0, 0), (0, 9))) for name, value in sample.items()}

    made = convert_fp16(text_model, [sample])

    np.testing.assert_allclose(
        answers(made, [padded]), answers(text_model, [sample]), rtol=0.02, atol=0.02
    )


def test_named_nodes_stay_in_float() -> None:
    model, samples = convnet(norms=False), images(2)

    made = convert_fp16(model, samples, keep_float=["fc"])

    stored = {one.name: one.data_type for one in made.graph.initializer}
    assert stored["fc.w"] == TensorProto.FLOAT
    assert stored["last.w.half"] == TensorProto.FLOAT16
    assert "last.w" not in stored


def test_wrong_use_is_told() -> None:
    relu = [helper.make_node("Relu", ["x"], ["logits"])]
    empty = model_of(relu, {"x": (TensorProto.FLOAT, ["n"])}, ["n"], {})

    branches = convnet()
    inner = helper.make_graph([], "inner", [], [])
    branches.graph.node.append(
        helper.make_node("If", ["logits"], ["never"], "if", then_branch=inner, else_branch=inner)
    )

    with pytest.raises(InvalidModel, match="`If` holds a graph"):
        convert_fp16(branches, images(1))
    with pytest.raises(InvalidModel, match="no operator with stored weights"):
        convert_fp16(empty, [{"x": np.ones(1, np.float32)}])
    with pytest.raises(InvalidData, match="there are none"):
        convert_fp16(convnet(), [])
    with pytest.raises(InvalidModel, match="no node `none`"):
        convert_fp16(convnet(), images(1), keep_float=["none"])
