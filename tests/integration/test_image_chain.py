"""Image classification from PNG files to a verified run: the example, and other networks."""

import csv
import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from edgewise.cli import main

pytestmark = pytest.mark.integration
EXAMPLE = Path(__file__).parents[2] / "examples" / "digits"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits_example", EXAMPLE / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def digits(example: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the example as its reader makes it."""
    folder = tmp_path_factory.mktemp("digits")
    shutil.copy(EXAMPLE / "edgewise.yaml", folder)
    example.prepare(folder)
    return folder


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_example_runs_predicts_and_verifies(
    digits: Path, example: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = example.split()
    reference = example.train(*parts["source"])
    pixels, truth = parts["test"]
    score = reference.score(example.flat(pixels), truth)

    code, found = run_json(
        capsys, "run", str(digits / "edgewise.yaml"), "--out", str(digits / "run")
    )
    _, again = run_json(capsys, "run", str(digits / "edgewise.yaml"), "--out", str(digits / "run"))
    answered, answer = run_json(
        capsys, "predict", str(digits / "run"), "--file", str(digits / "data/test/0003.png")
    )
    checked, checks = run_json(capsys, "verify", str(digits / "run"))

    assert (code, answered, checked) == (0, 0, 0)
    quality, certificate = found["quality"], found["certificate"]
    assert score > 0.95
    assert quality["n"] == 297
    assert quality["source"] == pytest.approx(score, abs=1e-9)
    assert abs(quality["edge"] - score) <= 0.01
    assert certificate["state"] == "certified"
    assert quality["cloud"] - quality["hybrid"] <= 0.04
    assert 0.0 < certificate["deferral_rate"] < 0.3
    assert found["profile"]["p95_ms"] < 200
    assert again["done"] == []
    assert answer["label"] == str(reference.predict(example.flat(pixels[3:4]))[0])
    kept = answer["confidence"] >= certificate["threshold"]
    assert answer["location"] == ("edge" if kept else "edge_fallback")
    assert checks["holds"]


def test_an_image_file_that_is_none_is_named(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("data", "models"):
        shutil.copytree(digits / name, tmp_path / name)
    shutil.copy(EXAMPLE / "edgewise.yaml", tmp_path)
    broken = tmp_path / "data/calibration/0007.png"
    broken.write_bytes(broken.read_bytes()[:30])

    assert main(["run", str(tmp_path / "edgewise.yaml"), "--out", str(tmp_path / "run")]) == 1

    said = capsys.readouterr().err
    assert "0007.png" in said
    assert "not an image" in said
    assert "PNG or JPEG" in said


class Convolutions:
    """Eight random kernels of 3 x 3 behind a ReLU and a maximum over 2 x 2; ten labels or none."""

    def __init__(self, example: ModuleType) -> None:
        drawn = np.random.default_rng(1).normal(size=(8, 1, 3, 3))
        self.kernel = (drawn - drawn.mean(axis=(2, 3), keepdims=True)).astype(np.float32)
        self.parts = example.split()
        self.flat = example.flat

    def features(self, part: str) -> np.ndarray:
        """Work out in numpy what the network gives behind the maximum, as rows of 128."""
        pixels = self.flat(self.parts[part][0]).reshape(-1, 8, 8)
        padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        maps = np.maximum(np.einsum("nijab,kab->nkij", windows, self.kernel[:, 0]), 0)
        pooled: np.ndarray = maps.reshape(-1, 8, 4, 2, 4, 2).max(axis=(3, 5))
        return pooled.reshape(-1, 128)

    def labels(self, part: str) -> np.ndarray:
        found: np.ndarray = self.parts[part][1]
        return found

    def head(self, part: str) -> LogisticRegression:
        return LogisticRegression(max_iter=500).fit(self.features(part), self.labels(part))

    def onnx(self, head: LogisticRegression | None, batch: str | int = "batch") -> onnx.ModelProto:
        weights = {"kernel": self.kernel}
        nodes = [
            helper.make_node("Conv", ["image", "kernel"], ["maps"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["maps"], ["active"]),
            helper.make_node(
                "MaxPool", ["active"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]
            ),
        ]
        nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
        output, shape = "flat", [batch, 128]
        if head is not None:
            nodes.append(helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"]))
            weights["weight"] = head.coef_.T.astype(np.float32)
            weights["bias"] = head.intercept_.astype(np.float32)
            output, shape = "logits", [batch, 10]
        return image_model(nodes, weights, output, shape, batch)


def image_model(
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    output: str,
    shape: list[str | int],
    batch: str | int = "batch",
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 1, 8, 8])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run_network(
    network: onnx.ModelProto, digits: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run the example's project with another network; the data stay where they are."""
    (folder / "models").mkdir()
    onnx.save(network, folder / "models/digits.onnx")
    spec = (EXAMPLE / "edgewise.yaml").read_text().replace("data/", f"{digits}/data/")
    (folder / "edgewise.yaml").write_text(
        spec.replace("max_quality_loss: 0.02", "max_quality_loss: 0.05")
    )
    code, found = run_json(
        capsys, "run", str(folder / "edgewise.yaml"), "--out", str(folder / "run")
    )
    assert code in (0, 3)
    assert main(["verify", str(folder / "run"), "--json"]) == 0
    capsys.readouterr()
    return found


@pytest.mark.slow
def test_a_convolutional_classifier_scores_as_numpy_does(
    digits: Path, example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Convolutions(example)
    head = made.head("source")
    score = head.score(made.features("test"), made.labels("test"))

    found = run_network(made.onnx(head), digits, tmp_path, capsys)

    assert found["quality"]["source"] == pytest.approx(score, abs=1e-9)
    assert abs(found["quality"]["edge"] - score) <= 0.02
    recipes = [one["recipe"] for one in found["candidates"]]
    assert recipes == [["float32"], ["int8-static"], ["int8-dynamic"]]


@pytest.mark.slow
def test_an_encoder_of_one_image_at_a_time_gets_a_head(
    digits: Path, example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Convolutions(example)
    score = made.head("train").score(made.features("test"), made.labels("test"))

    found = run_network(made.onnx(None, batch=1), digits, tmp_path, capsys)

    assert found["candidates"][0]["recipe"] == ["head:logistic"]
    # The head of the chain sees four fifths of train, and has a stronger penalty to choose from.
    assert score - 0.06 <= found["quality"]["source"] <= score + 0.02


def test_a_form_that_cannot_be_made_is_a_candidate_that_is_out(
    digits: Path, example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Convolutions(example)
    raw = LogisticRegression(max_iter=500).fit(
        made.flat(made.parts["source"][0]), made.labels("source")
    )
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("MatMul", ["half", "weight"], ["product"], name="first"),
        helper.make_node("Cast", ["product"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["whole", "same"], ["logits"], name="last"),
    ]
    weights: dict[str, np.ndarray] = {
        "weight": np.asarray(raw.coef_.T, np.float16),
        "same": np.eye(10, dtype=np.float32),
    }
    network = image_model(nodes, weights, "logits", ["batch", 10])

    found = run_network(network, digits, tmp_path, capsys)

    by_recipe = {one["recipe"][-1]: one for one in found["candidates"]}
    assert by_recipe["float32"]["kept"]
    assert not by_recipe["int8-dynamic"]["kept"]
    assert "stored weight to quantize" in by_recipe["int8-dynamic"]["why"][0]
    assert found["bundle"]["recipe"] != ["int8-dynamic"]


def test_the_splits_of_the_example_share_no_image(digits: Path) -> None:
    seen: set[bytes] = set()
    for name in ("train", "calibration", "test"):
        with (digits / f"data/{name}.csv").open(encoding="utf-8", newline="") as file:
            images = {(digits / "data" / row["image"]).read_bytes() for row in csv.DictReader(file)}
        assert not images & seen
        seen |= images
