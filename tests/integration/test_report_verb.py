"""`edgewise report`: the report of a run once more."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgewise.cli import main
from edgewise.records import (
    Certificate,
    OptionReplay,
    Plan,
    TraceReplay,
    read_json,
    write_json,
)

pytestmark = pytest.mark.integration


def test_a_run_is_markdown_on_stdout(
    finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(finished_run / "run")]) == 0

    shown = capsys.readouterr().out
    run = json.loads((finished_run / "run" / "run.json").read_text("utf-8"))
    assert shown.startswith(f"# {run['plan']['recommendation']}\n")
    assert f"- edge accuracy {run['quality']['edge']:.1%} on 100 test rows" in shown
    assert "## What is promised\n\n**certified**: keeping the answers" in shown
    for title in ("Options", "Decisions by confidence", "Answers within", "Candidates", "Figures"):
        assert f"## {title}\n\n| " in shown


def test_a_run_without_a_certificate_says_why_in_markdown(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished_run / "run", tmp_path / "run"))
    certificate = json.loads((run / "certificate.json").read_text("utf-8"))
    certificate |= {"state": "uncertified", "threshold": None, "bound": None, "reasons": ["few"]}
    (run / "certificate.json").write_text(json.dumps(certificate), encoding="utf-8")
    summary = json.loads((run / "run.json").read_text("utf-8"))
    summary["quality"] |= {"cloud": None, "hybrid": None}
    (run / "run.json").write_text(json.dumps(summary), encoding="utf-8")

    assert main(["report", str(run)]) == 0

    shown = capsys.readouterr().out
    assert "**uncertified**: few" in shown
    assert "hybrid accuracy" not in shown


def test_the_page_is_the_one_of_the_run(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = finished_run / "run", tmp_path / "copy.html"

    assert main(["report", str(run), "--format", "html", "--out", str(out), "--json"]) == 0

    assert out.read_bytes() == (run / "report.html").read_bytes()
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["path"]) == ("html", str(out))
    assert main(["report", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"].startswith("# ")


def test_a_plan_of_a_run_keeps_its_map_of_decisions(finished_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.html"

    main(["plan", str(finished_run / "run"), "--format", "html", "--out", str(out)])

    page = out.read_text("utf-8")
    assert "<figcaption>Decisions by confidence</figcaption>" in page
    assert "Measured one at a time: edge. Assumed lognormal" in page


@pytest.mark.parametrize("replayed", [True, False])
def test_a_run_that_was_certified_anew_is_planned_without_what_its_old_threshold_did(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, replayed: bool
) -> None:
    run = Path(shutil.copytree(finished_run / "run", tmp_path / "run"))
    plan = read_json(Plan, run / "plan.json")
    names = ("edge", "cloud", "hybrid")
    replay = TraceReplay(
        trace="asked.csv",
        requests=1000,
        span_s=100.0,
        per_s=10.0,
        gap_cv2=1.0,
        peak_ratio=None,
        input_tokens=1.0,
        output_tokens=1.0,
        options=tuple(OptionReplay(option=one, points=((0.95, 9.0),)) for one in names),
    )
    write_json(run / "plan.json", replace(plan, replay=replay if replayed else None))
    certificate = read_json(Certificate, run / "certificate.json")
    raised = replace(certificate, threshold=0.99, deferral_rate=0.9)
    write_json(run / "certificate.json", raised)

    main(["plan", str(run), "--json"])

    found = json.loads(capsys.readouterr().out)
    options = {one["name"]: one for one in found["options"]}
    assert found["decisions"] == []
    assert options["hybrid"]["quality_loss"] is None
    assert (options["edge"]["latency_p95_ms"] == 9.0) is replayed
    assert options["hybrid"]["latency_p95_ms"] != 9.0
    assert any("replayed at another threshold" in one for one in found["warnings"]) is replayed


@pytest.mark.parametrize(("threshold", "seen"), [(0.99, False), (None, True)])
def test_the_markdown_of_a_run_certified_anew_has_the_plan_of_that_certificate(
    finished_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    threshold: float | None,
    seen: bool,
) -> None:
    run = Path(shutil.copytree(finished_run / "run", tmp_path / "run"))
    before = read_json(Certificate, run / "certificate.json")
    anew = replace(before, threshold=threshold or before.threshold, deferral_rate=0.9)
    write_json(run / "certificate.json", anew)
    main(["plan", str(run), "--json"])
    planned = json.loads(capsys.readouterr().out)

    assert main(["report", str(run)]) == 0

    shown = capsys.readouterr().out
    assert shown.startswith(f"# {planned['recommendation']}\n")
    assert "| share deferred | 0.9 " in shown
    # What the hybrid did on the test split, it did at the threshold that was there then.
    assert ("hybrid accuracy" in shown) is seen


def test_a_page_says_that_its_certificate_is_another_than_the_one_that_is_there(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished_run / "run", tmp_path / "run"))
    page = ["report", str(run), "--format", "html", "--out", str(tmp_path / "page.html")]
    main(page)
    assert capsys.readouterr().err == ""
    certificate = read_json(Certificate, run / "certificate.json")
    write_json(run / "certificate.json", replace(certificate, threshold=0.99))

    assert main(page) == 0

    assert "the page is of an earlier certificate" in capsys.readouterr().err
    (run / "certificate.json").unlink()
    assert main(page) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "what", "hint"),
    [
        (["RUN", "--format", "pdf"], 2, "--format pdf: a PDF needs a file", "--out report.pdf"),
        (["RUN/plan.json"], 1, "plan.json: not a run's directory", "edgewise run --out"),
        (["RUN", "--format", "html"], 1, "report.html: there is no report to read", "anew"),
        (["RUN"], 1, "certificate.json: no such file", "edgewise run"),
    ],
)
def test_what_can_not_be_is_refused(
    finished_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    what: str,
    hint: str,
) -> None:
    run = Path(shutil.copytree(finished_run / "run", tmp_path / "run"))
    (run / "report.html").unlink()
    (run / "certificate.json").unlink()

    assert main(["report", *(one.replace("RUN", str(run)) for one in arguments)]) == code

    said = capsys.readouterr().err
    assert what in said
    assert hint in said.partition("hint: ")[2]
