"""The demo tells its story, and the story is true of what it left behind."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/sentiment"


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_demo_keeps_private_requests_home_and_answers_without_its_cloud() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "demo.py")], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    told = re.search(r"privacy: (\d+) requests .*; (\d+) of them left", done.stdout)
    assert told is not None
    private, left = told.groups()
    assert int(private) > 400
    assert int(left) == 0
    assert "cut off:  200 of 200 answered" in done.stdout
    assert "back:     the cloud answers again" in done.stdout
    run = json.loads((EXAMPLE / "runs/sentiment/run.json").read_text())
    assert run["certificate"]["state"] == "certified"
    assert run["quality"]["cloud"] - run["quality"]["hybrid"] <= run["certificate"]["alpha"]
    assert run["bundle"]["size_bytes"] <= 16 * 2**20
    assert f"loses at most {run['certificate']['alpha']:.1%}" in done.stdout
