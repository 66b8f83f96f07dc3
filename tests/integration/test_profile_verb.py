"""`edgewise profile` as a user runs it."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewise.profile import measure
from edgewise.records import Comparison, Profile, decode
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

pytestmark = pytest.mark.integration

QUICK = ("--batch", "1,4")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_text_bundle(tmp_path / "bundle")


def edgewise(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "edgewise", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def profile_of(done: "subprocess.CompletedProcess[str]") -> tuple[Profile, dict[str, Any]]:
    body = json.loads(done.stdout)
    verdict = {key: body.pop(key) for key in ("holds", "reasons")}
    return decode(Profile, body), verdict


def test_a_profile_is_one_json_object_and_progress_goes_to_stderr(bundle: Path) -> None:
    done = edgewise("profile", bundle, *QUICK, "--memory", "1GiB", "--json")

    found, verdict = profile_of(done)
    assert (done.returncode, verdict) == (0, {"holds": True, "reasons": []})
    assert (found.inputs, found.n) == ("generated", 200)
    assert [one.above_length for one in found.buckets] == [0, 8, 16, 32, 64]
    assert found.buckets[-1].up_to_length <= 128
    assert [one.n for one in found.buckets] == [40] * 5
    assert [one.size for one in found.batches] == [1, 4]
    assert found.memory_limit is not None
    assert found.memory_limit.fits
    assert found.compressed_size_bytes is not None
    assert 0 < found.compressed_size_bytes < found.size_bytes
    assert found.energy.origin in {"measured", "not measured"}
    assert found.energy.how
    assert "· profile" in done.stderr
    assert "· memory limit" in done.stderr


def test_a_model_that_does_not_fit_is_a_no(bundle: Path) -> None:
    peak_bytes = measure(bundle, [{"text": "good"}], repeats=1).peak_memory_bytes

    done = edgewise("profile", bundle, *QUICK, "--memory", peak_bytes // 2)

    assert done.returncode == 3
    assert "limit        does not fit in " in done.stdout
    assert "\nno: does not fit in " in done.stdout
    assert "Traceback" not in done.stderr


def test_a_model_that_is_too_slow_is_a_no(bundle: Path) -> None:
    done = edgewise("profile", bundle, *QUICK, "--latency-ms", "0.0001", "--json")

    found, verdict = profile_of(done)
    assert (done.returncode, verdict["holds"]) == (3, False)
    assert verdict["reasons"] == [f"p95 is {found.p95_ms:.3g} ms, and at most 0.0001 ms is wanted"]
    assert found.memory_limit is None


def test_people_get_a_table(bundle: Path) -> None:
    done = edgewise("profile", bundle, *QUICK, "--latency-ms", "10s")

    assert done.returncode == 0, done.stderr
    for word in ("size ", "cold start ", "peak memory ", "energy ", "length ", "batch ", "1 to 8 "):
        assert f"\n{word}" in done.stdout
    assert "generated, 200 answers timed one at a time" in done.stdout


def test_the_bundle_of_a_run_is_meant_where_a_run_is_given(bundle: Path) -> None:
    done = edgewise("profile", bundle.parent, *QUICK, "--json")

    assert profile_of(done)[0].n == 200


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.jsonl"])
def test_given_inputs_are_taken_from_their_column(bundle: Path, tmp_path: Path, name: str) -> None:
    texts = ["good " * (1 + number % 7) for number in range(30)]
    with (tmp_path / name).open("w", newline="") as file:
        if name.endswith(".csv"):
            csv.writer(file).writerows([("id", "review"), *enumerate(texts)])
        else:
            file.writelines(json.dumps({"review": text}) + "\n" for text in texts)

    done = edgewise(
        "profile", bundle, *QUICK, "--data", tmp_path / name, "--column", "review", "--json"
    )

    found, _ = profile_of(done)
    assert (found.inputs, found.n) == ("given", 60)
    assert found.buckets[-1].up_to_length == 9


def test_many_rows_are_thinned_out_evenly_and_said(bundle: Path, tmp_path: Path) -> None:
    rows = "".join(f"{'good ' * (1 + number // 400)}\n" for number in range(1200))
    (tmp_path / "many.csv").write_text(f"text\n{rows}")

    done = edgewise("profile", bundle, *QUICK, "--data", tmp_path / "many.csv", "--json")

    found, _ = profile_of(done)
    assert "400 of 1200 rows are taken, evenly over the file" in done.stderr
    assert (found.n, found.buckets[-1].up_to_length) == (800, 5)


def test_images_are_made_up_by_the_manifest(tmp_path: Path) -> None:
    bundle = tiny_image_bundle(tmp_path / "bundle", side=6)

    found, _ = profile_of(edgewise("profile", bundle, *QUICK, "--json"))

    assert found.inputs == "generated"
    assert [(one.up_to_length, one.n) for one in found.buckets] == [(36, 200)]


def test_given_images_are_found_beside_their_file(tmp_path: Path) -> None:
    bundle = tiny_image_bundle(tmp_path / "bundle", side=6)
    np.save(tmp_path / "a.npy", np.full((6, 6, 3), 9, dtype=np.uint8))
    (tmp_path / "images.csv").write_text("image\na.npy\na.npy\n")

    done = edgewise("profile", bundle, *QUICK, "--data", tmp_path / "images.csv", "--json")

    assert profile_of(done)[0].n == 4


def test_two_bundles_are_compared(bundle: Path) -> None:
    done = edgewise("profile", bundle, bundle, "--rounds", 3, "--json")

    found = decode(Comparison, json.loads(done.stdout))
    assert (done.returncode, found.rounds, found.sittings) == (0, 3, 3)
    assert [one.bundle for one in found.contenders] == [str(bundle)] * 2
    assert found.inputs == "generated"


def test_people_get_the_ratios(bundle: Path) -> None:
    done = edgewise("profile", bundle, bundle, "--rounds", 2)

    assert done.returncode == 0, done.stderr
    assert "1.000 to 1.000" in done.stdout
    assert "a ratio above 1 is slower than the first" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--memory", "lots"], 2, "not a size: `lots`"),
        (["--memory", "0"], 2, "a limit of 0 bytes"),
        (["--latency-ms", "soon"], 2, "not a duration: `soon`"),
        (["--batch", "1,x"], 2, "not whole numbers: `1,x`"),
        (["--batch", "0"], 2, "not from 1 to 1024: `0`"),
        (["--threads", "0"], 2, "--threads"),
        (["--runtime", "abacus"], 1, "no such runtime: abacus"),
        (["--data", "nowhere.csv"], 1, "no such file"),
        (["nowhere"], 1, "not a bundle"),
    ],
)
def test_a_mistake_is_said_without_a_traceback(
    bundle: Path, arguments: list[str], code: int, said: str
) -> None:
    where = [] if arguments == ["nowhere"] else [bundle]

    done = edgewise("profile", *where, *arguments)

    assert done.returncode == code
    assert said in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_limits_are_asked_of_one_bundle(bundle: Path) -> None:
    done = edgewise("profile", bundle, bundle, "--memory", "1GiB")

    assert done.returncode == 2
    assert "are asked of one bundle at a time" in done.stderr


def test_an_interrupt_leaves_no_process_and_no_file(bundle: Path, tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "edgewise", "profile", bundle, bundle, "--rounds", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(aside)},
        start_new_session=True,
    ) as parent:
        assert parent.stderr is not None
        assert parent.stderr.readline() == "· compare\n"
        # As a terminal does it: the whole group hears ^C.
        os.killpg(parent.pid, signal.SIGINT)
        _, said = parent.communicate(timeout=30)

    assert parent.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert list(aside.glob("edgewise-*")) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(parent.pid, 0)
