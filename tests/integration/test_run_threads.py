"""`edgewise run` on a target of several threads: the race decides how many the bundle names."""

import json
from pathlib import Path

import pytest
from command_line import edgewise
from tiny_project import SPEC, write_project

from edgewise.records import Comparison, read_json
from edgewise.runtimes import read_manifest

pytestmark = pytest.mark.integration


@pytest.mark.slow
def test_the_bundle_and_its_profile_have_the_threads_that_won(tmp_path: Path) -> None:
    spec = SPEC.replace("memory: 1GiB", "memory: 1GiB, threads: 2")
    spec = spec.replace("optimize: {", "optimize: {layers: [2], recipes: [int8-dynamic], ")
    write_project(tmp_path, spec)

    ended = edgewise("run", "edgewise.yaml", "--out", "run", "--json", folder=tmp_path)
    again = edgewise("run", "edgewise.yaml", "--out", "run", "--json", folder=tmp_path)

    assert ended.code in (0, 3), ended
    found = json.loads(ended.out)
    (path,) = (tmp_path / ".edgewise").glob("race-*.json")
    lanes = [one for one in read_json(Comparison, path).contenders if one.runtime == "onnxruntime"]
    assert [one.threads for one in lanes] == [2, 1]
    kept = {one["threads"] for one in found["candidates"] if one["kept"]}
    threads = 1 if lanes[1].ratio_high < 1.0 and 1 in kept else 2
    manifest = read_manifest(tmp_path / "run/bundle")
    profile = json.loads((tmp_path / "run/profile.json").read_text("utf-8"))
    assert (manifest.threads, profile["target"]["threads"]) == (threads, threads)
    assert json.loads(again.out)["done"] == []
