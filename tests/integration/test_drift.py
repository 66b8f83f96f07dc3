"""A run whose live inputs drift says so in metrics, results and its log: through the verbs."""

import csv
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from gateways import served
from tiny_project import BAD

from edgewise.cli import main
from edgewise.observe import DecisionLog
from edgewise.records import Policy, read_json

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


def texts_of(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as rows:
        return [row["text"] for row in csv.DictReader(rows)]


def ask(client: httpx2.Client, texts: Sequence[str], **more: object) -> httpx2.Response:
    response = client.post("/predict", json={"inputs": [{"text": one, **more} for one in texts]})
    assert response.status_code == 200
    return response


def metrics_of(client: httpx2.Client) -> list[str]:
    text = client.get("/metrics").text
    return [line for line in text.splitlines() if line.startswith("edgewise_input_drift{")]


def test_a_served_run_says_when_inputs_differ_and_when_they_do_no_more(
    finished_run: Path, tmp_path: Path
) -> None:
    alike = texts_of(finished_run / "calibration.csv") * 2
    log = tmp_path / "decisions.sqlite"
    with ExitStack() as stack:
        _, url = stack.enter_context(served(finished_run / "run", "--log", str(log)))
        client = stack.enter_context(httpx2.Client(base_url=url, timeout=20.0))
        ask(client, ["дом"] * 500, privacy_flag=True)
        unseen = metrics_of(client)
        ask(client, ["дом"] * 500)
        drifted = metrics_of(client)
        told = ask(client, alike)
        back = metrics_of(client)
    with DecisionLog(log) as written:
        tags = [one.tags for one in written.read()]

    assert unseen == []
    assert 'edgewise_input_drift{what="length"} 1' in drifted
    assert 'edgewise_input_drift{what="language"} 1' in drifted
    assert "drift_length" in told.json()["predictions"][0]["warnings"]
    assert "drift_language" in told.headers["x-edgewise-warnings"].split(",")
    assert back == [line.replace("} 1", "} 0") for line in drifted]
    assert set(tags[:500]) == {()}
    assert "drift_length" in tags[1100]


def test_predict_says_that_a_file_of_texts_differs(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(["good"] * 501), encoding="utf-8")

    code = main(["predict", str(finished_run / "run"), "--file", str(file), "--json"])
    said = capsys.readouterr()

    assert code == 0
    assert "inputs differ from the calibration split's: drift_length, p " in said.err
    assert "drift_length" in json.loads(said.out)["results"][-1]["warnings"]


def test_new_labels_bring_a_new_reference(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_json(Policy, finished_run / "run/policy.json").drift
    labels, out = tmp_path / "labels.csv", tmp_path / "next"
    words = [f"{one} {other} {third}" for one in BAD for other in BAD for third in BAD]
    with labels.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((one, "negative") for one in words)])

    code = main(
        ["calibrate", str(finished_run / "run"), "--labels", str(labels), "--out", str(out)]
    )
    capsys.readouterr()
    after = read_json(Policy, out / "policy.json").drift

    assert code == 0
    assert before is not None
    assert after is not None
    assert after.directions == before.directions
    assert len(after.directions) == 1
    assert [one.name for one in after.reference] == [one.name for one in before.reference]
    assert all(sum(one.counts) == len(words) for one in after.reference)
