"""Mistakes in `edgewise.yaml` are answered with line, column and a mend."""

import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

from edgewise import PreRouter
from edgewise.errors import InvalidData, InvalidSpec
from edgewise.records import ApiKey, AuditRules, CloudAnswers, OnVoid, write_json
from edgewise.spec import check_overlap, explain, json_schema, load_spec, read_split

GOOD = """name: tiny
task: text-classification
model: {source: model}
data: {train: train.csv, calibration: calibration.csv, test: test.csv}
tiers:
  edge: {memory: 256MiB, threads: 2}
  cloud: {endpoint: "http://localhost:1", usd_per_request: 0.002, rtt_ms: {p50: 60, p95: 180}}
workload: {requests_per_month: 3_000_000}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "edgewise.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_becomes_a_record_with_defaults(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, GOOD))

    assert spec.model.source == tmp_path / "model"
    assert spec.edge.memory_bytes == 256 * 2**20
    assert spec.workload.requests_per_month == 3_000_000
    assert spec.cloud is not None
    assert spec.cloud.answers is CloudAnswers.CALL
    assert spec.objective.max_quality_loss == 0.02


@pytest.mark.parametrize(
    ("old", "new", "at", "what", "hint"),
    [
        ("name: tiny", "nmae: tiny", "1:1", "unknown key `nmae`", "`name`"),
        ("threads: 2", "treads: 2", "6:26", "unknown key `tiers.edge.treads`", "`threads`"),
        ("memory: 256MiB", "memory: lots", "6:18", "not a size", "memory"),
        ("name: tiny\n", "", "1:1", "key `name` is missing", "--explain"),
        ("p95: 180", "p95: 8", "7:75", "p50 is above p95", ""),
        (
            "{p50: 60, p95: 180}",
            "{p50: 700}",
            "7:75",
            "p50 is above p95: p95 is 180 by default, so give both",
            "",
        ),
        (
            "{p50: 60, p95: 180}",
            "{p95: 20}",
            "7:75",
            "p50 is above p95: p50 is 60 by default, so give both",
            "",
        ),
        ("usd_per_request: 0.002", "usd_per_request: -1", "7:60", "greater than", "price"),
        ("usd_per_request: 0.002", "api_key: hunter2", "7:52", "plain value", "env"),
        ("task: text-classification", "task: poetry", "2:7", "`task`", "image-classification"),
        ("name: tiny", "name: tiny\nname: two", "2:1", "given twice", "remove"),
        ("{source: model}", "{source: model", "4:5", "not valid YAML", "brackets"),
        ("workload:", "privacy: {residency: {eu: [moon]}}\nworkload:", "8:28", "no tier", "edge"),
        (
            "workload:",
            "privacy: {detect: [email], actions: {card: refuse}}\nworkload:",
            "8:10",
            "`actions` names card, which `detect` does not look for",
            "near",
        ),
        ("task: text", "task: image", "3:8", "needs model.image", "height"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, at: str, what: str, hint: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))

    with pytest.raises(InvalidSpec) as caught:
        load_spec(path)

    assert what in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.where == f"{path}:{at}"
    assert "hunter2" not in str(caught.value)


def test_an_audit_becomes_its_rules_and_without_one_there_are_none(tmp_path: Path) -> None:
    asked = "audit: {share: 0.1, usd_per_day: 2.5, on_void: warn}\n"

    found = load_spec(write(tmp_path, GOOD + asked)).audit

    assert found == AuditRules(share=0.1, usd_per_day=2.5, on_void=OnVoid.WARN)
    assert load_spec(write(tmp_path, GOOD)).audit is None


def test_an_absent_file_points_to_init(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec) as caught:
        load_spec(tmp_path / "none.yaml")

    assert "edgewise init" in caught.value.hint


@pytest.mark.parametrize("text", ["- a list\n", "just words\n"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        load_spec(write(tmp_path, text))

    assert "not a mapping" in caught.value.what


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "edgewise.yaml"
    path.write_bytes(b"\xff\xfe\x00name")

    with pytest.raises(InvalidSpec) as caught:
        load_spec(path)

    assert "UTF-8" in caught.value.hint


def test_the_schema_accepts_what_loads() -> None:
    jsonschema.validate(yaml.safe_load(GOOD), json_schema())


NEEDED = {"name": "tiny", "task": "text-classification", "source": "model", "height": 8, "width": 8}
NEEDED |= {"weights": "weights.json", "min_gain": 0.1}
NEEDED |= {"train": "train.csv", "calibration": "calibration.csv", "test": "test.csv"}


def filled(text: str) -> str:
    text = "\n".join(line for line in text.splitlines() if "# | " not in line)
    for key, value in NEEDED.items():
        text = re.sub(rf"\b{key}: …", f"{key}: {value}", text)
    assert ": …" not in text.replace("# column: …", "")
    return text


def test_the_explanation_with_its_gaps_filled_is_the_project_of_defaults(tmp_path: Path) -> None:
    plain = "\n".join(GOOD.splitlines()[:4]) + "\n"
    expected = load_spec(write(tmp_path, plain))

    found = load_spec(write(tmp_path, filled(explain())))

    assert found == replace(expected, defaults=found.defaults)
    # Written down they are the same numbers, and given.
    assert "workload.devices" in expected.defaults
    assert "workload.devices" not in found.defaults


def test_the_explanation_without_its_comment_signs_is_a_project_too(tmp_path: Path) -> None:
    whole = re.sub(r"^( *)# (?=[ #a-z_0-9]+:)", r"\1", filled(explain()), flags=re.MULTILINE)
    whole = re.sub(r"^( *)# (?=[ #a-z_0-9]+:)", r"\1", whole, flags=re.MULTILINE)
    whole = whole.replace("usd_per_day: null", "usd_per_day: 1")
    router = PreRouter.fit(["one", "two"] * 20, [0.0, 1.0] * 20, [1.0, 0.5] * 20)
    write_json(tmp_path / "weights.json", router.weights)
    spec = load_spec(write(tmp_path, whole.replace("env: null", "env: KEY")))

    assert spec.routing.preroute is not None
    assert spec.routing.preroute.weights == router.weights
    assert spec.cloud is not None
    assert spec.cloud.api_key == ApiKey(env="KEY")
    assert spec.model.image is not None
    assert spec.model.image.height == 8


@pytest.mark.parametrize(
    ("content", "at", "what"),
    [
        (b"text,label\n", "", "no rows"),
        (b"words,label\na,b\n", ":1", "no column `text`"),
        (b"text,label\na,x\nb\n", ":3", "1 fields"),
        (b"text,label\na,x\n,y\n", ":3", "column `text` is empty"),
        (b"text,label\na,x\nb,\n", ":3", "column `label` is empty"),
        (b"text,label\na,x\nb,x\n", "", "all rows have the label"),
        (b"text,label\na,x\n\xff\xfe,y\n", ":3", "not UTF-8"),
        (b'text,label\n"a"b,x\n', ":2", "not valid CSV"),
    ],
)
def test_an_unusable_split_is_named_with_its_line(
    tmp_path: Path, content: bytes, at: str, what: str
) -> None:
    spec = load_spec(write(tmp_path, GOOD))
    (tmp_path / "train.csv").write_bytes(content)

    with pytest.raises(InvalidData) as caught:
        read_split(spec, "train")

    assert what in caught.value.what
    assert caught.value.where == f"{tmp_path / 'train.csv'}{at}"
    assert caught.value.hint


def test_an_absent_split_is_named(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, GOOD))

    with pytest.raises(InvalidData) as caught:
        read_split(spec, "test")

    assert caught.value.where.endswith("test.csv")


def test_overlap_and_unknown_labels_are_found(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, GOOD))
    (tmp_path / "train.csv").write_text("text,label\na b,good\nc,bad\n")
    (tmp_path / "calibration.csv").write_text("text,label\nd,bad\na  b,good\n")
    (tmp_path / "test.csv").write_text("text,label\ne,goood\nf,bad\n")
    train, calibration, test = (read_split(spec, n) for n in ("train", "calibration", "test"))

    with pytest.raises(InvalidData) as overlap:
        check_overlap((train, calibration))
    with pytest.raises(InvalidData) as strange:
        check_overlap((train, test))

    assert "train row 1 and calibration row 2" in overlap.value.what
    assert "`good`" in strange.value.hint
