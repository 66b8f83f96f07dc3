"""`edgewise cuts`: from an ONNX file to a placement that may split it."""

import json
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from tiny_graphs import Builder

from edgewise.cli import main
from edgewise.plan import check_placement, place
from edgewise.plan.placement.cutting import with_cuts
from edgewise.records import CutProfile, read_json, write_json
from edgewise.spec import load_placement

pytestmark = pytest.mark.integration

GUIDE = Path(__file__).parents[2] / "docs/guides/placement.md"


def write_scanner(path: Path, *, growing: bool = False, noisy: bool = False) -> Path:
    """Write a convnet: 12288 bytes of image go in, 4096 and 1024 are between, or far more."""
    b = Builder(0)
    x, wide = "image", 64 if growing else 4
    for given in (3, wide):
        x = b.op("Conv", x, b.draw(wide, given, 3, 3), pads=[1] * 4, strides=[2, 2])
        x = b.op("Relu", x)
    x = b.op("Conv", x, b.draw(3, wide, 8, 8))
    if noisy:
        x = b.op("Add", x, b.op("RandomNormal", shape=[1, 3, 1, 1], scale=1e6))
    graph = helper.make_graph(
        b.nodes,
        "scanner",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["n", 3, "a", "b"])],
        b.weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(made, path)
    return path


def test_cuts_of_a_file_are_measured_and_become_ways_of_a_placement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, cuts = write_scanner(tmp_path / "scanner.onnx"), tmp_path / "cuts.phone.json"
    order = ["cuts", str(model), "--shape", "image=1,3,32,32", "--rounds", "8"]

    assert main([*order, "--out", str(cuts), "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["input_bytes"] == 12288
    # Of two neighbours that send the same, both stay; the output itself is no cut.
    assert [one["sent_bytes"] for one in found["points"]] == [4096, 4096, 1024, 1024]
    assert all(one["head_ms"] > 0 and one["tail_ms"] > 0 for one in found["points"])
    measured = read_json(CutProfile, cuts)
    (tmp_path / "placement.yaml").write_text(PLACEMENT, encoding="utf-8")
    problem = with_cuts(load_placement(tmp_path / "placement.yaml"))
    sent = {one.near: one.sent_bytes for one in problem.handovers}
    assert set(sent.values()) <= {one.sent_bytes for one in measured.points}


def test_a_cut_pays_where_sending_the_tensor_saves_more_than_its_head_costs(
    tmp_path: Path,
) -> None:
    main(
        [
            *("cuts", str(write_scanner(tmp_path / "scanner.onnx"))),
            *("--shape", "image=1,3,32,32", "--rounds", "4"),
            *("--out", str(tmp_path / "cuts.phone.json")),
        ]
    )
    measured = read_json(CutProfile, tmp_path / "cuts.phone.json")
    # Times of a phone that takes 400 ms, of which 5 are in each head; the tensors stay as they are.
    points = [replace(one, head_ms=5.0, tail_ms=395.0) for one in measured.points]
    write_json(
        tmp_path / "cuts.phone.json", replace(measured, whole_ms=400.0, points=tuple(points))
    )
    path = tmp_path / "placement.yaml"
    ways = {}
    for uplink in (10_000, 10_000_000):
        path.write_text(PLACEMENT.replace("10_000", str(uplink)), encoding="utf-8")
        problem = load_placement(path)
        found = place(problem)
        assert found.feasible
        assert check_placement(problem, found) == ()
        ways[uplink] = found.assignments[0].models

    # At 10 kB/s the image takes 1.2 s and the last tensor 0.1 s; at 10 MB/s neither matters, and
    # the whole far away needs no phone.
    assert [one.rpartition(".")[2] for one in ways[10_000]] == ["head", "tail"]
    assert ways[10_000_000] == ("scanner",)


def test_people_read_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_scanner(tmp_path / "scanner.onnx")

    code = main(["cuts", str(model), "--shape", "image=1,3,32,32", "--rounds", "4", "--most", "1"])

    assert code == 0
    shown = capsys.readouterr().out
    assert "cut at" in shown
    assert "head of whole" in shown
    assert "input 12.0 KiB" in shown
    assert len(shown.splitlines()) == 6


def test_a_model_whose_tensors_all_grow_is_exit_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_scanner(tmp_path / "scanner.onnx", growing=True)

    assert main(["cuts", str(model), "--shape", "image=1,3,32,32", "--rounds", "4"]) == 3

    assert "no: every cut sends at least what the input is" in capsys.readouterr().out


def test_a_cut_that_sends_more_than_the_inputs_with_what_its_tail_takes_besides_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    b, floats = Builder(0), TensorProto.FLOAT
    x = b.op("Conv", "image", b.draw(4, 1, 3, 3), pads=[1] * 4)
    x = b.op("Mul", b.op("GlobalAveragePool", x), "mask")
    graph = helper.make_graph(
        b.nodes,
        "two inputs",
        [
            helper.make_tensor_value_info("image", floats, [1, 1, 16, 16]),
            helper.make_tensor_value_info("mask", floats, [1, 4, 40, 40]),
        ],
        [helper.make_tensor_value_info(x, floats, [1, 4, 40, 40])],
        b.weights,
    )
    model = tmp_path / "two.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), model
    )

    assert main(["cuts", str(model), "--rounds", "4", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    # 1024 bytes of image and 25600 of mask; the first tensor is of 4096 and the second of 16.
    assert found["input_bytes"] == 26624
    assert [one["sent_bytes"] for one in found["points"]] == [25616]


def test_a_cut_whose_parts_give_another_answer_than_the_whole_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_scanner(tmp_path / "scanner.onnx", noisy=True)

    assert main(["cuts", str(model), "--shape", "image=1,3,32,32", "--rounds", "4", "--json"]) == 3

    assert json.loads(capsys.readouterr().out)["points"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["--shape", "image"], 2, "--shape: not a shape: `image`"),
        (["--shape", "image=1,x"], 2, "--shape: not a shape: `image=1,x`"),
        (["--shape", "image=0"], 2, "--shape: not a shape: `image=0`"),
        ([], 1, "--shape: input `image` does not say all of its dimensions: 1,3,?,?"),
        (["--shape", "image=1,3,2,2"], 1, "can't take this input"),
    ],
)
def test_what_can_not_be_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    what: str,
) -> None:
    model = write_scanner(tmp_path / "scanner.onnx")

    assert main(["cuts", str(model), *arguments]) == code

    said = capsys.readouterr().err
    assert what in said
    assert "hint: " in said


def test_a_model_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path / "gone.onnx", tmp_path):
        assert main(["cuts", str(path)]) == 1

        said = capsys.readouterr().err
        assert f"{path}: no such file" in said
        assert "hint: give an ONNX file" in said


def test_the_guides_example_is_a_placement() -> None:
    text = GUIDE.read_text("utf-8")
    shown = text[text.index("    cuts:\n") :].partition("```")[0]

    assert shown in PLACEMENT


PLACEMENT = """\
name: scanners
tiers:
  phone: {kind: device}
  cloud: {kind: cloud, rtt_p95_ms: 40, uplink_bytes_per_s: 10_000}
device_classes:
  phone: {memory: 256MiB}
  gpu: {}
pools:
  - {tier: phone, device_class: phone, max_units: 50, min_units: 50, owned_units: 50}
  - {tier: cloud, device_class: gpu}
models:
  scanner:
    size: 1MB
    profiles:
      phone: {mean_ms: 400, p95_ms: 800, memory: 20MB, joules: 2}
      gpu: {mean_ms: 4, p95_ms: 8, memory: 20MB}
workloads:
  scans:
    requests_per_month: 900_000
    latency_p95_ms: 700
    quality_floor: 0.9
    qualities: {scanner: {value: 0.94, low: 0.92, high: 0.96}}
    request: 12kB
    cuts:
      - model: scanner
        near: phone
        far: gpu
        measured: {near: cuts.phone.json}
"""
