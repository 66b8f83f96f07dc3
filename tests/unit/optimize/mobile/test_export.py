"""What needs ONNX Runtime alone. Torch sources are in `test_torch_export.py`."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgewise.errors import EdgewiseError, InvalidData, InvalidModel, StorageError, UsageError
from edgewise.optimize.mobile import Bounds, MobileFormat, export_mobile
from edgewise.runtimes import find_runtime
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

ORT = (MobileFormat.ORT,)


def words(*ids: int) -> dict[str, np.ndarray]:
    row = np.array([ids], np.int64)
    return {
        "input_ids": row,
        "attention_mask": np.ones_like(row),
        "token_type_ids": np.zeros_like(row),
    }


EXAMPLES = [words(2, 4, 3), words(2, 6, 7, 4, 3), words(2, 3)]


def refusal(call: Callable[[], object], kind: type[EdgewiseError]) -> EdgewiseError:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.where
    assert caught.value.hint
    return caught.value


def constant(value: float) -> onnx.ModelProto:
    """Give a model that divides its input by 0 and multiplies by the value."""
    nodes = [helper.make_node("Div", ["x", "zero"], ["y"])]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy")
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [value])
    graph = helper.make_graph(nodes, "divide", [x], [y], [zero])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_bundle_becomes_an_ort_file_that_answers_the_same_at_any_length(tmp_path: Path) -> None:
    bundle, out = tiny_text_bundle(tmp_path / "bundle"), tmp_path / "mobile"

    (made,) = export_mobile(bundle, EXAMPLES, out, formats=ORT)

    path = out / "model.ort"
    assert (made.format, made.made, made.why) == (MobileFormat.ORT, True, "")
    assert made.path == str(path)
    assert made.size_bytes == path.stat().st_size
    assert made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (made.max_abs_error, made.agreement) == (0.0, 1.0)
    assert made.cosine == pytest.approx(1.0)
    session = find_runtime("onnxruntime").load(path)
    # `good great bad` and eight words that count for nothing
    found = session.run(words(2, 4, 5, 6, *[1] * 8, 3))["logits"]
    assert found.tolist() == [[1.0, 2.0]]


def test_a_file_and_a_model_in_memory_give_what_the_bundle_gives(tmp_path: Path) -> None:
    path = tiny_text_bundle(tmp_path / "bundle") / "model.onnx"

    of_file = export_mobile(path, EXAMPLES, tmp_path / "a", formats=ORT)
    of_model = export_mobile(onnx.load(path), EXAMPLES, tmp_path / "b", formats=ORT)

    a, b = (find_runtime("onnxruntime").load(tmp_path / at / "model.ort") for at in "ab")
    assert of_file[0].made
    assert of_model[0].made
    for example in EXAMPLES:
        assert a.run(example)["logits"].tolist() == b.run(example)["logits"].tolist()


def test_the_source_and_the_examples_are_left_as_they_were(tmp_path: Path) -> None:
    model = onnx.load(tiny_text_bundle(tmp_path / "bundle") / "model.onnx")
    before, ids = model.SerializeToString(), EXAMPLES[0]["input_ids"].copy()

    export_mobile(model, EXAMPLES, tmp_path / "out", formats=ORT)

    assert model.SerializeToString() == before
    assert EXAMPLES[0]["input_ids"].tolist() == ids.tolist()


def test_nothing_but_what_was_made_is_left_in_the_directory(tmp_path: Path) -> None:
    bundle, out = tiny_image_bundle(tmp_path / "bundle"), tmp_path / "out"

    found = export_mobile(bundle, [{"image": np.ones((1, 3, 4, 4), np.float32)}], out)

    assert [one.format for one in found] == list(MobileFormat)
    assert [path.name for path in out.iterdir()] == ["model.ort"]


def test_a_format_whose_toolkit_is_absent_says_what_to_install(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")

    _, *others = export_mobile(bundle, EXAMPLES, tmp_path / "out")

    for one in others:
        assert (one.made, one.path, one.sha256, one.size_bytes) == (False, None, "", 0)
        assert one.why == '`torch` is not installed: pip install "edgewise[mobile]"'


def test_a_failed_comparison_is_not_made_and_takes_an_older_file_away(tmp_path: Path) -> None:
    bundle, out = tiny_text_bundle(tmp_path / "bundle"), tmp_path / "out"
    export_mobile(bundle, EXAMPLES, out, formats=ORT)
    never = Bounds(min_cosine=1.1, max_relative_error=0.0, min_agreement=1.0)

    (made,) = export_mobile(bundle, EXAMPLES, out, formats=ORT, float_bounds=never)

    assert not made.made
    assert made.why == "cosine 1.00000, and 1.1 is asked"
    assert made.max_abs_error == 0.0
    assert list(out.iterdir()) == []


def test_a_source_with_numbers_that_are_not_finite_is_refused(tmp_path: Path) -> None:
    example = {"x": np.ones((1, 2), np.float32)}

    found = refusal(lambda: export_mobile(constant(0.0), [example], tmp_path), InvalidModel)

    assert found.what == "it gives numbers that are not finite on example 0"
    assert list(tmp_path.iterdir()) == []


def test_no_example_is_refused(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")

    found = refusal(lambda: export_mobile(bundle, [], tmp_path / "out"), InvalidData)

    assert found.what == "no example inputs"


def test_examples_of_different_inputs_are_refused(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    other = {"input_ids": EXAMPLES[0]["input_ids"]}

    found = refusal(
        lambda: export_mobile(bundle, [EXAMPLES[0], other], tmp_path / "out"), InvalidData
    )

    assert found.where == "examples[1]"


def test_examples_of_different_rank_are_refused(tmp_path: Path) -> None:
    bundle = tiny_image_bundle(tmp_path / "bundle")
    flat, whole = ({"image": np.ones(s, np.float32)} for s in ((3, 4, 4), (1, 3, 4, 4)))

    found = refusal(lambda: export_mobile(bundle, [whole, flat], tmp_path / "out"), InvalidData)

    assert found.what == "`image` has another number of axes from example to example"


def test_an_example_that_the_source_can_not_take_is_refused(tmp_path: Path) -> None:
    bundle = tiny_image_bundle(tmp_path / "bundle")
    example = {"image": np.ones((1, 3, 9, 9), np.float32)}

    refusal(lambda: export_mobile(bundle, [example], tmp_path / "out"), InvalidData)


def test_what_is_no_model_is_wrong_usage(tmp_path: Path) -> None:
    def call() -> object:
        return export_mobile("a string", EXAMPLES, tmp_path)

    assert refusal(call, UsageError).what == "a str can't be exported"


def test_another_files_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"")

    found = refusal(lambda: export_mobile(path, EXAMPLES, tmp_path / "out"), InvalidModel)

    assert found.what == "no ONNX model: model.pt"


def test_a_directory_that_can_not_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    refusal(lambda: export_mobile(tmp_path, EXAMPLES, tmp_path / "file" / "out"), StorageError)


def test_an_artifact_is_a_frozen_record(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    (made,) = export_mobile(bundle, EXAMPLES, tmp_path / "out", formats=ORT)

    with pytest.raises(dataclasses.FrozenInstanceError):
        made.made = False  # type: ignore[misc]
