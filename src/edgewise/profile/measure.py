"""Fresh processes open a bundle and answer natural inputs; what they took becomes a `Profile`."""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edgewise import errors
from edgewise.errors import EdgewiseError, InvalidData, InvalidModel
from edgewise.profile.machine import describe_target
from edgewise.records import Input, LatencyBucket, Profile, Progress, silent
from edgewise.runtimes import bundle_sha256, read_manifest

_EDGES = (8, 16, 32, 64, 128, 256, 512, 1024)
_COLD_STARTS = 3
_FEWEST_IN_BUCKET = 5


def measure(
    bundle: Path,
    inputs: Sequence[Input],
    *,
    threads: int = 1,
    repeats: int = 2,
    progress: Progress = silent,
) -> Profile:
    """Measure a bundle on this machine, one input at a time, in fresh processes.

    Cold start is the median of three processes, each timed from its spawn to its first answer;
    latencies and peak memory are of a fourth. Peak memory is 0 where the system has no VmHWM.

    Parameters
    ----------
    inputs
        Natural ones: overall percentiles are of these.
    repeats
        How often each is answered, after a warm-up; at least 1.

    Raises
    ------
    InvalidData
        When there is no input, or one can't be handed to another process.
    InvalidModel
        When the process ends without a word, as it does when memory is short.
    EdgewiseError
        What the bundle raised in its process.
    """
    if not inputs:
        raise InvalidData("no inputs to measure with", where="profile", hint="give some examples")
    if repeats < 1:
        raise InvalidData(f"repeats is {repeats}", where="profile", hint="give at least 1")
    manifest = read_manifest(bundle)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as name:
        file = write_inputs(Path(name), inputs)
        starts_ms = []
        for number in range(_COLD_STARTS):
            progress("profile", number, _COLD_STARTS + 1)
            starts_ms.append(_spawn(bundle, file, threads, 0)[0])
        progress("profile", _COLD_STARTS, _COLD_STARTS + 1)
        _, found = _spawn(bundle, file, threads, repeats)
        progress("profile", _COLD_STARTS + 1, _COLD_STARTS + 1)
    times_ms: list[float] = found["times_ms"]
    ordered = sorted(times_ms)
    return Profile(
        bundle_sha256=bundle_sha256(manifest),
        target=describe_target(threads, manifest.runtime),
        n=len(ordered),
        cold_start_ms=percentile(sorted(starts_ms), 0.50),
        load_ms=float(found["load_ms"]),
        p50_ms=percentile(ordered, 0.50),
        p95_ms=percentile(ordered, 0.95),
        p99_ms=percentile(ordered, 0.99),
        buckets=buckets(list(zip(found["lengths"] * repeats, times_ms, strict=True))),
        peak_memory_bytes=int(found["peak_memory_bytes"]),
        size_bytes=sum(p.stat().st_size for p in bundle.rglob("*") if p.is_file()),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Give a percentile of sorted values by linear interpolation."""
    at = share * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def buckets(samples: Sequence[tuple[int, float]]) -> tuple[LatencyBucket, ...]:
    """Group (length, ms) by length, in powers of two.

    Groups of few join the next longer one; the last ends at the longest length and stands as it
    is, because its latency must not be taken for that of shorter inputs.
    """
    longest = max(1, *(length for length, _ in samples))
    edges = [0, *(edge for edge in _EDGES if edge < longest), longest]
    found: list[LatencyBucket] = []
    above, waiting = 0, list[float]()
    for low, high in pairwise(edges):
        waiting += [ms for length, ms in samples if low < max(length, 1) <= high]
        if len(waiting) < _FEWEST_IN_BUCKET and high != longest:
            continue
        ordered = sorted(waiting)
        bucket = LatencyBucket(
            above_length=above,
            up_to_length=high,
            n=len(ordered),
            p50_ms=percentile(ordered, 0.50),
            p95_ms=percentile(ordered, 0.95),
            p99_ms=percentile(ordered, 0.99),
        )
        found.append(bucket)
        above, waiting = high, []
    return tuple(found)


def write_inputs(folder: Path, inputs: Sequence[Input]) -> Path:
    """Write inputs to a JSON file; arrays and bytes become files beside it, and their paths.

    Raises
    ------
    InvalidData
        When a value is neither of these and has no JSON form.
    """
    plain = [
        {
            key: _plain(value, folder / f"{number}-{at}")
            for at, (key, value) in enumerate(one.items())
        }
        for number, one in enumerate(inputs)
    ]
    file = folder / "inputs.json"
    try:
        file.write_text(json.dumps(plain), encoding="utf-8")
    except TypeError as wrong:
        what = f"an input can't be handed to another process: {wrong}"
        raise InvalidData(
            what, where="profile", hint="give text, numbers, paths, arrays"
        ) from wrong
    return file


def _plain(value: Any, aside: Path) -> Any:
    if isinstance(value, np.ndarray):
        file = aside.with_suffix(".npy")
        np.save(file, value, allow_pickle=False)
        return str(file)
    if isinstance(value, bytes):
        aside.write_bytes(value)
        return str(aside)
    return str(value) if isinstance(value, Path) else value


def _spawn(bundle: Path, file: Path, threads: int, repeats: int) -> tuple[float, dict[str, Any]]:
    """Run the probe; give the time to its first answer in ms, and its last message."""
    command = [sys.executable, "-P", "-m", "edgewise.profile.probe"]
    command += [str(bundle), str(file), str(threads), str(repeats)]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as trouble:
        started_s = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=trouble, encoding="utf-8"
        ) as child:
            assert child.stdout is not None
            try:
                lines = [child.stdout.readline()]
                first_ms = (time.perf_counter() - started_s) * 1000
                lines += child.stdout.readlines()
                child.wait()
            finally:
                child.kill()
        trouble.seek(0)
        return first_ms, understand(lines, child.returncode, trouble.read(), str(bundle))


def understand(lines: Sequence[str], code: int, trouble: str, where: str) -> dict[str, Any]:
    """Read the probe's last message.

    Raises
    ------
    EdgewiseError
        The one that the probe passed on, or `InvalidModel` when it ended otherwise.
    """
    last: dict[str, Any] = json.loads(lines[-1]) if lines and lines[-1].endswith("\n") else {}
    if "error" in last:
        kind = getattr(errors, last["kind"], EdgewiseError)
        raise kind(**last["error"])
    if code != 0 or "times_ms" not in last:
        ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        said = (trouble.strip().splitlines() or [""])[-1][:200]
        what = f"the model's process ended early ({ended})" + (f": {said}" if said else "")
        raise InvalidModel(what, where=where, hint="is there enough memory for this model?")
    return last
