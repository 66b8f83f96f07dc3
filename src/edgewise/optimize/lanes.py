"""One candidate on every runtime and number of threads that the target has, raced in turn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgewise.errors import InvalidData, InvalidModel
from edgewise.optimize.choose import over_limits
from edgewise.optimize.workbench import Workbench
from edgewise.records import Candidate, Comparison, Input
from edgewise.runtimes import RuntimeFit, find_fits


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A bundle and how it is to run."""

    bundle: Path
    runtime: str
    threads: int


Race = Callable[[Sequence[Lane], Sequence[Input]], Comparison]
"""Times lanes in turn on the same inputs, as ratios to the first; the composer gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeChoice:
    """How a candidate runs best here."""

    lane: Lane
    winner: Candidate | None
    """`None` where the lane that it was measured on stays."""
    tried: tuple[Candidate, ...]
    """Faster lanes that were out, with the reason."""
    skipped: tuple[RuntimeFit, ...]
    """Runtimes that can't run this bundle here."""


def choose_runtime(bench: Workbench, bundle: Path, first: Candidate, race: Race) -> RuntimeChoice:
    """Race a candidate's lanes and take the fastest that passes the gate and the limits.

    The lane that the candidate was measured on stays unless another is faster with its whole
    interval.

    Parameters
    ----------
    first
        The candidate as it was measured.
    """
    fits = find_fits(bundle, verify=False)
    skipped = tuple(fit for fit in fits if not fit.runs)
    base = Lane(bundle=bundle, runtime=first.runtime, threads=first.threads)
    lanes = [
        base,
        *(
            lane
            for fit in fits
            if fit.runs
            for threads in thread_counts(bench.spec.edge.threads)
            if (lane := Lane(bundle=bundle, runtime=fit.runtime, threads=threads)) != base
        ),
    ]
    if len(lanes) == 1:
        return RuntimeChoice(lane=base, winner=None, tried=(), skipped=skipped)
    compared = race(lanes, bench.inputs).contenders
    tried: list[Candidate] = []
    for one in sorted(range(1, len(lanes)), key=lambda i: compared[i].ratio):
        if compared[one].ratio_high >= 1.0:
            continue
        lane, found = _try(bench, lanes[one], first)
        if found.kept:
            ratio = compared[one].ratio
            why = f"{1 / ratio:.2f} times as fast as on {_name(base)}, measured in turn"
            winner = replace(found, why=(why,))
            return RuntimeChoice(lane=lane, winner=winner, tried=tuple(tried), skipped=skipped)
        tried.append(found)
    return RuntimeChoice(lane=base, winner=None, tried=tuple(tried), skipped=skipped)


def thread_counts(most: int) -> tuple[int, ...]:
    """Give the numbers of threads to try: the powers of two up to the target's, and that."""
    counts = [1]
    while counts[-1] * 2 <= most:
        counts.append(counts[-1] * 2)
    return tuple(dict.fromkeys((*counts, most)))


def _try(bench: Workbench, lane: Lane, first: Candidate) -> tuple[Lane, Candidate]:
    """Write the lane's bundle, hold it against the gate on its runtime, and measure it."""
    found = replace(first, runtime=lane.runtime, threads=lane.threads, kept=False, why=())
    try:
        fidelity, reasons = bench.judge(lane.bundle, lane.runtime, lane.threads)
    except (InvalidModel, InvalidData) as unfit:
        return lane, replace(found, why=(unfit.what,))
    if reasons:
        return lane, replace(found, fidelity=fidelity, why=reasons)
    path = bench.writer.variant(lane.bundle, lane.runtime, lane.threads)
    bench.writer.finish(path, fidelity)
    profile = bench.probe(path, bench.inputs)
    found = replace(
        found,
        size_bytes=bench.writer.size(path),
        p50_ms=profile.p50_ms,
        p95_ms=profile.p95_ms,
        peak_memory_bytes=profile.peak_memory_bytes,
        fidelity=fidelity,
    )
    why = over_limits(found, bench.spec.edge, bench.spec.objective)
    return replace(lane, bundle=path), replace(found, kept=not why, why=why)


def _name(lane: Lane) -> str:
    return f"{lane.runtime} with {lane.threads} thread(s)"
