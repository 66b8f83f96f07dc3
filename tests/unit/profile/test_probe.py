"""The probe's messages, without its process."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgewise.profile.probe import main, read_peak_memory
from edgewise.testing.models import tiny_text_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_text_bundle(tmp_path / "bundle")


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    file = tmp_path / "inputs.json"
    file.write_text(json.dumps([{"text": "good"}, {"text": "bad bad bad"}]))
    return file


def test_each_input_is_timed_as_often_as_asked(bundle: Path, inputs: Path) -> None:
    said: list[dict[str, Any]] = []

    assert main([str(bundle), str(inputs), "1", "3"], said.append) == 0

    first, last = said
    assert first == {"first": True}
    assert last["lengths"] == [3, 5]
    assert len(last["times_ms"]) == 6
    assert min(last["times_ms"]) > 0
    assert last["load_ms"] > 0
    assert last["peak_memory_bytes"] > 10_000_000


def test_a_cold_start_answers_once(bundle: Path, inputs: Path) -> None:
    said: list[dict[str, Any]] = []

    assert main([str(bundle), str(inputs), "1", "0"], said.append) == 0

    assert said[0] == {"first": True}
    assert (said[1]["lengths"], said[1]["times_ms"]) == ([], [])


def test_an_error_is_told_in_its_parts(bundle: Path, inputs: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"other bytes")
    said: list[dict[str, Any]] = []

    assert main([str(bundle), str(inputs), "1", "1"], said.append) == 1

    (only,) = said
    assert only["kind"] == "IntegrityError"
    assert set(only["error"]) == {"what", "where", "hint"}
    assert only["error"]["where"].endswith("model.onnx")


def test_peak_memory_is_read_from_the_high_water_mark() -> None:
    assert read_peak_memory("VmPeak:\t  900 kB\nVmHWM:\t   78 kB\nVmRSS:\t 70 kB\n") == 78 * 1024
    assert read_peak_memory("Name:\tpython\n") == 0
