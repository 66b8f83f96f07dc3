"""The search through the command line, with the real sampler: it ends in time, and goes on."""

import json
from pathlib import Path

import pytest
from command_line import asides, edgewise, end, interrupt, start
from tiny_project import write_project

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

ORDER = (
    *("optimize", "model", "--data", "train.csv", "--out", "best"),
    *("--min-agreement", "0.5", "--max-quality-loss", "0.1"),
    *("--passes", "float32", "--passes", "smooth,int8-dynamic"),
    *("--search", "--minutes", "0.333"),
)


def test_a_search_of_twenty_seconds_interrupted_goes_on_and_ends_in_a_front(
    tmp_path: Path,
) -> None:
    write_project(tmp_path)
    process = start(*ORDER, folder=tmp_path)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("· optimize: search"):
            break
    journal = next((tmp_path / ".edgewise").glob("search-*.log"))
    while "violation" not in journal.read_text("utf-8"):
        assert process.poll() is None
    interrupt(process)
    ended = end(process, said)
    assert ended.code == 130, ended
    assert not (tmp_path / "best").exists()
    assert asides(tmp_path) == []
    before = journal.read_text("utf-8")
    kept = {path.name for path in (tmp_path / ".edgewise").glob("candidate-*.json")}

    found = edgewise(*ORDER, "--json", folder=tmp_path)

    assert found.code == 0, found
    assert journal.read_text("utf-8").startswith(before)
    assert kept < {path.name for path in (tmp_path / ".edgewise").glob("candidate-*.json")}
    answered = json.loads(found.out)
    recipes = [tuple(one["recipe"]) for one in answered["candidates"]]
    assert len(recipes) > 2
    assert answered["chosen"] in answered["candidates"]
    front = [answered["candidates"][place] for place in answered["pareto"]]
    assert front
    assert all(one["kept"] and one["p95_ms"] is not None for one in front)
    assert all(
        one["p95_ms"] is None for one in answered["candidates"] if "loses" in str(one["why"])
    )

    again = edgewise(*ORDER, "--json", folder=tmp_path)

    assert json.loads(again.out) == answered
