"""What is built of a model is built again where anything changed that the model is read from."""

import importlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewise.pipeline.sourcing import hash_source
from edgewise.records import ModelSpec


def write_onnx(path: Path, weight: float) -> None:
    """Write a model whose weights lie in a file of their own, as large ones' do."""
    matrix = numpy_helper.from_array(np.full((4, 2), weight, np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [matrix],
    )
    path.with_name("weights.bin").unlink(missing_ok=True)
    onnx.save(
        helper.make_model(graph),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )


def test_weights_beside_an_onnx_file_are_a_part_of_it(tmp_path: Path) -> None:
    model = ModelSpec(source=tmp_path / "model.onnx")
    write_onnx(model.source, 1.0)
    graph, one = model.source.read_bytes(), hash_source(model)
    again = hash_source(model)

    write_onnx(model.source, 2.0)

    assert again == one
    assert model.source.read_bytes() == graph
    assert hash_source(model) != one


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt"])
def test_the_tokenizer_beside_a_file_is_a_part_of_it(tmp_path: Path, name: str) -> None:
    model = ModelSpec(source=tmp_path / "model.onnx")
    model.source.write_bytes(b"no model")
    found = [hash_source(model)]

    for text in ("one", "other"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        found.append(hash_source(model))

    assert len(set(found)) == 3


def test_a_tokenizer_that_is_named_is_a_part_of_it(tmp_path: Path) -> None:
    model = ModelSpec(source=tmp_path / "model.pt", tokenizer=tmp_path / "words.json")
    model.source.write_bytes(b"no model")
    found = []

    for text in ("one", "other"):
        (tmp_path / "words.json").write_text(text, encoding="utf-8")
        found.append(hash_source(model))

    assert len(set(found)) == 2


def test_the_module_of_a_factory_is_a_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    model = ModelSpec(source=tmp_path / "own_model_of_a_test:make")
    found = [hash_source(model)]

    for text in ("WIDTH = 1", "WIDTH = 22"):
        (tmp_path / "own_model_of_a_test.py").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        found.append(hash_source(model))

    assert len(set(found)) == 3
    assert hash_source(ModelSpec(source=tmp_path / "absent.package:make")) == found[0]
