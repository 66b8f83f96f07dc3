"""`edgewise calibrate` on a finished run: what it writes, and what it answers no to."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from edgewise import HybridInferenceEngine
from edgewise.cli import main
from edgewise.pipeline.alone import alone_on

pytestmark = pytest.mark.integration


@pytest.fixture
def project(finished_run: Path, tmp_path: Path) -> Path:
    """Give a copy of a finished project that a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / "project"))


def calibrate(
    capsys: pytest.CaptureFixture[str], run: Path, labels: Path, *options: str
) -> tuple[int, dict]:  # type: ignore[type-arg]
    code = main(["calibrate", str(run), "--labels", str(labels), *options, "--json"])
    return code, json.loads(capsys.readouterr().out)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_new_labels_give_the_run_a_new_certificate_that_verifies_and_serves(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, labels = project / "run", project / "calibration.csv"
    (run / "decisions.sqlite").write_text("of the engine", encoding="utf-8")

    code, found = calibrate(capsys, run, labels, "--alpha", "0.1")

    certificate = json.loads((run / "certificate.json").read_text(encoding="utf-8"))
    policy = json.loads((run / "policy.json").read_text(encoding="utf-8"))
    summary = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert code == 0
    assert found["certificate"] == {k: v for k, v in certificate.items() if k != "schema_version"}
    assert certificate["alpha"] == 0.1
    assert certificate["cloud_answers"] == "assume_right"
    assert policy["tiers"][0]["threshold"] == certificate["threshold"]
    assert policy["certificate"]["seal_sha256"] == certificate["seal_sha256"] != ""
    assert summary["certificate"]["alpha"] == 0.1
    assert found["written"] == [
        str(run / name) for name in ("certificate.json", "policy.json", "calibration.html")
    ]
    assert (run / "decisions.sqlite").read_text(encoding="utf-8") == "of the engine"
    assert main(["verify", str(run)]) == 0
    with HybridInferenceEngine(policy=run / "policy.json") as engine:
        assert engine.policy.certificate is not None
        assert engine.policy.certificate.alpha == 0.1


def test_the_plot_is_one_page_without_anything_from_outside(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = project / "elsewhere"
    before = {p: p.read_bytes() for p in (project / "run").rglob("*") if p.is_file()}

    code, found = calibrate(capsys, project / "run", project / "calibration.csv", "--out", str(out))

    page = (out / "calibration.html").read_text(encoding="utf-8")
    assert code == 0
    assert page.count("<svg") == 2  # the one plot, laid out wide and narrow
    assert "share sent to the cloud" in page
    assert f"chosen: {found['certificate']['threshold']:.4g}" in page
    assert not re.search(r"(src|href)=|https?://", page)
    assert sorted(path.name for path in out.iterdir()) == [
        "calibration.html",
        "certificate.json",
        "policy.json",
    ]
    after = {p: p.read_bytes() for p in (project / "run").rglob("*") if p.is_file()}
    assert after == before


def test_the_run_itself_as_out_stays_whole(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = project / "run"
    out = ("--out", f"{run.parent}/./run", "--alpha", "0.1")

    code, _ = calibrate(capsys, run, project / "calibration.csv", *out)

    assert code == 0
    assert main(["verify", str(run)]) == 0
    assert json.loads((run / "certificate.json").read_text(encoding="utf-8"))["alpha"] == 0.1


@pytest.mark.parametrize("exchanged", [True, False])
def test_a_plot_goes_with_its_certificate_when_the_project_is_run_again(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    exchanged: bool,
) -> None:
    run = project / "run"
    before = (run / "certificate.json").read_bytes()
    calibrate(capsys, run, project / "calibration.csv", "--alpha", "0.1")
    assert (run / "calibration.html").exists()
    (run / "decisions.sqlite").write_text("of the engine", encoding="utf-8")
    if not exchanged:  # then the parts are moved one by one
        (run / "of others").mkdir()

    code = main(["run", str(project / "edgewise.yaml"), "--out", str(run)])

    assert code == 0
    assert (run / "certificate.json").read_bytes() == before
    assert not (run / "calibration.html").exists()
    assert (run / "decisions.sqlite").read_text(encoding="utf-8") == "of the engine"
    assert (run / "of others").is_dir() is not exchanged
    assert main(["verify", str(run)]) == 0


def test_a_run_that_another_is_at_work_on_is_left_alone(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = project / "run"

    with alone_on(run):
        code, found = calibrate(capsys, run, project / "calibration.csv", "--alpha", "0.1")
        elsewhere, _ = calibrate(
            capsys,
            run,
            project / "calibration.csv",
            "--alpha",
            "0.1",
            "--out",
            str(run.parent / "b"),
        )

    assert (code, elsewhere) == (1, 0)
    assert found["error"]["what"] == "another run is at work on it"
    assert main(["verify", str(run)]) == 0


def test_too_few_labels_are_answered_no_and_change_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = project / "run"
    few = write_rows(project / "few.csv", rows_of(project / "calibration.csv")[:20])
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}

    code, found = calibrate(capsys, run, few, "--alpha", "0.02", "--loss", "regret")

    assert code == 3
    assert found["written"] == []
    assert found["certificate"]["state"] == "uncertified"
    assert found["labels_would_do"] == 149
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_people_are_told_in_words(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = write_rows(project / "few.csv", rows_of(project / "calibration.csv")[:20])

    no = main(["calibrate", str(project / "run"), "--labels", str(few)])
    refused = capsys.readouterr().out
    enough = ("--labels", str(project / "calibration.csv"), "--alpha", "0.1")
    yes = main(["calibrate", str(project / "run"), *enough])
    told = capsys.readouterr().out

    assert (no, yes) == (3, 0)
    assert "uncertified" in refused
    assert "20 labels are too few" in refused
    assert "certified: net loss ≤ 10.0% at 95% confidence" in told
    assert "calibration.html" in told


def test_the_clouds_answers_groups_and_clusters_are_columns(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(project / "calibration.csv")
    for at, row in enumerate(rows):
        row |= {"far": "positive" if at % 10 == 0 else row["label"], "half": str(at % 2)}
        row["user"] = str(at // 2)
    labels = write_rows(project / "answered.csv", rows)
    columns = ("--cloud-column", "far", "--group-column", "half", "--alpha", "0.2")

    code, found = calibrate(capsys, project / "run", labels, *columns)
    _, clustered = calibrate(
        capsys, project / "run", labels, "--cluster-column", "user", "--alpha", "0.2"
    )

    share = sum(row["far"] == row["label"] for row in rows) / len(rows)
    assert code == 0
    assert found["certificate"]["cloud_answers"] == "column"
    assert found["cloud_accuracy"] == pytest.approx(share)
    assert "each of 2 groups too" in found["certificate"]["method"]
    assert "of 125 clusters' means" in clustered["certificate"]["method"]


def test_an_answer_of_the_cloud_that_is_no_label_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**row, "far": f" {row['label']} "} for row in rows_of(project / "calibration.csv")]
    padded = write_rows(project / "padded.csv", rows)
    rows[3]["far"] = rows[3]["label"].title()
    wrong = write_rows(project / "wrong.csv", rows)
    asked = ("--cloud-column", "far", "--alpha", "0.2")

    code, found = calibrate(capsys, project / "run", padded, *asked)
    no, refused = calibrate(capsys, project / "run", wrong, *asked)

    assert (code, found["cloud_accuracy"]) == (0, 1.0)
    assert no == 1
    assert refused["error"] == {
        "kind": "InvalidData",
        "what": f"the cloud's answer `{rows[3]['far']}` is no label",
        "where": f"{wrong}: row 4",
        "hint": "labels are: negative, positive",
    }


def test_disagreement_is_with_the_clouds_column(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**row, "far": row["label"]} for row in rows_of(project / "calibration.csv")]
    labels = write_rows(project / "answered.csv", rows)
    asked = ("--loss", "disagreement", "--alpha", "0.2")

    code, found = calibrate(capsys, project / "run", labels, *asked, "--cloud-column", "far")
    wrong, refused = calibrate(capsys, project / "run", labels, *asked)

    assert code == 0
    assert found["certificate"]["loss"] == "disagreement"
    assert wrong == 2
    assert refused["error"]["what"] == "`disagreement` needs the cloud's answers"


def test_a_certificate_edited_by_hand_fails_verification(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "run" / "certificate.json"
    certificate = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**certificate, "n": 9999}), encoding="utf-8")

    code = main(["verify", str(project / "run"), "--json"])

    checks = {c["name"]: c for c in json.loads(capsys.readouterr().out)["checks"]}
    assert code == 3
    assert "it was changed after it was made" in checks["certificate"]["detail"]


def test_levels_are_not_taken_from_a_certificate_edited_by_hand(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "run" / "certificate.json"
    certificate = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**certificate, "alpha": 0.9}), encoding="utf-8")
    labels = project / "calibration.csv"
    levels = ("--alpha", "0.2", "--delta", "0.05")

    refused, said = calibrate(capsys, project / "run", labels, *levels)
    code, found = calibrate(capsys, project / "run", labels, *levels, "--loss", "net")

    assert refused == 1
    assert said["error"]["where"] == str(path)
    assert "it was changed after it was made" in said["error"]["what"]
    assert "`--loss`, `--alpha` and `--delta`" in said["error"]["hint"]
    assert code == 0
    assert found["certificate"]["alpha"] == 0.2


@pytest.mark.parametrize(
    ("change", "code", "what"),
    [
        ({"label": "neutral"}, 1, "label `neutral` is none of the bundle's"),
        ({"text": "write to a@b.example"}, 1, "privacy keeps every row on the device"),
    ],
)
def test_labels_that_do_not_do_are_refused(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    code: int,
    what: str,
) -> None:
    policy = project / "run" / "policy.json"
    record = json.loads(policy.read_text(encoding="utf-8"))
    record["privacy"]["detect"] = ["email"]
    policy.write_text(json.dumps(record), encoding="utf-8")
    rows = [{**row, **change} for row in rows_of(project / "calibration.csv")]
    labels = write_rows(project / "wrong.csv", rows)

    got, refused = calibrate(capsys, project / "run", labels)

    assert got == code
    assert refused["error"]["what"] == what
    assert refused["error"]["hint"]


def test_a_level_out_of_range_is_wrong_usage(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = project / "calibration.csv"

    for option in ("--alpha", "--delta"):
        for value in ("0", "1", "-0.5", "nan"):
            code, found = calibrate(capsys, project / "run", labels, option, value)
            assert code == 2
            assert "between 0 and 1" in found["error"]["hint"]
    code, found = calibrate(capsys, project / "run", project / "absent.csv", "--alpha", "2")
    assert (code, found["error"]["where"]) == (2, "certify"), "told before a row is answered"


def test_what_does_not_belong_together_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = project / "run" / "policy.json"
    record = json.loads(policy.read_text(encoding="utf-8"))
    labels = project / "calibration.csv"

    def refusal(**changes: object) -> tuple[int, str]:
        policy.write_text(json.dumps({**record, **changes}), encoding="utf-8")
        code, found = calibrate(capsys, project / "run", labels)
        return code, found["error"]["what"]

    assert refusal(tiers=record["tiers"][:1]) == (2, "there is no tier to defer to")
    assert refusal(bundle_sha256="0" * 64)[1].startswith("made for bundle 000000000000")
    assert refusal(task="image-classification")[1].startswith("the file is for text-class")
    assert refusal(schema_version=99)[1].startswith("schema version 99")


def test_rows_that_would_do_are_of_as_many_more_clusters(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(project / "calibration.csv")[:100]
    users = [{**row, "user": f"u{at // 5}"} for at, row in enumerate(rows)]
    labels = write_rows(project / "users.csv", users)

    how = ("--cluster-column", "user", "--alpha", "0.02", "--loss", "regret")
    code, found = calibrate(capsys, project / "run", labels, *how)

    assert code == 3
    assert "20 clusters are too few: 149 would do" in found["certificate"]["reasons"][0]
    assert found["labels_would_do"] == 5 * 149


@pytest.mark.parametrize(
    "arguments", [("calibrate", "--labels", "calibration.csv"), ("recertify",)]
)
def test_a_certificate_does_not_go_into_another_run(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    run, other = project / "run", project / "other"
    shutil.copytree(run, other)
    verb, *more = arguments
    more = [str(project / one) if one.endswith(".csv") else one for one in more]

    assert main([verb, str(run), *more, "--alpha", "0.1", "--out", str(other)]) == 1

    assert f"{other}: it holds another run" in capsys.readouterr().err
    assert main(["verify", str(other)]) == 0


def test_optimize_leaves_a_run_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = ["optimize", str(project / "model"), "--data", str(project / "train.csv")]

    assert main([*order, "--passes", "float32", "--out", str(project / "run")]) == 1

    assert f"{project / 'run'}: it holds a run" in capsys.readouterr().err
    assert main(["verify", str(project / "run")]) == 0
