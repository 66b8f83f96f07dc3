"""A learned network on every runtime that is installed: the race decides what the manifest says."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import edgewise
from image_network import EXAMPLES, PIXELS, source_answers, write_digits

from edgewise.records import Comparison, read_json
from edgewise.runtimes import open_bundle, read_manifest

pytestmark = [pytest.mark.heavy, pytest.mark.integration, pytest.mark.timeout(600)]

# On a CPU with VNNI the 8-bit form of this network took 0.90 ms on OpenVINO and 1.19 ms on ONNX
# Runtime; on images of 8 x 8 ONNX Runtime is five times as fast.
SIDE, IMAGES = 128, 200


def race_of(folder: Path) -> Comparison:
    (path,) = (folder / ".edgewise").glob("race-*.json")
    return read_json(Comparison, path)


def winner_of(race: Comparison, kept: set[str]) -> str:
    """Give the fastest lane that is surely faster than the first and passed the gate."""
    surely = sorted((one.ratio, one.runtime) for one in race.contenders if one.ratio_high < 1.0)
    return next((name for _, name in surely if name in kept), race.contenders[0].runtime)


def test_the_manifest_names_the_runtime_that_won_the_race(tmp_path: Path) -> None:
    pixels, _ = write_digits(tmp_path, side=SIDE, most=IMAGES)
    order = ("optimize", "convnet.onnx", "--data", "data/train.csv", "--out", "best", *PIXELS)

    ended = edgewise(*order, "--passes", "int8-static", "--json", folder=tmp_path)

    assert ended.code == 0, ended
    found = json.loads(ended.out)
    race = race_of(tmp_path)
    assert {"onnxruntime", "openvino"} <= {lane.runtime for lane in race.contenders}
    won = winner_of(race, {one["runtime"] for one in found["candidates"] if one["kept"]})
    manifest = read_manifest(tmp_path / "best/bundle")
    assert (manifest.runtime, found["chosen"]["runtime"]) == (won, won)
    assert manifest.fidelity is not None
    model = open_bundle(tmp_path / "best/bundle")
    answers = [int(model.predict({"image": one}).label) for one in pixels[:100]]
    model.close()
    expected = source_answers(tmp_path / "convnet.onnx", pixels[:100])
    assert np.mean(answers == expected) >= 0.97


def test_a_runtime_that_takes_no_onnx_is_named_with_the_reason(tmp_path: Path) -> None:
    write_digits(tmp_path)
    order = ("optimize", "convnet.onnx", "--data", "data/train.csv", "--out", "best", *PIXELS)

    ended = edgewise(*order, "--passes", "int8-static", "--json", folder=tmp_path)

    (skipped,) = json.loads(ended.out)["skipped_runtimes"]
    assert skipped["runtime"] == "litert"
    assert ".onnx" in skipped["why"]
    assert skipped["command"] == ""
    assert "is skipped" not in ended.err


def test_a_run_takes_the_runtime_that_won_too(tmp_path: Path) -> None:
    write_digits(tmp_path, side=SIDE, most=IMAGES)
    spec = (EXAMPLES / "digits/edgewise.yaml").read_text("utf-8")
    spec = spec.replace("models/digits.onnx", "convnet.onnx").replace("storage: 1MiB", "threads: 1")
    spec = spec.replace("height: 8, width: 8", f"height: {SIDE}, width: {SIDE}")
    spec = (
        spec.replace("threads: 1, threads: 1", "threads: 1") + "optimize: {recipes: [int8-static]}"
    )
    (tmp_path / "edgewise.yaml").write_text(spec, encoding="utf-8")

    ended = edgewise("run", "edgewise.yaml", "--out", "run", "--json", folder=tmp_path)
    checked = edgewise("verify", "run", folder=tmp_path)
    answered = edgewise("predict", "run", "--file", "data/test/0000.png", folder=tmp_path)

    assert ended.code in (0, 3), ended  # 200 rows may be too few for the promise
    found = json.loads(ended.out)
    won = winner_of(
        race_of(tmp_path), {one["runtime"] for one in found["candidates"] if one["kept"]}
    )
    manifest = read_manifest(tmp_path / "run/bundle")
    assert (manifest.runtime, found["bundle"]["runtime"]) == (won, won)
    profile = json.loads((tmp_path / "run/profile.json").read_text("utf-8"))
    assert profile["target"]["runtime"] == won
    assert checked.code == 0, checked
    assert answered.code == 0, answered
