"""Fresh processes open a bundle and answer natural inputs; what they took becomes a `Profile`."""

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewise import errors
from edgewise.errors import InvalidData, InvalidModel
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
    rounds: int = 2,
    progress: Progress = silent,
) -> Profile:
    """Measure a bundle on this machine, one input at a time.

    Parameters
    ----------
    inputs
        Natural ones: overall percentiles are of these.
    rounds
        How often each is answered, after a warm-up.

    Raises
    ------
    InvalidData
        When there is no input.
    EdgewiseError
        What the bundle raised in its process.
    """
    if not inputs:
        raise InvalidData("no inputs to measure with", where="profile", hint="give some examples")
    manifest = read_manifest(bundle)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        file = Path(folder) / "inputs.json"
        file.write_text(json.dumps([dict(one) for one in inputs]), encoding="utf-8")
        starts = []
        for number in range(_COLD_STARTS):
            progress("profile: cold starts", number, _COLD_STARTS)
            starts.append(_spawn(bundle, file, threads, 0)[0])
        progress("profile: latencies", 0, 1)
        _, found = _spawn(bundle, file, threads, rounds)
        progress("profile: latencies", 1, 1)
    samples: list[tuple[int, float]] = [(int(n), float(ms)) for n, ms in found["samples"]]
    times = sorted(ms for _, ms in samples)
    return Profile(
        bundle_sha256=bundle_sha256(manifest),
        target=describe_target(threads, manifest.runtime),
        n=len(times),
        cold_start_ms=statistics.median(starts),
        load_ms=float(found["load_ms"]),
        p50_ms=percentile(times, 0.50),
        p95_ms=percentile(times, 0.95),
        p99_ms=percentile(times, 0.99),
        buckets=buckets(samples),
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
    """Group (length, ms) by length, in powers of two; groups of few join the next longer one."""
    found: list[LatencyBucket] = []
    above, waiting = 0, list[float]()
    longest = max(length for length, _ in samples)
    edges = [edge for edge in _EDGES if edge < longest] + [max(longest, 1)]
    for edge in edges:
        low = edges[edges.index(edge) - 1] if edge != edges[0] else 0
        waiting += [ms for length, ms in samples if low < length <= edge]
        if len(waiting) < _FEWEST_IN_BUCKET and edge != edges[-1]:
            continue
        if not waiting:
            continue
        times = sorted(waiting)
        bucket = LatencyBucket(
            above_length=above,
            up_to_length=edge,
            n=len(times),
            p50_ms=percentile(times, 0.50),
            p95_ms=percentile(times, 0.95),
            p99_ms=percentile(times, 0.99),
        )
        found.append(bucket)
        above, waiting = edge, []
    return tuple(found)


def _spawn(bundle: Path, file: Path, threads: int, rounds: int) -> tuple[float, dict[str, Any]]:
    """Run the probe; give the time to its first answer in ms, and its last line."""
    command = [sys.executable, "-m", "edgewise.profile.probe"]
    command += [str(bundle), str(file), str(threads), str(rounds)]
    started = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors_file,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors_file, text=True) as child,
    ):
        assert child.stdout is not None
        first = child.stdout.readline()
        first_ms = (time.perf_counter() - started) * 1000
        rest = child.stdout.read()
        child.wait()
        errors_file.seek(0)
        trouble = errors_file.read()
    lines = [line for line in (first, *rest.splitlines()) if line.strip()]
    last: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    if "error" in last:
        kind = getattr(errors, str(last["kind"]), InvalidModel)
        told = last["error"]
        raise kind(told["what"], where=told["where"], hint=told["hint"])
    if child.returncode != 0 or "samples" not in last:
        reason = (trouble.strip().splitlines() or [f"exit code {child.returncode}"])[-1][:200]
        what = f"the model's process ended: {reason}"
        raise InvalidModel(what, where=str(bundle), hint="is there enough memory for it?")
    return first_ms, last
