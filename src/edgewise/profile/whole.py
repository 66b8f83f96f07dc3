"""Everything that `edgewise profile` tells of one bundle, and whether that is good enough."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgewise.profile.limit import check_limit, hold
from edgewise.profile.measure import measure
from edgewise.profile.size import compressed_size
from edgewise.records import Input, Profile, Progress, silent
from edgewise.units import format_bytes, format_ms


def measure_whole(
    bundle: Path,
    inputs: Sequence[Input],
    *,
    threads: int = 1,
    runtime: str = "",
    batches: Sequence[int] = (),
    limit_bytes: int | None = None,
    progress: Progress = silent,
) -> Profile:
    """Measure a bundle as `measure` does, with its compressed size and a limit of memory.

    Raises
    ------
    EdgewiseError
        As `measure` and `hold`.
    """
    if limit_bytes is not None:
        check_limit(limit_bytes)
    found = measure(
        bundle, inputs, threads=threads, runtime=runtime, batches=batches, progress=progress
    )
    progress("compress", 0, 1)
    found = replace(found, compressed_size_bytes=compressed_size(bundle))
    progress("compress", 1, 1)
    if limit_bytes is None:
        return found
    progress("memory limit", 0, 1)
    held = hold(bundle, inputs, limit_bytes, threads=threads, runtime=runtime)
    progress("memory limit", 1, 1)
    return replace(found, memory_limit=held)


def reasons_against(profile: Profile, latency_p95_ms: float | None) -> tuple[str, ...]:
    """Say why a profile is not good enough; nothing where it is.

    Parameters
    ----------
    latency_p95_ms
        What the p95 over all inputs may be; `None` for anything.
    """
    reasons = []
    held = profile.memory_limit
    if held is not None and not held.fits:
        reasons.append(f"does not fit in {format_bytes(held.limit_bytes)}: {held.happened}")
    if latency_p95_ms is not None and profile.p95_ms > latency_p95_ms:
        p95, limit = format_ms(profile.p95_ms), format_ms(latency_p95_ms)
        reasons.append(f"p95 is {p95}, and at most {limit} is wanted")
    return tuple(reasons)
