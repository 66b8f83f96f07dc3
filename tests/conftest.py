"""Shared fixtures: the tiny project, and a run of it."""

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from tiny_project import write_project

from edgewise.cli import main


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of a tiny project whose run is in `run`; tests must not change it."""
    folder = tmp_path_factory.mktemp("project")
    project = write_project(folder)
    assert main(["run", str(project), "--out", str(folder / "run")]) == 0
    return folder
