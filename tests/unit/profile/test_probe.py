"""The probe's and the runner's messages, without their processes."""

import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.profile.child import answer, read_peak_memory
from edgewise.profile.probe import cut_batches, measure_once
from edgewise.profile.runner import run
from edgewise.testing.models import tiny_text_bundle


@pytest.fixture
def request_of(tmp_path: Path) -> dict[str, Any]:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    inputs = tmp_path / "inputs.json"
    inputs.write_text(json.dumps([{"text": "good"}, {"text": "bad bad bad"}]))
    return {
        "bundle": str(bundle),
        "inputs": str(inputs),
        "threads": 1,
        "runtime": "",
        "repeats": 3,
        "batches": [],
    }


def test_each_input_is_timed_as_often_as_asked(request_of: dict[str, Any]) -> None:
    said: list[Mapping[str, Any]] = []

    assert answer(measure_once, json.dumps(request_of), said.append) == 0

    first, last = said
    assert first == {"first": True}
    assert last["lengths"] == [3, 5]
    assert len(last["times_ms"]) == 6
    assert min(last["times_ms"]) > 0
    assert last["load_ms"] > 0
    assert last["peak_memory_bytes"] > 10_000_000
    assert last["batches"] == []


def test_a_cold_start_answers_once(request_of: dict[str, Any]) -> None:
    said: list[Mapping[str, Any]] = []

    assert answer(measure_once, json.dumps({**request_of, "repeats": 0}), said.append) == 0

    assert said[0] == {"first": True}
    assert (said[1]["lengths"], said[1]["times_ms"]) == ([], [])


def test_batches_are_timed_from_small_to_large(request_of: dict[str, Any]) -> None:
    said: list[Mapping[str, Any]] = []

    assert answer(measure_once, json.dumps({**request_of, "batches": [8, 1]}), said.append) == 0

    assert [one["size"] for one in said[1]["batches"]] == [1, 8]
    assert all(len(one["times_ms"]) == 5 for one in said[1]["batches"])


@given(st.integers(1, 200), st.integers(1, 64))
def test_batches_are_whole_and_go_round_the_inputs(n: int, size: int) -> None:
    batches = cut_batches(n, size)

    assert 5 <= len(batches) <= 50
    assert {len(one) for one in batches} == {size}
    used = Counter(i for one in batches for i in one)
    assert set(used) <= set(range(n))
    assert max(used.values()) - min(used[i] for i in range(n)) <= 1


def test_an_error_is_told_in_its_parts(request_of: dict[str, Any]) -> None:
    Path(request_of["bundle"], "model.onnx").write_bytes(b"other bytes")
    said: list[Mapping[str, Any]] = []

    assert answer(measure_once, json.dumps(request_of), said.append) == 1

    (only,) = said
    assert only["kind"] == "IntegrityError"
    assert set(only["error"]) == {"what", "where", "hint"}
    assert only["error"]["where"].endswith("model.onnx")


def test_another_runtime_than_the_bundles_own_is_asked_for_by_name(
    request_of: dict[str, Any],
) -> None:
    said: list[Mapping[str, Any]] = []

    assert answer(measure_once, json.dumps({**request_of, "runtime": "abacus"}), said.append) == 1
    assert (
        answer(measure_once, json.dumps({**request_of, "runtime": "onnxruntime"}), said.append) == 0
    )

    assert said[0]["error"]["what"] == "no such runtime: abacus"
    assert said[1] == {"first": True}


def test_the_runner_answers_what_it_is_told_to_until_nobody_asks(
    request_of: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"chosen": [1, 0, 1]}\n{"chosen": [0]}\n'))
    said: list[Mapping[str, Any]] = []

    assert answer(run, json.dumps(request_of), said.append) == 0

    assert said[0] == {"ready": True}
    assert [len(one["times_ms"]) for one in said[1:]] == [3, 1]
    assert all(ms > 0 for one in said[1:] for ms in one["times_ms"])


def test_peak_memory_is_read_from_the_high_water_mark() -> None:
    assert read_peak_memory("VmPeak:\t  900 kB\nVmHWM:\t   78 kB\nVmRSS:\t 70 kB\n") == 78 * 1024
    assert read_peak_memory("Name:\tpython\n") == 0
