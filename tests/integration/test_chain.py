"""From edgewise.yaml to a run directory, by the command line, on a real small model."""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_project import SPEC, write_project

from edgewise import HybridInferenceEngine
from edgewise.cli import main
from edgewise.records import DeviceState
from edgewise.testing.route import FakeEndpoint

pytestmark = pytest.mark.integration


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:  # type: ignore[type-arg]
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_run_has_the_parts_and_keys_of_the_design(
    finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = finished_run / "run"

    code, found = run_json(capsys, "run", str(finished_run / "edgewise.yaml"), "--out", str(out))

    assert code == 0
    names = {"profile.json", "certificate.json", "policy.json", "plan.json", "report.html"}
    assert names <= {path.name for path in out.iterdir()}
    assert set(found["bundle"]) >= {"path", "sha256", "size_bytes", "runtime", "recipe"}
    assert set(found["profile"]) >= {"p50_ms", "p95_ms", "peak_memory_bytes", "cold_start_ms"}
    assert set(found["quality"]) >= {"metric", "edge", "cloud", "hybrid", "source", "n"}
    keys = {"state", "loss", "alpha", "delta", "n", "threshold", "deferral_rate"}
    assert set(found["certificate"]) >= keys
    assert set(found["plan"]["monthly_usd"]) == {"edge", "cloud", "hybrid"}
    assert "break_even_requests_per_month" in found["plan"]
    assert found["source"]["size_bytes"] > 0


def test_a_second_run_does_nothing(finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = finished_run / "run"
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}

    _, found = run_json(capsys, "run", str(finished_run / "edgewise.yaml"), "--out", str(out))

    assert found["done"] == []
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_rule_that_changes_alone_reaches_the_policy_and_builds_nothing(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Path(shutil.copytree(finished_run, tmp_path / "project"))
    spec, out = project / "edgewise.yaml", project / "run"
    rules = "privacy: {detect: [email]}\nrouting: {deadline_ms: 250, hedge: {}}\n"
    spec.write_text(spec.read_text("utf-8") + rules, encoding="utf-8")

    _, found = run_json(capsys, "run", str(spec), "--out", str(out))
    _, again = run_json(capsys, "run", str(spec), "--out", str(out))
    _, diff = run_json(capsys, "policy", "diff", str(finished_run / "run"), str(out))

    assert found["done"] == ["publish"]
    assert again["done"] == []
    assert [one["path"] for one in diff["changes"]] == [
        *("privacy.kinds.email", "hedge", "deadline_ms")
    ]
    assert main(["verify", str(out)]) == 0


def test_a_number_of_the_plan_that_changes_alone_reaches_it(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Path(shutil.copytree(finished_run, tmp_path / "project"))
    spec, out = project / "edgewise.yaml", project / "run"
    spec.write_text(spec.read_text("utf-8") + "costs: {discount_rate_per_year: 0.31}\n", "utf-8")

    _, found = run_json(capsys, "run", str(spec), "--out", str(out))
    _, again = run_json(capsys, "run", str(spec), "--out", str(out))

    plan = json.loads((out / "plan.json").read_text("utf-8"))
    assert plan["basis"]["costs"]["discount_rate_per_year"] == 0.31
    assert (found["done"], again["done"]) == (["publish"], [])


async def test_an_equal_cloud_stands_in_for_one_that_is_gone(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Path(shutil.copytree(finished_run, tmp_path / "project"))
    spec, out = project / "edgewise.yaml", project / "run"
    says = {"label": "negative", "probabilities": {"negative": 0.9, "positive": 0.1}}
    with FakeEndpoint([(200, says)]) as west:
        gone = f'endpoint: "http://127.0.0.1:9", protocol: json, equals: {{west: "{west.url}"}}, '
        text = spec.read_text("utf-8").replace("answers: assume", gone + "answers: assume")
        rule = "routing: {device: [{name: heat, throttled: true}]}\n"
        spec.write_text(text + rule, encoding="utf-8")
        run_json(capsys, "run", str(spec), "--out", str(out))
        hot = DeviceState(throttled=True)
        async with HybridInferenceEngine(
            policy=out / "policy.json", read_device=lambda: hot
        ) as engine:
            result = await engine.predict({"text": "good film"})
            home = await engine.predict({"text": "good film", "privacy_flag": True})

    assert (result.prediction, result.location) == ("negative", "west")
    assert [one["tier"] for one in result.attempts] == ["cloud", "west"]
    assert {"device_state", "tier_failed", "stand_in"} <= set(result.reasons)
    assert home.location == "edge"


def test_an_uninterrupted_run_verifies(
    finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = run_json(capsys, "verify", str(finished_run / "run"))

    assert code == 0
    assert found["holds"]


def test_a_changed_byte_fails_verification_and_prediction(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run / "run", run)
    model = run / "bundle" / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)

    assert main(["verify", str(run)]) == 3
    assert main(["predict", str(run), "--text", "a good day"]) == 1
    assert "differ from the manifest's hash" in capsys.readouterr().err


def test_a_policy_for_another_bundle_is_refused(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run / "run", run)
    policy = json.loads((run / "policy.json").read_text())
    policy["bundle_sha256"] = "0" * 64
    (run / "policy.json").write_text(json.dumps(policy))

    assert main(["verify", str(run)]) == 3
    assert main(["predict", str(run), "--text", "a good day", "--private"]) == 1
    assert "bundle" in capsys.readouterr().err


def test_predict_explains_and_logs_each_decision(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run / "run", run)

    assert main(["predict", str(run), "--text", "a superb film", "--private", "--explain"]) == 0

    assert "privacy_flag" in capsys.readouterr().out
    assert (run / "decisions.sqlite").is_file()
    assert b"superb" not in (run / "decisions.sqlite").read_bytes()


def test_the_python_api_answers_from_a_run(finished_run: Path) -> None:
    with HybridInferenceEngine(policy=finished_run / "run" / "policy.json") as engine:
        result = engine.predict_sync({"text": "a great trip", "privacy_flag": True})

    assert result["location"] == "edge"
    assert result.prediction in ("negative", "positive")
    assert 0.0 <= result["confidence"] <= 1.0


def test_no_room_on_the_device_is_answered_no(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path, SPEC.replace("memory: 1GiB", "storage: 1KiB"))

    code, found = run_json(capsys, "run", str(project), "--out", str(tmp_path / "run"))

    assert code == 3
    assert "storage" in found["reasons"][0]
    assert not (tmp_path / "run").exists()


def test_a_corrupt_model_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path)
    (tmp_path / "model/model.safetensors").write_bytes(b"not a model")

    assert main(["run", str(project), "--out", str(tmp_path / "run")]) == 1
    assert "safetensors" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_runs_of_a_project_at_once_do_not_touch_each_others_candidates(
    finished_run: Path, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(finished_run, tmp_path / "project"))
    shutil.rmtree(project / ".edgewise")
    shutil.rmtree(project / "run")
    command = [sys.executable, "-m", "edgewise", "run", str(project / "edgewise.yaml"), "--out"]
    pipe = subprocess.PIPE

    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(
                subprocess.Popen([*command, str(tmp_path / out)], stdout=pipe, stderr=pipe)
            )
            for out in ("one", "two")
        ]
        said = [run.communicate() for run in runs]

    assert [run.returncode for run in runs] == [0, 0], said
    assert all(main(["verify", str(tmp_path / out)]) == 0 for out in ("one", "two"))
    assert not list((project / ".edgewise/features").glob("*candidates*"))


def test_overlapping_splits_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path)
    shutil.copy(tmp_path / "train.csv", tmp_path / "test.csv")

    assert main(["run", str(project)]) == 1
    assert "two splits" in capsys.readouterr().err


def test_a_refusal_shows_every_candidate_and_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = SPEC.replace("memory: 1GiB", "storage: 1KiB").replace("0.5}\n", "0.5, layers: [1]}\n")
    project = write_project(tmp_path, small)

    assert main(["run", str(project), "--out", str(tmp_path / "run")]) == 3

    shown = capsys.readouterr().out
    assert shown.startswith("tiny: no bundle may ship\n")
    assert "candidate" in shown
    assert "storage is 1.0 KiB" in shown
    assert "\n  - " in shown


def test_without_a_cloud_the_edge_is_measured_and_planned_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = SPEC.splitlines(keepends=True)
    alone = "".join(line for line in lines if not line.startswith("  cloud:"))
    alone = alone.replace("0.5}\n", "0.5, layers: [1], recipes: [float32]}\n")
    project, out = write_project(tmp_path, alone), tmp_path / "run"

    code, found = run_json(capsys, "run", str(project), "--out", str(out))

    assert code == 0
    assert found["quality"]["edge"] > 0.5
    assert (found["quality"]["cloud"], found["quality"]["hybrid"]) == (None, None)
    assert found["certificate"]["state"] == "uncertified"
    assert "no cloud tier" in found["certificate"]["reasons"][0]
    assert found["plan"]["recommendation"].startswith("Run on the edge")
    assert [t["name"] for t in json.loads((out / "policy.json").read_text())["tiers"]] == ["edge"]
    assert "Accuracy against deferral" not in (out / "report.html").read_text(encoding="utf-8")
    assert main(["verify", str(out)]) == 0
    assert main(["predict", str(out), "--text", "a superb film"]) == 0


@pytest.mark.slow
def test_the_trace_of_the_workload_is_replayed_with_the_measured_profile_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = SPEC.splitlines(keepends=True)
    alone = "".join(line for line in lines if not line.startswith(("  cloud:", "workload:")))
    alone = alone.replace("0.5}\n", "0.5, layers: [1], recipes: [float32]}\n")
    project = write_project(tmp_path, f"{alone}\nworkload: {{trace: day.csv}}\n")
    out, again = tmp_path / "run", tmp_path / "again"
    assert main(["run", str(project), "--out", str(out)]) == 1
    assert "day.csv: can't be read: No such file" in capsys.readouterr().err
    rows = "".join(f"{n},10,1\n" * 3 for n in range(100))
    (tmp_path / "day.csv").write_text(f"t_s,input_tokens,output_tokens\n{rows}")

    code, found = run_json(capsys, "run", str(project), "--out", str(out))
    _, same = run_json(capsys, "run", str(project), "--out", str(again))
    _, planned = run_json(capsys, "plan", str(out))

    assert code == 0
    assert "replay" in found["done"]
    assert "replay" in same["cached"]
    assert planned == json.loads((out / "plan.json").read_text())
    assert planned["replay"]["requests"] == 300
    assert [one["is_simulated"] for one in planned["latency"]] == [True]
    # The third of three at once waits for two others.
    assert planned["options"][0]["latency_p95_ms"] > 2 * found["profile"]["p50_ms"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Simulated: 300 requests of day.csv, whose gaps have a CV² of" in page


@pytest.mark.slow
def test_a_certificate_of_clusters_counts_each_of_them_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path, SPEC.replace("0.05}\nopt", "0.2}\nopt"))
    for name in ("train", "calibration", "test"):
        path = tmp_path / f"{name}.csv"
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        told = [f"{row},{name}-{at // 3}" for at, row in enumerate(rows)]
        path.write_text("\n".join([f"{header},user", *told]) + "\n", encoding="utf-8")
    text = project.read_text(encoding="utf-8")
    named = "test: test.csv, columns: {text: text, label: label, cluster: user}}"
    project.write_text(text.replace("test: test.csv}", named), encoding="utf-8")

    code, _ = run_json(capsys, "run", str(project), "--out", str(tmp_path / "run"))

    certificate = json.loads((tmp_path / "run/certificate.json").read_text(encoding="utf-8"))
    assert code == 0
    assert certificate["n"] == 250
    assert "of 84 clusters' means" in certificate["method"]
    assert certificate["warnings"][0].startswith("250 rows of 84 clusters err together")


def test_disagreement_is_certified_against_the_clouds_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    differing = SPEC.replace("_loss: 0.05}", "_loss: 0.05, loss: disagreement}")
    project = write_project(tmp_path, differing.replace("0.5}\n", "0.5, layers: [1]}\n"))

    code, found = run_json(capsys, "run", str(project), "--out", str(tmp_path / "run"))

    assert code == 0
    assert found["certificate"]["loss"] == "disagreement"
    assert found["certificate"]["n"] == 250


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("threshold", "is not the certified one"),
        ("certificate", "holds another certificate than certificate.json"),
    ],
)
def test_a_policy_that_left_its_certificate_fails_verification(
    finished_run: Path, tmp_path: Path, part: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run / "run", run)
    policy = json.loads((run / "policy.json").read_text())
    if part == "threshold":
        policy["tiers"][0]["threshold"] = 0.123
    else:
        policy["certificate"]["alpha"] = 0.4
    (run / "policy.json").write_text(json.dumps(policy))

    code, found = run_json(capsys, "verify", str(run))

    assert code == 3
    failed = [check for check in found["checks"] if not check["holds"]]
    assert [check["name"] for check in failed] == ["policy", "summary"]
    assert said in failed[0]["detail"]


def test_a_run_is_planned_again_by_what_it_measured(
    finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = finished_run / "run"
    before = json.loads((out / "plan.json").read_text())

    code, again = run_json(capsys, "plan", str(out))

    assert code == 0
    assert again == before
    page = (out / "report.html").read_text()
    for title in ("Cost by volume", "Cost over time", "Trade-offs"):
        assert f"<figcaption>{title}</figcaption>" in page
    assert "<summary>as CSV</summary>" in page


def test_a_plan_that_does_not_say_what_it_was_made_from_is_refused(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = json.loads((finished_run / "run/plan.json").read_text())
    (tmp_path / "plan.json").write_text(json.dumps({**old, "basis": None}))

    code, found = run_json(capsys, "plan", str(tmp_path))

    assert code == 1
    assert found["error"]["what"] == "the plan does not say what it was planned from"
    assert found["error"]["where"].endswith("plan.json")
    assert found["error"]["hint"] == "make it anew with `edgewise run`"
