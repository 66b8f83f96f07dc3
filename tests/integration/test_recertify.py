"""`edgewise recertify`: audited samples give a run its next certificate, or a no."""

import csv
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewise.cli import main
from edgewise.errors import InvalidData
from edgewise.observe import AuditFile, Auditor
from edgewise.pipeline.recertifying import read_truths
from edgewise.records import (
    Answered,
    AuditRules,
    Certificate,
    Loss,
    OnVoid,
    Policy,
    read_json,
    seal,
    write_json,
)

pytestmark = pytest.mark.integration
NOON_S = 1_700_000_000.0


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """Give a copy of a finished run that a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / "project")) / "run"


def sampled(
    run: Path,
    count: int = 400,
    *,
    wrong_below: float = 0.3,
    lost: int = 0,
    share: float = 1.0,
    seed: int = 1,
    judged: bool = False,
) -> None:
    """Audit requests whose edge answer differs from the cloud's where its confidence is low."""
    policy = read_json(Policy, run / "policy.json")
    rules = AuditRules(share=share, at_once=1_000_000)
    rng = random.Random(seed)
    file = AuditFile(run / "audit.sqlite")
    auditor = Auditor(file, rng=rng)
    auditor.begin(replace(policy, audit=rules), judged=judged)
    for number in range(count):
        confidence = rng.random()
        differs = confidence < wrong_below
        one = Answered(
            request_id=f"{seed}-{number}",
            kept=True,
            confidence=confidence,
            edge_label="positive",
        )
        case = auditor.consider(one, NOON_S + number)
        if case is not None:
            far_label = None if number < lost else "negative" if differs else "positive"
            quality = (0.5, 1.0) if differs else (1.0, 1.0)
            seen = quality if judged and far_label is not None else None
            auditor.record(case, far_label, NOON_S + number, seen)
        if number % 50 == 0:  # what is not on the disk yet makes it pause
            file.flush()
    auditor.close()


def recertify(
    capsys: pytest.CaptureFixture[str], run: Path, *options: str
) -> tuple[int, dict[str, Any]]:
    code = main(["recertify", str(run), *options, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_samples_give_a_certificate_that_verifies(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sampled(run)

    code, found = recertify(capsys, run)

    policy = read_json(Policy, run / "policy.json")
    certificate = found["certificate"]
    assert code == 0
    assert found["samples"] == 400
    assert certificate["cloud_answers"] == "audit"
    assert 0.2 < certificate["threshold"] < 0.35
    assert policy.tiers[0].threshold == certificate["threshold"]
    assert any("without labels" in one for one in certificate["warnings"])
    assert main(["verify", str(run)]) == 0
    assert (run / "audit.sqlite").is_file()


def test_people_are_told_what_it_is_made_from(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sampled(run)
    before = (run / "policy.json").read_bytes()

    code = main(["recertify", str(run), "--out", str(tmp_path / "next")])

    said = capsys.readouterr().out
    assert code == 0
    assert "400 samples, 0 with labels, 0 lost" in said
    assert "certified: net loss ≤ 5.0%" in said
    assert (run / "policy.json").read_bytes() == before
    assert (tmp_path / "next" / "certificate.json").is_file()


def test_too_few_samples_are_a_no(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sampled(run, 20)
    before = (run / "policy.json").read_bytes()

    code, found = recertify(capsys, run)
    capsys.readouterr()
    spoken = main(["recertify", str(run)])

    assert (code, spoken) == (3, 3)
    assert found["written"] == []
    assert found["certificate"]["state"] == "uncertified"
    assert "uncertified" in capsys.readouterr().out
    assert (run / "policy.json").read_bytes() == before


def test_levels_are_not_taken_from_a_certificate_edited_by_hand(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sampled(run)
    path = run / "certificate.json"
    certificate = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**certificate, "alpha": 0.9}), encoding="utf-8")

    refused, said = recertify(capsys, run)
    code, _ = recertify(capsys, run, "--loss", "net", "--alpha", "0.05", "--delta", "0.05")

    assert refused == 1
    assert said["error"]["where"] == str(path)
    assert "it was changed after it was made" in said["error"]["what"]
    assert "`--loss`, `--alpha` and `--delta`" in said["error"]["hint"]
    assert code == 0


def test_a_sample_of_another_certificate_says_nothing(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sampled(run)
    assert recertify(capsys, run)[0] == 0

    code, found = recertify(capsys, run)

    assert code == 3
    assert found["samples"] == 0
    assert found["certificate"]["reasons"] == [
        "there is no audited sample of this certificate that may be used"
    ]


def test_what_the_cloud_did_not_answer_counts_against_the_edge(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sampled(run, lost=100)

    code, found = recertify(capsys, run)

    assert code == 0
    assert found["lost"] == 100
    assert found["certificate"]["deferral_rate"] > 0.8


def test_labels_tell_that_the_edge_was_right_where_the_cloud_differed(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sampled(run, wrong_below=0.9)
    labels = tmp_path / "labels.jsonl"
    rows = [json.dumps({"request_id": f"1-{n}", "label": "positive"}) for n in range(300)]
    labels.write_text("\n".join([*rows, ""]), encoding="utf-8")

    without = recertify(capsys, run, "--out", str(tmp_path / "without"))[1]
    code, found = recertify(capsys, run, "--labels", str(labels))

    assert code == 0
    assert (found["labelled"], found["samples"], found["left_out"]) == (300, 300, 100)
    assert found["certificate"]["deferral_rate"] < 0.6
    assert without["certificate"]["deferral_rate"] > 0.8
    assert any("300 of 400 samples have labels" in w for w in found["certificate"]["warnings"])


def test_an_error_among_the_kept_needs_labels(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sampled(run)

    code, found = recertify(capsys, run, "--loss", "kept_error")

    assert code == 2
    assert found["error"]["what"] == "`kept_error` needs labels"
    assert found["error"]["where"] == "recertify"
    assert found["error"]["hint"] == "give --labels, or --loss disagreement"


def test_what_a_judge_found_gives_a_certificate_of_the_loss_itself(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sampled(run, lost=10, judged=True)

    how = ("--whole", "--alpha", "0.15", "--out", str(tmp_path / "next"))
    code, found = recertify(capsys, run, *how)
    kept_error = recertify(capsys, run, *how, "--loss", "kept_error")[1]
    main(["recertify", str(run), *how])

    certificate = found["certificate"]
    assert code == 0
    assert (found["samples"], found["judged"], found["lost"]) == (400, 390, 10)
    # Answers differ below 0.3, and half of that is lost there.
    assert certificate["threshold"] < 0.25
    assert certificate["method"] == "fixed sequence, betting test"
    assert certificate["disagreement_limit"] > 0.05
    assert any("10 of 400 samples were not judged" in one for one in certificate["warnings"])
    assert kept_error["certificate"]["loss"] == "kept_error"
    assert kept_error["certificate"]["state"] == "certified"
    assert "400 samples, 390 judged, 0 with labels, 10 lost" in capsys.readouterr().out


def test_samples_of_different_shares_are_thinned_to_the_lowest(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sampled(run, 400)
    sampled(run, 1600, share=0.25, seed=2)

    code, found = recertify(capsys, run)

    assert code == 0
    assert 420 < found["samples"] < 580
    assert found["left_out"] > 200


def of_disagreement(run: Path) -> Certificate:
    """Let the policy of a run be certified for another loss."""
    policy = read_json(Policy, run / "policy.json")
    assert policy.certificate is not None
    certificate = seal(replace(policy.certificate, loss=Loss.DISAGREEMENT))
    write_json(run / "policy.json", replace(policy, certificate=certificate))
    return certificate


def test_a_plan_counts_on_no_certificate_that_the_audit_has_refuted(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json(run / "certificate.json", of_disagreement(run))

    main(["plan", str(run), "--json"])
    before = json.loads(capsys.readouterr().out)["options"][2]
    sampled(run, 800, wrong_below=0.5)
    main(["plan", str(run), "--json"])
    after = json.loads(capsys.readouterr().out)["options"][2]

    assert (before["name"], after["name"]) == ("hybrid", "hybrid")
    assert not any("void" in reason for reason in before["reasons"])
    assert any("its certificate is void" in reason for reason in after["reasons"])
    assert not after["feasible"]
    assert after["monthly_usd"] >= before["monthly_usd"]


def test_after_a_void_only_later_samples_count(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_disagreement(run)
    sampled(run, 800, wrong_below=0.5)

    since = recertify(capsys, run, "--out", str(run.parent / "since"))[1]
    whole = recertify(capsys, run, "--whole", "--out", str(run.parent / "whole"))[1]

    assert since["since_void"]
    assert not whole["since_void"]
    assert whole["samples"] == 800
    assert 0 < since["samples"] < 800
    assert since["left_out"] == 800 - since["samples"]


def test_a_quote_that_is_not_closed_is_no_csv(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('request_id,label\n"' + "a" * 200_000, encoding="utf-8")
    before = csv.field_size_limit(131_072)  # as a process has it that read no splits

    try:
        with pytest.raises(InvalidData) as caught:
            read_truths(path, ("no", "yes"))
    finally:
        csv.field_size_limit(before)

    assert caught.value.what == "no CSV: field larger than field limit (131072)"
    assert (caught.value.where, caught.value.hint) == (
        str(path),
        "look for a quote that is not closed",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.jsonl", '{"text": "one\u2028two", "request_id": "a", "label": "yes"}\n'),
        ("labels.JSONL", '{"request_id": "a", "label": "yes"}\n'),
        ("labels.csv", 'text,request_id,label\n"one\ntwo\x85three",a,yes\n'),
    ],
)
def test_labels_may_stand_beside_texts_of_any_kind(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")

    assert read_truths(path, ("no", "yes")) == {"a": "yes"}


@pytest.mark.parametrize(
    ("name", "text", "what", "line"),
    [
        ("labels.csv", 'text,request_id,label\n"one\ntwo",,positive\n', "no request id", ":3"),
        ("labels.csv", "request_id,label\n,positive\n", "no request id or no label", ":2"),
        ("labels.csv", "request_id,label\na,purple\n", "label `purple` is none", ":2"),
        ("labels.jsonl", '{"request_id": "a"}', "no request id or no label", ":1"),
        ("labels.jsonl", "{", "no JSON", ":1"),
        ("labels.jsonl", "[]", "no JSON object", ":1"),
        ("labels.jsonl", "[" * 100_000, "no JSON", ":1"),
        ("absent.csv", None, "can't be read: FileNotFoundError", ""),
    ],
)
def test_labels_that_can_not_be_used_are_named_by_their_line(
    run: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str | None,
    what: str,
    line: str,
) -> None:
    sampled(run, 5)
    path = run.parent / name
    if text is not None:
        path.write_text(text, encoding="utf-8")

    code, found = recertify(capsys, run, "--labels", str(path))

    assert code == 1
    assert found["error"]["what"].startswith(what)
    assert found["error"]["where"] == f"{path}{line}"
    assert found["error"]["hint"]


def test_a_run_that_was_never_audited_says_so(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = recertify(capsys, run)

    assert code == 1
    assert found["error"]["what"] == "there is no such file"


def test_a_project_with_an_audit_gives_its_policy_rules_and_a_reference(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Path(shutil.copytree(finished_run, tmp_path / "project"))
    spec = project / "edgewise.yaml"
    spec.write_text(
        spec.read_text(encoding="utf-8") + "audit: {share: 0.1, on_void: warn}\n", encoding="utf-8"
    )

    code = main(["run", str(spec), "--out", str(project / "run"), "--json"])
    capsys.readouterr()
    policy = read_json(Policy, project / "run" / "policy.json")

    assert code == 0
    assert policy.audit == AuditRules(share=0.1, on_void=OnVoid.WARN)
    assert policy.drift is not None
    names = [one.name for one in policy.drift.reference]
    assert names == ["length", "confidence", "language", "embedding_0"]
    assert all(sum(one.counts) == 250 for one in policy.drift.reference)


def test_how_often_labels_differ_is_not_a_judges_to_say(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sampled(run, judged=True)

    how = ("--whole", "--alpha", "0.15", "--out", str(tmp_path / "next"))
    code, found = recertify(capsys, run, *how, "--loss", "disagreement")

    # Below 0.3 answers differ, and the judge finds half of that lost.
    certificate = found["certificate"]
    assert code == 0
    assert found["judged"] is None
    assert certificate["loss"] == "disagreement"
    assert certificate["method"] == "fixed sequence, exact binomial test"
    assert certificate["empirical_loss"] > 0.1
    assert certificate["threshold"] > 0.15
