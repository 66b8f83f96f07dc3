"""From a source and data to one bundle: recipes tried, searched where asked, a runtime chosen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewise import extras
from edgewise.optimize.choose import mark, near_best
from edgewise.optimize.lanes import LaneChoice, Race, choose_lane, with_lanes
from edgewise.optimize.recipe import check_extras, parse
from edgewise.optimize.survey import Keep, Plan, Survey, normal
from edgewise.optimize.tuning import tuning_for
from edgewise.optimize.workbench import Probe, Workbench
from edgewise.records import Candidate, Progress, ProjectSpec, Split, Task, silent
from edgewise.runtimes import RuntimeFit

Search = Callable[[Survey, Sequence[Plan]], Sequence[Plan]]
"""Looks further, from plans that are known, and names all that it tried."""

_FINALISTS, _CLOSE = 3, 1.5
"""So many candidates are raced, of those within so many times the fastest p50."""
_TEXT = ("float32", "smooth,int8-dynamic", "fuse,smooth,int8-dynamic", "int4-weights")
USUAL = {
    Task.TEXT_CLASSIFICATION: _TEXT,
    Task.FEATURE_EXTRACTION: _TEXT,
    Task.IMAGE_CLASSIFICATION: ("float32", "int8-static", "int8-dynamic"),
}
"""Recipes to try where none is named. FP16 is left to targets that have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What acts for the search at the rim. Given by the composer."""

    probe: Probe
    race: Race
    keep: Keep
    workers: int = 1
    progress: Progress = silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """What was found."""

    chosen: int | None
    """Its place among the candidates; `None` where none may ship."""
    bundle: Path | None
    candidates: tuple[Candidate, ...]
    skipped: tuple[RuntimeFit, ...]
    source_sha256: str
    source_size_bytes: int


def find_best(
    spec: ProjectSpec, data: Split, workdir: Path, tools: Tools, search: Search | None = None
) -> Best:
    """Make the best bundle of a source for the spec's edge tier.

    Parameters
    ----------
    data
        Heads are fitted on four fifths; the gate and the choice look at the held-out fifth.
    search
        Where to look beyond the recipes of the spec; its cuts are all of the source's.

    Raises
    ------
    InvalidModel, InvalidData
        When the source can't be imported, or the data does not fit it.
    UsageError
        When a recipe names no pass.
    MissingExtra
        When a recipe trains, and torch is not installed.
    """
    with extras.needed("optimize"):
        import onnx  # noqa: F401, PLC0415 - a missing extra is said before any work
        import sklearn  # noqa: F401, PLC0415
    words = [parse(one) for one in spec.optimize.recipes or USUAL[spec.task]]
    for one in words:
        check_extras(one)
    bench = Workbench(
        spec, data, workdir, probe=tools.probe, workers=tools.workers, progress=tools.progress
    )
    full = bench.source.layers
    depths = range(1, full + 1) if search is not None else (full,)
    survey = Survey(bench, tools.keep, depths)
    plans: list[Plan] = list(dict.fromkeys(normal((full, one)) for one in words))
    for number, plan in enumerate(plans):
        tools.progress("optimize: candidates", number, len(plans))
        survey.candidate(plan)
    tools.progress("optimize: candidates", len(plans), len(plans))
    plans += _tuned(survey, plans)
    found = [survey.candidate(plan) for plan in plans]
    if search is not None:
        plans = list(search(survey, plans))
        found = [survey.candidate(plan) for plan in plans]
    near, why = near_best(found)
    if not near:
        return _best(survey, tuple(found), None)
    tools.progress("optimize: runtimes", 0, 1)
    close = [i for i in near if (found[i].p50_ms or 0.0) <= _CLOSE * (found[near[0]].p50_ms or 0.0)]
    finalists = close[:_FINALISTS]
    picked = choose_lane(
        bench, [(survey.bundle(plans[i]), found[i]) for i in finalists], tools.race
    )
    tools.progress("optimize: runtimes", 1, 1)
    chosen = finalists[picked.finalist]
    if picked.finalist:
        first = " → ".join(found[finalists[0]].recipe)
        why += f"; measured in turn, {1 / picked.ratio:.2f} times as fast as {first}"
    return _best(survey, mark(found, chosen, why), chosen, picked)


def _tuned(survey: Survey, plans: Sequence[Plan]) -> list[Plan]:
    """Try tuning where no plan in 8 bits passed the gate; one that can't be made is known too."""
    tuning = tuning_for([(plan, survey.candidate(plan)) for plan in plans])
    if tuning is None:
        return []
    made = tuning.attempt(survey.bench.training_minutes, survey.candidate)
    survey.found.setdefault(tuning.plan, made)
    return [tuning.plan]


def _best(
    survey: Survey,
    candidates: tuple[Candidate, ...],
    chosen: int | None,
    picked: LaneChoice | None = None,
) -> Best:
    """Put the lanes that were measured behind the candidate that they are of."""
    skipped: tuple[RuntimeFit, ...] = ()
    bundle = None
    if picked is not None and chosen is not None:
        candidates, chosen = with_lanes(candidates, chosen, picked)
        skipped, bundle = picked.skipped, picked.lane.bundle
    writer = survey.bench.writer
    return Best(
        chosen=chosen,
        bundle=bundle,
        candidates=candidates,
        skipped=skipped,
        source_sha256=writer.source_sha256,
        source_size_bytes=writer.source_size_bytes,
    )
