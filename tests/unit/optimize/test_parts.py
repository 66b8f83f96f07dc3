"""A model in two parts: where it is cut, and that the parts are the whole."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_graphs import Builder

from edgewise.errors import InvalidModel
from edgewise.optimize.parts import WholeModel, made_inputs, worth_trying

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def shrinking() -> onnx.ModelProto:
    """A convnet whose tensors get smaller: 12288 bytes in, 4096, 1024, 16, and 12 out."""
    b = Builder(0)
    x = "image"
    for given, made in ((3, 4), (4, 4)):
        x = b.op("Conv", x, b.draw(made, given, 3, 3), pads=[1] * 4, strides=[2, 2])
        x = b.op("Relu", x)
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    x = b.op("Gemm", x, b.draw(4, 3))
    return model(b, x, [helper.make_tensor_value_info("image", FLOAT, ["n", 3, 32, 32])], [1, 3])


def masked() -> onnx.ModelProto:
    """A model whose mask goes around the cut: x is doubled, rooted, then weighed by the mask."""
    b = Builder(1)
    y = b.op("Sqrt", b.op("ReduceMax", b.op("Abs", "x"), b.constant([1], np.int64), keepdims=1))
    y = b.op("Mul", y, b.op("Cast", "mask", to=FLOAT))
    given = [
        helper.make_tensor_value_info("x", FLOAT, [1, 64]),
        helper.make_tensor_value_info("mask", INT, [1, 4]),
    ]
    return model(b, b.op("Relu", y), given, [1, 4])


def model(
    b: Builder, output: str, given: list[onnx.ValueInfoProto], shape: list[int]
) -> onnx.ModelProto:
    made = helper.make_tensor_value_info(output, FLOAT, shape)
    graph = helper.make_graph(b.nodes, "tiny", given, [made], b.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def saved(folder: Path, made: onnx.ModelProto) -> Path:
    path = folder / "model.onnx"
    onnx.save(made, path)
    return path


def run(part: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import onnxruntime as ort  # noqa: PLC0415 - heavy

    session = ort.InferenceSession(part.SerializeToString())
    names = [one.name for one in session.get_outputs()]
    feed = {one.name: inputs[one.name] for one in session.get_inputs()}
    return dict(zip(names, session.run(names, feed), strict=True))


@pytest.mark.parametrize("make", [shrinking, masked])
def test_head_and_tail_of_each_place_give_what_the_whole_gives(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    whole = WholeModel(saved(tmp_path, make()))
    rng = np.random.default_rng(0)
    inputs = {
        "image": rng.normal(size=(1, 3, 32, 32)).astype(np.float32),
        "x": rng.normal(size=(1, 64)).astype(np.float32),
        "mask": np.asarray([[1, 0, 1, 1]]),
    }
    seen = run(whole.whole(whole.places), inputs)
    expected = run(whole.whole(), inputs)[whole.output]

    assert len(whole.places) >= 3
    for place in whole.places:
        between = run(whole.head(place), inputs)
        assert list(between) == [place]
        tail = whole.tail(place, seen[place])
        found = run(tail, {**inputs, **between})[whole.output]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert not {"image", "x"} & {one.name for one in tail.graph.input}


def test_weights_go_with_the_part_that_reads_them(tmp_path: Path) -> None:
    whole = WholeModel(saved(tmp_path, shrinking()))

    head, tail = whole.head("relu_1"), whole.tail("relu_1", np.zeros((1, 4, 16, 16), np.float32))

    assert [one.name for one in head.graph.initializer] == ["w0"]
    assert [one.name for one in tail.graph.initializer] == ["w1", "w2"]


def test_only_what_sends_less_than_the_input_is_tried_and_the_smallest_of_many() -> None:
    sizes = {"a": 900, "b": 500, "c": 500, "d": 500, "e": 100, "f": 300, "g": 20}

    assert worth_trying(sizes, input_bytes=600, most=9) == ("b", "d", "e", "f", "g")
    assert worth_trying(sizes, input_bytes=600, most=3) == ("e", "f", "g")
    assert worth_trying(sizes, input_bytes=20, most=3) == ()


def test_inputs_are_made_up_where_the_file_says_their_shape(tmp_path: Path) -> None:
    whole = WholeModel(saved(tmp_path, masked()))

    made = made_inputs(whole.inputs, {}, np.random.default_rng(0))

    assert made["x"].shape == (1, 64)
    assert made["x"].dtype == np.float32
    assert made["x"].std() > 0.5
    assert made["mask"].tolist() == [[1, 1, 1, 1]]
    batch = made_inputs(whole.inputs, {"x": (2, 64)}, np.random.default_rng(0))
    assert batch["x"].shape == (2, 64)


@pytest.mark.parametrize(
    ("shapes", "what", "hint"),
    [
        ({"image": (1, 3)}, "`image` is no input of the model", "inputs: x"),
        ({}, "input `x` does not say all of its dimensions: 1,?", "give --shape x=1,…"),
    ],
)
def test_a_shape_that_is_not_known_or_of_no_input_is_refused(
    shapes: dict[str, tuple[int, ...]], what: str, hint: str
) -> None:
    inputs = {"x": helper.make_tensor_value_info("x", FLOAT, ["n", "s"])}

    with pytest.raises(InvalidModel) as caught:
        made_inputs(inputs, shapes, np.random.default_rng(0))

    assert (caught.value.what, caught.value.where) == (what, "--shape")
    assert caught.value.hint == hint


def test_what_is_no_model_or_has_no_float_output_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(InvalidModel) as caught:
        WholeModel(path)
    assert caught.value.what.startswith("not a valid ONNX model: ")
    assert (caught.value.where, caught.value.hint) == (str(path), "export or copy it again")
    b = Builder(0)
    cast = b.op("Cast", "x", to=INT)
    whole_numbers = helper.make_model(
        helper.make_graph(
            b.nodes,
            "ints",
            [helper.make_tensor_value_info("x", FLOAT, [1])],
            [helper.make_tensor_value_info(cast, INT, [1])],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )

    with pytest.raises(InvalidModel) as caught:
        WholeModel(saved(tmp_path, whole_numbers))

    assert caught.value.what == "it has no float output"
    assert caught.value.where == str(path)
    assert "float tensor" in caught.value.hint
