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
from edgewise.profile.probe import read_peak_memory
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


def test_an_interrupt_ends_the_measuring_processes(bundle: Path) -> None:
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
    ) as parent:
        assert parent.stdout is not None
        for line in parent.stdout:
            if line.strip() == "3":
                break
        child = wait_for_child(parent.pid)
        os.kill(parent.pid, signal.SIGINT)
        parent.wait(timeout=20)

    assert not Path(f"/proc/{child}").exists()


def wait_for_child(parent: int) -> int:
    """Give the probe's process once it has loaded its runtime."""
    end_s = time.monotonic() + 20
    while time.monotonic() < end_s:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        if children and "onnxruntime" in Path(f"/proc/{children[0]}/maps").read_text():
            return int(children[0])
    raise AssertionError("no probe appeared")
