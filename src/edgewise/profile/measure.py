"""Fresh processes open a bundle and answer natural inputs; what they took becomes a `Profile`."""

import math
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from edgewise.errors import InvalidData, UsageError
from edgewise.profile.energy import energy_of
from edgewise.profile.machine import describe_target
from edgewise.profile.spawn import Child, Message, write_inputs
from edgewise.records import (
    LATENCY_SHARES,
    BatchLatency,
    Input,
    LatencyBucket,
    Profile,
    Progress,
    silent,
)
from edgewise.runtimes import bundle_sha256, find_runtime, read_manifest

PROBE = "edgewise.profile.probe"

_EDGES = (8, 16, 32, 64, 128, 256, 512, 1024)
_COLD_STARTS = 3
_FEWEST_IN_BUCKET = 5


def measure(
    bundle: Path,
    inputs: Sequence[Input],
    *,
    threads: int = 1,
    repeats: int = 2,
    runtime: str = "",
    batches: Sequence[int] = (),
    progress: Progress = silent,
) -> Profile:
    """Measure a bundle on this machine, one input at a time and in batches, in fresh processes.

    Cold start is the median of three processes, each timed from its spawn to its first answer;
    all else is of a fourth. Peak memory is 0 where the system has no VmHWM; it is read before
    the batches.

    Parameters
    ----------
    inputs
        Natural ones: overall percentiles are of these.
    repeats
        How often each is answered, after a warm-up; at least 1.
    runtime
        By default the one that the manifest names.
    batches
        Sizes to time as well; by default none.

    Raises
    ------
    InvalidData
        When there is no input, or one can't be handed to another process.
    InvalidModel
        When the process ends without a word, as it does when memory is short.
    MissingExtra
        When the runtime is not installed.
    UsageError
        When a batch size is below 1.
    EdgewiseError
        What the bundle raised in its process.
    """
    check_inputs(inputs)
    if repeats < 1:
        raise InvalidData(f"repeats is {repeats}", where="profile", hint="give at least 1")
    if any(size < 1 for size in batches):
        what = f"a batch of {min(batches)}"
        raise UsageError(what, where="batches", hint="give sizes of at least 1, such as 1,8,32")
    manifest = read_manifest(bundle)
    name = check_runtime(runtime or manifest.runtime)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        request = {
            "bundle": str(bundle),
            "inputs": str(write_inputs(Path(folder), inputs)),
            "threads": threads,
            "runtime": runtime,
            "repeats": 0,
            "batches": [],
        }
        starts_ms = []
        for number in range(_COLD_STARTS):
            progress("profile", number, _COLD_STARTS + 1)
            starts_ms.append(_answer(request)[0])
        progress("profile", _COLD_STARTS, _COLD_STARTS + 1)
        asked = {**request, "repeats": repeats, "batches": sorted(set(batches))}
        _, found = _answer(asked)
        progress("profile", _COLD_STARTS + 1, _COLD_STARTS + 1)
    times_ms: list[float] = found["times_ms"]
    ordered = sorted(times_ms)
    return Profile(
        bundle_sha256=bundle_sha256(manifest),
        target=describe_target(threads, name),
        n=len(ordered),
        cold_start_ms=percentile(sorted(starts_ms), 0.50),
        load_ms=float(found["load_ms"]),
        p50_ms=percentile(ordered, 0.50),
        p95_ms=percentile(ordered, 0.95),
        p99_ms=percentile(ordered, 0.99),
        buckets=buckets(list(zip(found["lengths"] * repeats, times_ms, strict=True))),
        peak_memory_bytes=int(found["peak_memory_bytes"]),
        size_bytes=sum(p.stat().st_size for p in bundle.rglob("*") if p.is_file()),
        requests_per_s=1000 * len(times_ms) / sum(times_ms),
        batches=tuple(batch_latency(**one) for one in found["batches"]),
        energy=energy_of(found["joules"], found["energy_how"], len(times_ms)),
        latency_quantiles=tuple((share, percentile(ordered, share)) for share in LATENCY_SHARES),
    )


def check_inputs(inputs: Sequence[Input]) -> None:
    """See that there is something to measure with.

    Raises
    ------
    InvalidData
        When there is no input.
    """
    if not inputs:
        raise InvalidData("no inputs to measure with", where="profile", hint="give some examples")


def check_runtime(name: str) -> str:
    """Give back the name of a runtime that is installed.

    Raises
    ------
    InvalidModel
        When edgewise knows none of that name.
    MissingExtra
        When it is not installed.
    """
    find_runtime(name).version()
    return name


def percentile(ordered: Sequence[float], share: float) -> float:
    """Give a percentile of sorted values by linear interpolation."""
    at = share * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def batch_latency(size: int, times_ms: Sequence[float], peak_memory_bytes: int) -> BatchLatency:
    """Sum up the times of batches of one size."""
    ordered = sorted(times_ms)
    return BatchLatency(
        size=size,
        n=len(ordered),
        p50_ms=percentile(ordered, 0.50),
        p95_ms=percentile(ordered, 0.95),
        p99_ms=percentile(ordered, 0.99),
        requests_per_s=1000 * size * len(ordered) / sum(ordered),
        peak_memory_bytes=peak_memory_bytes,
    )


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


def _answer(request: dict[str, Any]) -> tuple[float, Message]:
    """Run the probe; give the time to its first answer in ms, and its last message."""
    with Child(PROBE, request) as child:
        child.receive()
        first_ms = child.age_ms()
        return first_ms, child.receive()
