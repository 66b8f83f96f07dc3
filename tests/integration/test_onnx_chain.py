"""An ONNX encoder through the command line: its cuts are candidates as a directory's are."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tiny_project import SPEC, write_project

from edgewise.cli import main
from edgewise.optimize.sources.bert import BertSource

pytestmark = pytest.mark.integration


@pytest.mark.slow
def test_the_cuts_of_an_onnx_encoder_score_as_those_of_its_directory(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path, SPEC.replace("source: model", "source: encoder.onnx"))
    whole = BertSource(tmp_path / "model").features()
    del whole.graph.output[:-1]
    onnx.save(whole, tmp_path / "encoder.onnx")
    shutil.copy(tmp_path / "model/tokenizer.json", tmp_path)
    shutil.rmtree(tmp_path / "model")

    code = main(["run", str(project), "--out", str(tmp_path / "run"), "--json"])
    found = json.loads(capsys.readouterr().out)
    same = json.loads((finished_run / "run/run.json").read_text())

    assert code == 0
    floats = [one for one in found["candidates"] if "int8-dynamic" not in one["recipe"]]
    assert [one["recipe"] for one in floats] == [["cut:1", "head:logistic"], ["head:logistic"]]
    assert found["quality"]["source"] == pytest.approx(same["quality"]["source"], abs=0.011)
    for one in floats:
        twin = next(other for other in same["candidates"] if other["recipe"] == one["recipe"])
        assert one["fidelity"]["metric"] == pytest.approx(twin["fidelity"]["metric"], abs=0.02)
    sizes = [one["size_bytes"] for one in floats]
    assert sizes[0] < 0.7 * sizes[1]


@pytest.mark.slow
def test_other_weights_beside_the_same_graph_are_another_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path, SPEC.replace("source: model", "source: encoder.onnx"))
    whole = BertSource(tmp_path / "model").features()
    del whole.graph.output[:-1]
    beside: dict[str, Any] = {
        "save_as_external_data": True,
        "location": "encoder.weights",
        "size_threshold": 0,
    }
    onnx.save(whole, tmp_path / "encoder.onnx", **beside)
    shutil.copy(tmp_path / "model/tokenizer.json", tmp_path)
    weights, graph = tmp_path / "encoder.weights", (tmp_path / "encoder.onnx").read_bytes()

    def run() -> dict[str, Any]:
        assert main(["run", str(project), "--out", str(tmp_path / "run"), "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    first = run()
    trained = onnx.load(tmp_path / "encoder.onnx")
    for one in trained.graph.initializer:
        if one.data_type == onnx.TensorProto.FLOAT:
            less = onnx.numpy_helper.to_array(one) * np.float32(0.9)
            one.CopyFrom(onnx.numpy_helper.from_array(less, one.name))
    weights.unlink()
    onnx.save(trained, tmp_path / "encoder.onnx", **beside)
    second = run()

    assert (tmp_path / "encoder.onnx").read_bytes() == graph
    assert first["source"]["size_bytes"] == len(graph) + weights.stat().st_size
    assert "optimize" in second["done"]
    assert second["source"]["sha256"] != first["source"]["sha256"]
    assert second["bundle"]["sha256"] != first["bundle"]["sha256"]
