"""The best candidates on every runtime and number of threads of the target, raced in turn."""

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


Finalist = tuple[Path, Candidate]
"""A bundle, and what was measured of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneChoice:
    """Which finalist runs best here, and how."""

    finalist: int
    lane: Lane
    winner: Candidate | None
    """`None` where the lane that the finalist was measured on stays."""
    tried: tuple[Candidate, ...]
    """Faster lanes that were out, with the reason."""
    skipped: tuple[RuntimeFit, ...]
    """Runtimes that can't run this bundle here."""
    ratio: float = 1.0
    """Of its time to the first finalist's, measured in turn."""


def choose_lane(bench: Workbench, finalists: Sequence[Finalist], race: Race) -> LaneChoice:
    """Race the finalists on every runtime and take the fastest that passes gate and limits.

    The first one, on the lane that it was measured on, stays unless another is faster with its
    whole interval.
    """
    fits = [find_fits(bundle, verify=False) for bundle, _ in finalists]
    lanes = [
        (at, Lane(bundle=bundle, runtime=one.runtime, threads=one.threads))
        for at, (bundle, one) in enumerate(finalists)
    ]
    for at, (bundle, _) in enumerate(finalists):
        for fit in fits[at]:
            for threads in thread_counts(bench.spec.edge.threads) if fit.runs else ():
                more = (at, Lane(bundle=bundle, runtime=fit.runtime, threads=threads))
                lanes += [more] if more not in lanes else []
    base, tried = lanes[0][1], list[Candidate]()
    for place, ratio in _faster(lanes, bench.inputs, race):
        at, lane = lanes[place]
        if place >= len(finalists):
            lane, found = _try(bench, lane, finalists[at][1])
            if not found.kept:
                tried.append(found)
                continue
            why = f"{1 / ratio:.2f} times as fast as on {_name(base)}, measured in turn"
            winner = replace(found, why=(why,))
        else:
            winner = None
        return LaneChoice(
            finalist=at,
            lane=lane,
            winner=winner,
            tried=tuple(tried),
            skipped=_not_run(fits[at]),
            ratio=ratio,
        )
    return LaneChoice(
        finalist=0, lane=base, winner=None, tried=tuple(tried), skipped=_not_run(fits[0])
    )


def with_lanes(
    candidates: Sequence[Candidate], chosen: int, picked: LaneChoice
) -> tuple[tuple[Candidate, ...], int]:
    """Put the lanes that were measured behind the candidate that they are of; say who is chosen."""
    lanes = [*picked.tried, *([picked.winner] if picked.winner is not None else [])]
    whole = (*candidates[: chosen + 1], *lanes, *candidates[chosen + 1 :])
    return whole, chosen + len(lanes) if picked.winner is not None else chosen


def _faster(
    lanes: Sequence[tuple[int, Lane]], inputs: Sequence[Input], race: Race
) -> list[tuple[int, float]]:
    """Give the places and ratios of lanes that are surely faster than the first, fastest first."""
    if len(lanes) == 1:
        return []
    compared = race([lane for _, lane in lanes], inputs).contenders
    sure = [(one.ratio, place) for place, one in enumerate(compared) if one.ratio_high < 1.0]
    return [(place, ratio) for ratio, place in sorted(sure)]


def _not_run(fits: Sequence[RuntimeFit]) -> tuple[RuntimeFit, ...]:
    return tuple(fit for fit in fits if not fit.runs)


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
