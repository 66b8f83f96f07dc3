"""A model held to a limit of memory by real processes, on either side of what it takes."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from edgewise.errors import EdgewiseError, IntegrityError, InvalidData, UsageError
from edgewise.profile import hold, measure
from edgewise.records import Input
from edgewise.testing.models import tiny_text_bundle

pytestmark = pytest.mark.integration

INPUTS: list[Input] = [{"text": "good " * (1 + number % 30)} for number in range(20)]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_text_bundle(tmp_path / "bundle")


def test_a_limit_well_above_the_peak_is_kept(bundle: Path) -> None:
    peak_bytes = measure(bundle, INPUTS, repeats=1).peak_memory_bytes

    found = hold(bundle, INPUTS, 2 * peak_bytes)

    assert found.fits
    assert found.limit_bytes == 2 * peak_bytes
    assert found.peak_memory_bytes == pytest.approx(peak_bytes, rel=0.1)
    assert "VmHWM" in found.how
    assert found.happened.startswith("answered 20 inputs one at a time, peak ")


@pytest.mark.parametrize("share", [0.05, 0.6, 0.9])
def test_a_limit_below_the_peak_is_broken_and_nothing_stays(bundle: Path, share: float) -> None:
    peak_bytes = measure(bundle, INPUTS, repeats=1).peak_memory_bytes

    found = hold(bundle, INPUTS, int(share * peak_bytes))

    assert not found.fits
    assert found.peak_memory_bytes > share * peak_bytes
    assert found.happened.startswith("ended above the limit while starting and loading, peak ")
    assert own_children() == []


def test_a_limit_crossed_by_the_answers_says_so(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    long: Input = {"text": "good " * 400_000}
    light = measure(bundle, INPUTS, repeats=1).peak_memory_bytes

    found = hold(bundle, [INPUTS[0], long, long], light + 20_000_000)

    assert not found.fits
    assert found.happened.startswith("ended above the limit while answering, peak ")


def test_a_process_that_the_system_kills_does_not_fit(bundle: Path) -> None:
    def kill_the_child() -> None:
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s:
            for child in own_children():
                os.kill(child, signal.SIGKILL)
                return

    killer = threading.Thread(target=kill_the_child)
    killer.start()
    found = hold(bundle, INPUTS * 200, 2**40)
    killer.join()

    assert not found.fits
    assert "killed by the system" in found.happened


def test_another_failure_than_memory_is_raised(bundle: Path) -> None:
    with (bundle / "model.onnx").open("ab") as stream:
        stream.write(b"!")

    with pytest.raises(IntegrityError):
        hold(bundle, INPUTS, 2**30)


def test_an_input_that_the_task_refuses_is_no_matter_of_memory(bundle: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        hold(bundle, [{"text": 5}], 2**30)

    assert caught.value.what == "`text` is a int"


@pytest.mark.parametrize(
    ("inputs", "limit_bytes", "kind", "what"),
    [
        (INPUTS, 0, UsageError, "a limit of 0 bytes"),
        ([], 2**30, InvalidData, "no inputs to measure with"),
    ],
)
def test_a_limit_that_can_not_be_is_refused(
    bundle: Path, inputs: list[Input], limit_bytes: int, kind: type[EdgewiseError], what: str
) -> None:
    with pytest.raises(kind) as caught:
        hold(bundle, inputs, limit_bytes)

    assert caught.value.what == what
    assert caught.value.where
    assert caught.value.hint


def own_children() -> list[int]:
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
