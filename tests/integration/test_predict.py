"""`edgewise predict`: texts, files, keys and what it says of mistakes, on real small bundles."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewise.cli import main
from edgewise.observe import AuditFile
from edgewise.records import (
    ApiKey,
    AuditRules,
    Policy,
    TierKind,
    TierPolicy,
    read_json,
    write_json,
)
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

pytestmark = pytest.mark.integration

EDGE = TierPolicy(name="edge", kind=TierKind.DEVICE)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Give a run whose edge counts words and which has no cloud."""
    tiny_text_bundle(tmp_path / "run/bundle")
    policy = Policy(task="text-classification", labels=("negative", "positive"), tiers=(EDGE,))
    write_json(tmp_path / "run/policy.json", policy)
    return tmp_path / "run"


def test_a_text_is_answered_with_its_place_and_its_cost(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run), "--text", "good great day"]) == 0

    # Two good words are a logit of 2: 1 / (1 + e^-2) = 88.1 %.
    shown = capsys.readouterr().out
    assert shown.startswith("positive  88.1%  from edge in ")
    assert shown.endswith(" ms, no cost\n")


def test_a_run_with_audit_rules_is_audited_unless_a_server_has_its_file(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = read_json(Policy, run / "policy.json")
    write_json(run / "policy.json", replace(policy, audit=AuditRules()))

    alone = main(["predict", str(run), "--text", "good great day"])
    file = AuditFile(run / "audit.sqlite")
    beside = main(["predict", str(run), "--text", "good great day"])
    file.close()

    assert (alone, beside) == (0, 0)
    assert capsys.readouterr().err == "not audited: another process audits into it\n"


def test_a_file_has_one_text_a_line_and_blank_ones_are_left_out(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = run / "texts.txt"
    texts.write_text("good\n\n  \nawful\n", encoding="utf-8")

    assert main(["predict", str(run), "--file", str(texts), "--json"]) == 0

    results = json.loads(capsys.readouterr().out)["results"]
    assert [result["prediction"] for result in results] == ["positive", "negative"]


def test_a_file_of_one_text_has_results_too(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = run / "texts.txt"
    texts.write_text("good\n", encoding="utf-8")

    assert main(["predict", str(run), "--file", str(texts), "--json"]) == 0

    results = json.loads(capsys.readouterr().out)["results"]
    assert [result["prediction"] for result in results] == ["positive"]


def test_what_was_answered_before_a_line_that_can_not_be_is_given(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = TierPolicy(name="cloud", kind=TierKind.CLOUD, endpoint="http://127.0.0.1:9")
    edge = replace(EDGE, kind=TierKind.SITE, threshold=0.5)
    policy = read_json(Policy, run / "policy.json")
    rules = replace(policy.privacy, detect=("email",))
    write_json(run / "policy.json", replace(policy, tiers=(edge, cloud), privacy=rules))
    texts = run / "texts.txt"
    texts.write_text("good\n\nto a@example.com\nawful\n", encoding="utf-8")

    plain = main(["predict", str(run), "--file", str(texts)])
    for_people = capsys.readouterr()
    coded = main(["predict", str(run), "--file", str(texts), "--json"])
    told = json.loads(capsys.readouterr().out)

    assert (plain, coded) == (1, 1)
    assert for_people.out.startswith("positive ")
    assert for_people.out.count("\n") == 1
    assert "1 of 3 texts have their answer" in for_people.err
    assert f"error: {texts}:3: " in for_people.err
    assert [result["prediction"] for result in told["results"]] == ["positive"]
    assert told["error"]["where"].startswith(f"{texts}:3")


def test_every_result_of_a_file_is_shown_and_explained(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = run / "texts.txt"
    texts.write_text("good\nawful\n", encoding="utf-8")

    assert main(["predict", str(run), "--file", str(texts), "--explain"]) == 0

    lines = capsys.readouterr().out.splitlines()
    answers = [line.split()[0] for line in lines if not line.startswith("  ")]
    assert answers == ["positive", "negative"]
    assert any(line.startswith("  ") for line in lines)


@pytest.mark.parametrize("options", [[], ["--text", "a", "--file", "b"]])
def test_either_a_text_or_a_file_is_needed(
    run: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run), *options]) == 2

    error = capsys.readouterr().err
    assert "give either a text or a file" in error
    assert "hint: edgewise predict" in error


@pytest.mark.parametrize("content", [None, b"good\xff\xfe"])
def test_a_file_that_is_no_text_is_named(
    run: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = run / "texts.txt"
    if content is not None:
        texts.write_bytes(content)

    assert main(["predict", str(run), "--file", str(texts)]) == 1

    error = capsys.readouterr().err
    assert str(texts) in error
    assert "give a UTF-8 file, one text a line" in error


def test_an_image_file_is_the_input_of_an_image_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_image_bundle(tmp_path / "run/bundle")
    policy = Policy(task="image-classification", labels=("dark", "bright"), tiers=(EDGE,))
    write_json(tmp_path / "run/policy.json", policy)
    np.save(tmp_path / "white.npy", np.full((4, 4, 3), 255, dtype=np.uint8))

    assert main(["predict", str(tmp_path / "run"), "--file", str(tmp_path / "white.npy")]) == 0

    assert capsys.readouterr().out.startswith("bright")


def test_the_key_of_the_cloud_is_read_where_the_policy_says(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = TierPolicy(
        name="cloud",
        kind=TierKind.CLOUD,
        endpoint="http://127.0.0.1:9",
        api_key=ApiKey(env="EDGEWISE_TEST_KEY"),
    )
    labels = ("negative", "positive")
    policy = Policy(task="text-classification", labels=labels, tiers=(EDGE, cloud))
    write_json(run / "policy.json", policy)
    arguments = ["predict", str(run), "--text", "good", "--private"]
    monkeypatch.delenv("EDGEWISE_TEST_KEY", raising=False)

    assert main(arguments) == 1
    assert "$EDGEWISE_TEST_KEY" in capsys.readouterr().err

    monkeypatch.setenv("EDGEWISE_TEST_KEY", "hunter2")
    assert main([*arguments, "--explain"]) == 0
    assert "hunter2" not in "".join(capsys.readouterr())
