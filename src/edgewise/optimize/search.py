"""The grid of cuts and recipes: each candidate made, gated and measured; one chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgewise import extras
from edgewise.optimize.choose import choose
from edgewise.optimize.lanes import Race, choose_lane, with_lanes
from edgewise.optimize.recipe import check_extras, parse
from edgewise.optimize.survey import Plan
from edgewise.optimize.tuning import tuning_for
from edgewise.optimize.workbench import Made, Probe, Workbench
from edgewise.records import Candidate, Progress, ProjectSpec, Split, Task, silent

_USUAL = {
    Task.TEXT_CLASSIFICATION: ("float32", "smooth,int8-dynamic"),
    Task.IMAGE_CLASSIFICATION: ("float32", "int8-static", "int8-dynamic"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeResult:
    """What the search ended in. `chosen` and `reference` exist when `ok`."""

    chosen: Path
    reference: Path
    candidates: tuple[Candidate, ...]
    ok: bool
    reasons: tuple[str, ...]


def optimize(
    spec: ProjectSpec,
    train: Split,
    workdir: Path,
    *,
    probe: Probe,
    race: Race | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> OptimizeResult:
    """Make the best bundle of a source for the spec's edge tier.

    Parameters
    ----------
    train
        Heads are fitted on four fifths; the gate and the choice look at the held-out fifth.
    workdir
        Features are kept here, so an interrupted search continues behind them.
    probe
        Measures one bundle on the target.
    race
        Times the chosen bundle on every runtime and number of threads here; by default it stays on
        the one that it was measured on.
    workers
        Answers computed at once, a thread each.

    Returns
    -------
    OptimizeResult
        Not `ok`, with every candidate's reasons, when none may ship.

    Raises
    ------
    InvalidModel, InvalidData
        When the source can't be imported, or train does not fit it.
    MissingExtra
        When a recipe trains, and torch is not installed.
    """
    with extras.needed("optimize"):
        import onnx  # noqa: F401, PLC0415 - a missing extra is said before any work
        import sklearn  # noqa: F401, PLC0415
    wanted = _recipes(spec)
    bench = Workbench(spec, train, workdir, probe=probe, workers=workers, progress=progress)
    depths = _depths(spec, bench.source.layers)
    bench.train_heads(depths)
    plan = [(depth, words) for depth in depths for words in wanted]
    made: list[Made] = []
    for number, (depth, words) in enumerate(plan):
        progress("optimize: candidates", number, len(plan))
        made.append(bench.make(depth, words))
    made += _tuned(bench, plan, made)
    kept = sum(one.candidate.kept for one in made)
    measured: list[Made] = []
    for one in made:
        done = sum(before.candidate.p50_ms is not None for before in measured)
        progress("optimize: measuring", done, kept)
        measured.append(bench.measure(one))
    return _decide(bench, measured, race)


def _depths(spec: ProjectSpec, layers: int) -> tuple[int, ...]:
    wanted = spec.optimize.layers or tuple(range(1, layers + 1))
    return tuple(sorted({min(depth, layers) for depth in wanted}))


def _recipes(spec: ProjectSpec) -> tuple[tuple[str, ...], ...]:
    wanted = spec.optimize.recipes or _USUAL[spec.task]
    found = tuple(dict.fromkeys(parse(one) for one in wanted))
    for one in found:
        check_extras(one)
    return found


def _tuned(bench: Workbench, plans: Sequence[Plan], made: Sequence[Made]) -> list[Made]:
    """Try tuning where no candidate in 8 bits passed the gate."""
    tuning = tuning_for([(p, one.candidate) for p, one in zip(plans, made, strict=True)])
    if tuning is None:
        return []
    found: list[Made] = []

    def make(plan: Plan) -> Candidate:
        found.append(bench.make(*plan))
        return found[-1].candidate

    candidate = tuning.attempt(bench.training_minutes, make)
    return found or [Made(candidate=candidate, path=bench.writer.path_of(candidate.recipe))]


def _decide(bench: Workbench, measured: Sequence[Made], race: Race | None) -> OptimizeResult:
    reference = bench.reference()
    threads = bench.spec.edge.threads
    chosen, marked = choose([replace(one.candidate, threads=threads) for one in measured])
    if chosen is None:
        reasons = tuple(f"{' → '.join(one.recipe)}: {'; '.join(one.why)}" for one in marked)
        return OptimizeResult(
            chosen=reference, reference=reference, candidates=marked, ok=False, reasons=reasons
        )
    bundle = measured[chosen].path
    if race is not None:
        picked = choose_lane(bench, [(bundle, marked[chosen])], race)
        bundle = picked.lane.bundle
        marked, chosen = with_lanes(marked, chosen, picked)
    return OptimizeResult(
        chosen=bundle,
        reference=reference,
        candidates=marked,
        ok=True,
        reasons=marked[chosen].why,
    )
