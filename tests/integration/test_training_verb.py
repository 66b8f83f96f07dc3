"""Training through the command line: asked for by words, or tried where 8 bits lose too much."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import edgewise
from safetensors.numpy import load_file, save_file
from tiny_project import BAD, GOOD, INNER, LAYERS, PLAIN, write_project

from edgewise.runtimes import read_manifest

pytestmark = [pytest.mark.integration, pytest.mark.heavy]
ORDER = ("optimize", "model", "--data", "train.csv", "--out", "best", "--json")


def make_fragile(folder: Path, factor: float) -> None:
    """Scale FFN neurons up before ReLU and down behind it: the same function of floats.

    The range of a few sets the step of all others, which 8 bits then round away.
    """
    path = folder / "model.safetensors"
    tensors = load_file(path)
    scale = np.ones(INNER, np.float32)
    scale[::16] = factor
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        tensors[f"{at}intermediate.dense.weight"] *= scale[:, None]
        tensors[f"{at}intermediate.dense.bias"] *= scale
        tensors[f"{at}output.dense.weight"] /= scale
    save_file(tensors, path)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    text = json.dumps({**config, "hidden_act": "relu"})
    (folder / "config.json").write_text(text, encoding="utf-8")


def write_rows(path: Path, count: int) -> None:
    """Write more sentences than the tiny project has: rounding is not learned from a handful."""
    rng = np.random.default_rng(8)
    rows: dict[str, str] = {}
    while len(rows) < count:
        label = ("negative", "positive")[len(rows) % 2]
        mood = rng.choice(GOOD if label == "positive" else BAD, size=2)
        words = [str(word) for word in (*rng.choice(PLAIN, size=4), *mood)]
        rows[" ".join(rng.permutation(words))] = label
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows.items()])


def test_where_8_bits_lose_too_much_tuning_is_tried_and_gated_as_all_others(
    tmp_path: Path,
) -> None:
    write_project(tmp_path)
    make_fragile(tmp_path / "model", 200.0)
    write_rows(tmp_path / "train.csv", 1500)

    order = (*ORDER, "--passes", "int8-dynamic", "--min-agreement", "0.85")

    found = edgewise(*order, folder=tmp_path)

    assert found.code == 0, found
    answered = json.loads(found.out)
    plain, tuned = answered["candidates"][:2]
    assert plain["recipe"] == ["head:logistic", "int8-dynamic"]
    assert not plain["kept"]
    assert tuned["recipe"] == ["head:logistic", "qat", "int8-dynamic"]
    assert tuned["kept"]
    assert tuned["agreement"] > plain["agreement"]
    assert tuned["p95_ms"] > 0
    assert "· training" in found.err
    assert "qat" in read_manifest(tmp_path / "best/bundle").recipe

    without = edgewise(*order, "--training-minutes", "0", folder=tmp_path)

    assert without.code == 3, without
    assert "training is off" in str(json.loads(without.out)["candidates"][1]["why"])


def test_students_and_recovery_are_asked_for_by_words(tmp_path: Path) -> None:
    write_project(tmp_path)
    words = ("prune-ffn:0.75", "prune-ffn:0.75,recover", "distill:1:heads=1,int8-dynamic")
    passes = [part for one in words for part in ("--passes", one)]

    found = edgewise(*ORDER, *passes, "--max-quality-loss", "0.5", folder=tmp_path)

    assert found.code == 0, found
    pruned, recovered, student = json.loads(found.out)["candidates"][:3]
    assert recovered["recipe"] == ["head:logistic", "prune-ffn:0.75", "recover"]
    assert recovered["size_bytes"] == pytest.approx(pruned["size_bytes"], rel=0.02)
    assert recovered["metric"] > pruned["metric"]
    assert student["size_bytes"] < pruned["size_bytes"]
    assert student["metric"] > 0.9


def test_an_encoder_learns_from_the_source_without_labels(tmp_path: Path) -> None:
    write_project(tmp_path)
    rows = (tmp_path / "train.csv").read_text("utf-8").splitlines()
    plain = "\n".join(row.rpartition(",")[0] for row in rows)
    (tmp_path / "train.csv").write_text(plain, encoding="utf-8")

    found = edgewise(
        *ORDER,
        *("--passes", "prune-ffn:0.75", "--passes", "prune-ffn:0.75,recover"),
        *("--min-cosine", "0.5"),
        folder=tmp_path,
    )

    assert found.code == 0, found
    pruned, recovered = json.loads(found.out)["candidates"][:2]
    assert recovered["cosine"] > pruned["cosine"]
