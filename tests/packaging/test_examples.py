"""The examples of `edgewise optimize` run from a clone and leave what they say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgewise.runtimes import read_manifest

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(script: str, folder: Path) -> str:
    order = [sys.executable, str(EXAMPLES / script), str(folder)]
    done = subprocess.run(order, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_image_example_ends_in_a_smaller_network_that_is_right(tmp_path: Path) -> None:
    told = run("optimize_image/optimize.py", tmp_path)

    counted = re.search(r"(\d+) of 297 right", told)
    assert counted is not None
    assert int(counted[1]) > 0.9 * 297
    found = json.loads((tmp_path / "runs/best/candidates.json").read_text("utf-8"))
    assert [one["recipe"][0] for one in found["candidates"]][:3] == [
        *("float32", "int8-static", "int8-dynamic")
    ]
    manifest = read_manifest(tmp_path / "runs/best/bundle")
    assert list(manifest.recipe) == found["chosen"]["recipe"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_text_example_ends_in_a_bundle_that_fits_and_answers(tmp_path: Path) -> None:
    told = run("optimize_text/optimize.py", tmp_path / "best")

    assert re.search(r"^positive \(\d+%\)  A warm and clever film", told, re.MULTILINE)
    assert re.search(r"^negative \(\d+%\)  The battery died", told, re.MULTILINE)
    found = json.loads((tmp_path / "best/candidates.json").read_text("utf-8"))
    assert found["chosen"]["size_bytes"] <= 24 * 2**20
    assert found["chosen"]["metric"] > 0.75
    assert "storage is 24.0 MiB" in found["candidates"][0]["why"][0]
