"""Wrong input of every kind, by the real command line: what, where, hint, exit code, no traces."""

import csv
import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from command_line import ONE_CANDIDATE, content, edgewise
from tiny_project import SPEC

pytestmark = pytest.mark.integration

Change = Callable[[Path], object]
Case = tuple[Change, tuple[str, ...]]


@pytest.fixture
def project(finished_run: Path, tmp_path: Path) -> Path:
    """Give a folder of one's own with a project that has run."""
    return Path(shutil.copytree(finished_run, tmp_path / "project"))


def spec(old: str, new: str) -> Change:
    assert old in SPEC

    def change(folder: Path) -> None:
        (folder / "edgewise.yaml").write_text(SPEC.replace(old, new), encoding="utf-8")

    return change


def raw(text: str | bytes) -> Change:
    content = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / "edgewise.yaml").write_bytes(content)


def split(name: str, text: str | bytes) -> Change:
    content = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / f"{name}.csv").write_bytes(content)


def rows(name: str, change: Callable[[list[list[str]]], object]) -> Change:
    """Change the rows of a split, the header among them."""

    def rewrite(folder: Path) -> None:
        path = folder / f"{name}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            found = list(csv.reader(file))
        change(found)
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(found)

    return rewrite


def put(row: int, column: int, value: str) -> Callable[[list[list[str]]], object]:
    return lambda found: found[row].__setitem__(column, value)


def keep(label: str) -> Callable[[list[list[str]]], object]:
    return lambda found: found.__setitem__(
        slice(None), [found[0], *(row for row in found[1:] if row[1] == label)]
    )


def model(name: str, text: str | bytes) -> Change:
    content = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / "model" / name).write_bytes(content)


def config(**keys: object) -> Change:
    def change(folder: Path) -> None:
        path = folder / "model" / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | keys), encoding="utf-8")

    return change


def without(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


LETTERS = "abcdefghijklmnop"
BOMB = "\n".join(
    [
        "a: &a [x, x]",
        *(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]" for a, b in pairwise(LETTERS)),
    ]
)
SPECS: dict[str, Case] = {
    "no file": (without("edgewise.yaml"), ("edgewise.yaml", "no such", "edgewise init")),
    "an empty file": (raw(""), ("edgewise.yaml:1:1", "edgewise init")),
    "a list": (raw("- a\n"), ("edgewise.yaml:1:1", "not a mapping")),
    "bad YAML": (raw("name: [tiny\n"), ("edgewise.yaml:2:1", "not valid YAML")),
    "a tab": (raw("name: tiny\n\ttask: x\n"), ("edgewise.yaml:2:1", "not valid YAML", "tab")),
    "a NUL byte": (raw(b"name: ti\0ny\n"), ("edgewise.yaml:1:9", "#x0000")),
    "a control character": (raw("a: b\nname: \x07\n"), ("edgewise.yaml:2:7", "#x0007")),
    "bytes that are no UTF-8": (raw(b"name: caf\xe9\n"), ("edgewise.yaml", "UTF-8")),
    "an alias bomb": (raw(BOMB), ("edgewise.yaml", "aliases")),
    "an alias of itself": (raw("name: &a [*a]\n"), ("edgewise.yaml:1:7", "itself")),
    "a deep nest": (raw("name: " + "[" * 3000), ("edgewise.yaml", "deep")),
    "a date that is none": (spec("name: tiny", "name: 2024-13-45"), ("edgewise.yaml", "YAML")),
    "a Python object": (raw("name: !!python/name:os.system\n"), ("edgewise.yaml:1:7", "YAML")),
    "a key twice": (spec("name: tiny", "name: tiny\nname: two"), (":2:1", "`name` is given twice")),
    "an unknown key": (spec("task:", "tasks:"), (":2:1", "`tasks`", "did you mean `task`?")),
    "an unknown inner key": (
        spec("memory:", "memroy:"),
        (":6:24", "`tiers.edge.memroy`", "did you mean `memory`?"),
    ),
    "a missing key": (spec("task: text-classification\n", ""), ("`task` is missing", "--explain")),
    "a number for a path": (spec("source: model", "source: 5"), (":3:17", "`model.source`")),
    "text for a number": (
        spec("max_quality_loss: 0.05", "max_quality_loss: low"),
        (":8:31", "`objective.max_quality_loss`"),
    ),
    "a number that is none": (
        spec("{max_quality_loss: 0.05", "{latency_p95_ms: .inf"),
        (":8:29", "finite"),
    ),
    "a list for a section": (spec("{source: model}", "[model]"), (":3:8", "`model`")),
    "a size without a unit": (spec("1GiB", "1XiB"), (":6:32", "`tiers.edge.memory`")),
    "a cut of no layers": (spec("{min_agreement: 0.5,", "{layers: [0],"), (":9:21", "layers")),
    "a label twice": (
        spec("{source: model}", "{source: model, labels: [negative, positive, negative]}"),
        (":3:32", "`negative`"),
    ),
    "a price below zero": (spec("0.002", "-1"), ("`tiers.cloud.usd_per_request`",)),
    "a secret in the file": (
        spec("usd_per_request: 0.002", "api_key: hunter2"),
        ("plain value", "never in the file"),
    ),
    "a tier that is none": (
        spec("objective:", "privacy: {residency: {eu: [moon]}}\nobjective:"),
        (":8:28", "`moon` is no tier"),
    ),
    "a budget for too few calls": (
        spec("answers: assume_right", 'endpoint: "http://127.0.0.1:9", budget_usd: 0.5'),
        ("tiers.cloud", "350 cloud calls cost 0.70 USD", "raise budget_usd"),
    ),
    "calls and no endpoint": (spec("answers: assume_right, ", ""), ("no endpoint", "tiers.cloud")),
    "a promise out of range": (
        spec("max_quality_loss: 0.05", "max_quality_loss: 1.5"),
        (":8:31", "`objective.max_quality_loss`", "less than 1", "(α)"),
    ),
    "a confidence out of range": (
        spec("max_quality_loss: 0.05", "confidence: 1.0"),
        (":8:25", "`objective.confidence`", "less than 1", "(1 − δ)"),
    ),
    "a confidence that is none": (
        spec("max_quality_loss: 0.05", "confidence: .nan"),
        (":8:25", "`objective.confidence`"),
    ),
    "an endpoint that is no URL": (
        spec("answers: assume_right", "endpoint: localhost"),
        (":7:34", "`tiers.cloud.endpoint` is no http or https URL", "https://host/path"),
    ),
    "a tokenizer that is not there": (
        spec("{source: model}", "{source: model, tokenizer: words.json}"),
        ("words.json", "no such file", "model.tokenizer"),
    ),
    "a label that the model lacks": (
        spec("{source: model}", "{source: model, labels: [negative, neutral]}"),
        ("`positive` is not among", "train", "negative, neutral"),
    ),
    "a label without a row": (
        spec("{source: model}", "{source: model, labels: [negative, neutral, positive]}"),
        ("`neutral`", "train", "model.labels"),
    ),
}

SPLITS: dict[str, Case] = {
    "no file": (without("test.csv"), ("test.csv", "no such file")),
    "an empty file": (split("test", ""), ("test.csv", "no rows")),
    "a header alone": (split("train", "text,label\n"), ("train.csv", "no rows")),
    "a calibration set of a header alone": (
        split("calibration", "text,label\n"),
        ("calibration.csv", "no rows", "a header and at least one row"),
    ),
    "no text column": (
        rows("train", put(0, 0, "texts")),
        ("train.csv:1", "no column `text`", "did you mean `texts`?"),
    ),
    "no label column": (rows("calibration", put(0, 1, "x")), ("calibration.csv:1", "`label`")),
    "a column twice": (
        split("train", "text,label,label\na,b,c\n"),
        ("train.csv:1", "`label`", "twice"),
    ),
    "one class in train": (rows("train", keep("positive")), ("train.csv", "`positive`")),
    "one class in calibration": (
        rows("calibration", keep("positive")),
        ("calibration.csv", "`positive`"),
    ),
    "one class in test": (rows("test", keep("negative")), ("test.csv", "`negative`")),
    "one row": (split("test", "text,label\ngood day,positive\n"), ("test.csv", "`positive`")),
    "an unknown label": (
        rows("test", put(3, 1, "positve")),
        ("test split, row 3", "`positve`", "did you mean `positive`?"),
    ),
    "an empty text": (rows("test", put(3, 0, " ")), ("test.csv:4", "`text` is empty")),
    "an empty label": (rows("test", put(3, 1, "")), ("test.csv:4", "`label` is empty")),
    "Latin-1": (
        split("test", b"text,label\nfine,positive\ncaf\xe9,positive\n"),
        ("test.csv:3", "not UTF-8", "save it as UTF-8"),
    ),
    "UTF-16": (split("test", "text,label\na,b\n".encode("utf-16")), ("test.csv:1", "not UTF-8")),
    "a NUL byte": (
        split("test", b"text,label\nfine,positive\nba\0d,negative\n"),
        ("test.csv:3", "NUL"),
    ),
    "a ragged row": (
        split("test", "text,label\nfine,positive\nbad, very bad,negative\n"),
        ("test.csv:3", "3 fields, and the header has 2", "quote"),
    ),
    "an open quote": (split("test", 'text,label\n"fine,positive\n'), ("test.csv:2", "CSV")),
    "a huge field": (
        split("test", "text,label\n" + "x" * 1_000_001 + ",positive\n"),
        ("test.csv:2", "field", "1000000"),
    ),
    "a row in two splits": (
        lambda folder: shutil.copy(folder / "train.csv", folder / "test.csv"),
        ("two splits", "train row 1"),
    ),
}

MODELS: dict[str, Case] = {
    "no model": (lambda folder: shutil.rmtree(folder / "model"), ("model", "no such model")),
    "no configuration": (without("model/config.json"), ("config.json", "whole model folder")),
    "a configuration that is no JSON": (model("config.json", "{"), ("config.json",)),
    "a configuration that is a list": (model("config.json", "[]"), ("config.json",)),
    "another model type": (config(model_type="gpt2"), ("config.json", "`gpt2`", "bert")),
    "no weights": (without("model/model.safetensors"), ("model.safetensors", "no such file")),
    "broken weights": (model("model.safetensors", b"\x08\0\0\0\0\0\0\0{}"), ("safetensors",)),
    "no tokenizer": (without("model/tokenizer.json"), ("no tokenizer", "model.tokenizer")),
    "a broken tokenizer": (model("tokenizer.json", "<html>"), ("tokenizer.json", "tokenizer")),
    "a file of another kind": (
        lambda folder: (
            (folder / "model.h5").write_bytes(b"PK"),
            spec("source: model", "source: model.h5")(folder),
        ),
        ("model.h5", "`.h5`", "ONNX"),
    ),
    "a corrupt ONNX file": (
        lambda folder: (
            (folder / "model.onnx").write_bytes(
                (folder / "run/bundle/model.onnx").read_bytes()[:20_000]
            ),
            spec("source: model", "source: model.onnx")(folder),
        ),
        ("model.onnx", "ONNX"),
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_a_wrong_project_file_is_refused_and_the_old_run_stays(project: Path, name: str) -> None:
    change, words = SPECS[name]
    change(project)
    before = content(project / "run")

    edgewise("run", "edgewise.yaml", "--out", "run", folder=project).refused(*words)

    assert content(project / "run") == before


@pytest.mark.parametrize("name", SPLITS)
def test_a_wrong_split_is_refused_and_the_old_run_stays(project: Path, name: str) -> None:
    change, words = SPLITS[name]
    change(project)
    before = content(project / "run")

    edgewise("run", "edgewise.yaml", "--out", "run", folder=project).refused(*words)

    assert content(project / "run") == before


@pytest.mark.parametrize("name", MODELS)
def test_a_wrong_model_is_refused_and_no_run_begins(project: Path, name: str) -> None:
    change, words = MODELS[name]
    change(project)

    edgewise("run", "edgewise.yaml", "--out", "new/run", folder=project).refused(*words)

    assert not (project / "new").exists()


def test_a_project_that_is_a_folder_is_refused(project: Path) -> None:
    edgewise("run", "model", "--out", "new", folder=project).refused("model", "can't be read")

    assert not (project / "new").exists()


def test_a_run_in_the_place_of_a_file_is_refused(project: Path) -> None:
    (project / "note").write_text("mine", encoding="utf-8")

    edgewise("run", "edgewise.yaml", "--out", "note", folder=project).refused("note", "--out")

    assert (project / "note").read_text(encoding="utf-8") == "mine"


def test_a_cache_in_the_place_of_a_file_is_refused(project: Path) -> None:
    (project / "note").write_text("mine", encoding="utf-8")

    ended = edgewise("run", "edgewise.yaml", "--out", "new", "--cache", "note", folder=project)

    ended.refused("note")
    assert not (project / "new").exists()


def test_a_byte_order_mark_and_line_separators_in_a_text_are_read(project: Path) -> None:
    spec("optimize: {min_agreement: 0.5, max_cut_loss: 0.5}", ONE_CANDIDATE)(project)
    rows("test", put(1, 0, "a\u2028good\x0cday"))(project)
    for name in ("edgewise.yaml", "test.csv"):
        text = (project / name).read_bytes()
        (project / name).write_bytes(b"\xef\xbb\xbf" + text)

    ended = edgewise("run", "edgewise.yaml", "--out", "new", "--json", folder=project)

    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["quality"]["n"] == 100


def test_a_refusal_is_one_json_object_where_json_is_asked(project: Path) -> None:
    spec("task:", "tasks:")(project)

    ended = edgewise("run", "edgewise.yaml", "--out", "run", "--json", folder=project)

    assert ended.code == 1
    error = json.loads(ended.out)["error"]
    assert error["kind"] == "InvalidSpec"
    assert error["what"] == "unknown key `tasks`"
    assert error["where"] == "edgewise.yaml:2:1"
    assert error["hint"] == "did you mean `task`?"
    assert "Traceback" not in ended.err
