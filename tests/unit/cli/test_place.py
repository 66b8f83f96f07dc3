"""`edgewise place`, from the examples to what it prints."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgewise.cli import main
from edgewise.cli.place import told
from edgewise.records import Placement, PlacementMethod

EXAMPLES = Path(__file__).parents[3] / "examples"


def conflict(folder: Path) -> Path:
    """The assistant, asked for more availability at the site than one site has."""
    text = (EXAMPLES / "llm_assistant/placement.yaml").read_text("utf-8")
    path = folder / "placement.yaml"
    path.write_text(text.replace("availability: 0.99\n", "availability: 0.999\n"), "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("retail_site", ("queue-counter on site/shop-server", "20% on to reviews-large")),
        ("phone_fleet", ("scanner@stage2.head on phone/phone", "2000")),
        ("llm_assistant", ("llm-large on cloud/api", "What binds:")),
    ],
)
def test_each_example_is_placed(
    name: str, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "placement.json"

    assert main(["place", str(EXAMPLES / name / "placement.yaml"), "--out", str(out)]) == 0

    shown = capsys.readouterr().out
    assert all(word in shown for word in words)
    assert json.loads(out.read_text("utf-8"))["feasible"] is True


def test_the_gap_is_told_as_a_share_of_the_cost() -> None:
    one = Placement(
        name="p",
        feasible=True,
        usd_per_month=150.0,
        bound_usd_per_month=100.0,
        gap_share=1 / 3,
        method=PlacementMethod.PROGRAMME,
    )

    assert next(told(one)) == "150 USD a month; the optimum is at most 33.33% less.\n"


def test_what_tiers_cost_by_the_month_is_told_beside_requests_and_pools(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, words in (("llm_assistant", "250 USD a month more for tiers"), ("retail_site", "")):
        assert main(["place", str(EXAMPLES / name / "placement.yaml")]) == 0

        shown = capsys.readouterr().out
        assert words in shown
        assert ("more for tiers" in shown) is bool(words)


def test_a_conflict_is_exit_3_and_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["place", str(conflict(tmp_path))]) == 3

    shown = capsys.readouterr().out
    assert "private-documents: available 0.999 of the time" in shown
    assert "availability from 0.999 to 0.995 (4 points)" in shown


def test_a_workload_that_nothing_serves_is_exit_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "placement.yaml"
    text = (EXAMPLES / "llm_assistant/placement.yaml").read_text("utf-8")
    path.write_text(text + "  more: {requests_per_month: 1}\n", "utf-8")

    assert main(["place", str(path)]) == 3

    assert "more: no model has a quality and a profile" in capsys.readouterr().out


def test_the_sweep_is_shown_and_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(EXAMPLES / "llm_assistant/placement.yaml")

    assert main(["place", path, "--pareto"]) == 0
    assert "None of these beats another" in capsys.readouterr().out
    assert main(["place", path, "--pareto", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pareto"][0]["usd_per_month"] == pytest.approx(found["usd_per_month"], rel=1e-3)


@pytest.mark.integration
def test_nothing_but_json_reaches_stdout(tmp_path: Path) -> None:
    order = [sys.executable, "-m", "edgewise", "place", str(conflict(tmp_path)), "--json"]
    done = subprocess.run(order, capture_output=True, text=True, check=False)

    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert found["conflict"][0]["limit"] == "availability"
    assert found["relaxation"][0]["after"] == pytest.approx(0.995)


def test_a_file_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["place", "nowhere.yaml"]) == 1
    assert "nowhere.yaml" in capsys.readouterr().err
