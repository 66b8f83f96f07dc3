"""Bundles measured in fresh processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgewise.errors import IntegrityError, InvalidData, InvalidModel
from edgewise.profile import measure
from edgewise.profile.child import read_peak_memory
from edgewise.records import Input, decode, encode
from edgewise.runtimes import bundle_sha256, read_manifest, write_manifest
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

pytestmark = pytest.mark.integration


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_text_bundle(tmp_path / "bundle")


def test_a_text_bundle_is_measured(bundle: Path) -> None:
    inputs: list[Input] = [{"text": "good " * (1 + number % 30)} for number in range(40)]
    told: list[tuple[int, int]] = []

    found = measure(
        bundle, inputs, repeats=3, progress=lambda _, done, total: told.append((done, total))
    )

    assert found.bundle_sha256 == bundle_sha256(read_manifest(bundle))
    assert found.n == sum(one.n for one in found.buckets) == 120
    assert [one.up_to_length for one in found.buckets] == [8, 16, 32]
    assert 0 < found.p50_ms <= found.p95_ms <= found.p99_ms < found.load_ms < found.cold_start_ms
    assert found.size_bytes == sum(p.stat().st_size for p in bundle.iterdir())
    assert found.target.threads == 1
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert decode(type(found), encode(found)) == found


def test_batches_are_measured_by_their_size(bundle: Path) -> None:
    inputs: list[Input] = [{"text": "good " * (1 + number % 30)} for number in range(40)]

    found = measure(bundle, inputs, repeats=1, batches=[8, 1, 8])

    one, eight = found.batches
    assert [(one.size, one.n), (eight.size, eight.n)] == [(1, 40), (8, 5)]
    assert 0 < eight.p50_ms <= eight.p95_ms <= eight.p99_ms
    assert one.requests_per_s > 0
    assert found.peak_memory_bytes <= one.peak_memory_bytes <= eight.peak_memory_bytes


def test_an_image_bundle_is_measured_with_arrays(tmp_path: Path) -> None:
    bundle = tiny_image_bundle(tmp_path / "bundle", side=4)
    pixels = np.full((4, 4, 3), 200, dtype=np.uint8)

    found = measure(bundle, [{"image": pixels}] * 5)

    assert [(one.up_to_length, one.n) for one in found.buckets] == [(16, 10)]


def test_peak_memory_is_that_of_the_child_not_of_a_large_parent(bundle: Path) -> None:
    ballast = np.ones(100_000_000, dtype=np.uint8)

    found = measure(bundle, [{"text": "good"}], repeats=1)

    mine = read_peak_memory(Path("/proc/self/status").read_text())
    assert 20_000_000 < found.peak_memory_bytes < mine - ballast.nbytes // 2


def test_a_module_in_the_current_folder_is_not_taken_for_ours(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    monkeypatch.chdir(tmp_path)

    assert measure(bundle, [{"text": "good"}], repeats=1).n == 1


def test_a_changed_byte_is_found_before_anything_runs(bundle: Path) -> None:
    with (bundle / "model.onnx").open("ab") as stream:
        stream.write(b"!")

    with pytest.raises(IntegrityError) as caught:
        measure(bundle, [{"text": "good"}])

    assert caught.value.where == str(bundle / "model.onnx")


def test_a_model_that_can_not_be_loaded_is_said_by_its_process(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"prose")
    write_manifest(bundle, read_manifest(bundle, verify=False))

    with pytest.raises(InvalidModel) as caught:
        measure(bundle, [{"text": "good"}])

    assert "can't load it" in caught.value.what
    assert caught.value.where == str(bundle / "model.onnx")
    assert caught.value.hint


def test_an_input_that_the_task_refuses_is_said_by_its_process(bundle: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        measure(bundle, [{"nothing": 1}])

    assert caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_its_parent(bundle: Path, tmp_path: Path, ending: signal.Signals) -> None:
    program = (
        "import sys; from pathlib import Path; from edgewise.profile import Entry, compare; "
        "entry = Entry(bundle=Path(sys.argv[1])); "
        "compare([entry, entry], [{'text': 'good'}], rounds=10**6, "
        "progress=lambda stage, done, total: print(done, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(bundle)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "0\n"
        children = children_of(parent.pid)
        parent.send_signal(ending)
        parent.stdout.read()
        parent.wait(timeout=20)

    assert len(children) == 2
    assert wait_until_gone(children)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_the_probe_ends_with_its_parent(
    bundle: Path, tmp_path: Path, ending: signal.Signals
) -> None:
    program = (
        "import sys; from pathlib import Path; from edgewise.profile import measure; "
        "measure(Path(sys.argv[1]), [{'text': 'good'}] * 1000, repeats=100000, "
        "progress=lambda stage, done, total: print(done, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(bundle)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as parent:
        assert parent.stdout is not None
        for line in parent.stdout:
            if line.strip() == "3":
                break
        child = wait_for_child(parent.pid)
        parent.send_signal(ending)
        parent.wait(timeout=20)

    assert wait_until_gone([child])


def children_of(parent: int) -> list[int]:
    tasks = Path(f"/proc/{parent}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def wait_until_gone(processes: list[int]) -> bool:
    end_s = time.monotonic() + 20
    while time.monotonic() < end_s:
        if not any(Path(f"/proc/{pid}").exists() for pid in processes):
            return True
    return False


def wait_for_child(parent: int) -> int:
    """Give the probe's process once it has loaded its runtime."""
    end_s = time.monotonic() + 20
    while time.monotonic() < end_s:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        if children and "onnxruntime" in Path(f"/proc/{children[0]}/maps").read_text():
            return int(children[0])
    raise AssertionError("no probe appeared")
