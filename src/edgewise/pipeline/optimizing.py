"""`edgewise optimize`: from a source and a data file to a directory with the best bundle."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from edgewise.errors import EdgewiseError, InvalidModel, StorageError
from edgewise.optimize import (
    Best,
    Search,
    Tools,
    candidates_folder,
    costs_of,
    explore,
    find_best,
    held_out,
    pareto_front,
    parse_recipe,
    space_of,
)
from edgewise.pipeline.alone import alone_on, check_place
from edgewise.pipeline.cache import Cache, clear, key_of
from edgewise.pipeline.pixels import read_image_input
from edgewise.pipeline.racing import make_race
from edgewise.pipeline.sourcing import hash_source
from edgewise.pipeline.swap import clear_asides, replace_run
from edgewise.profile import describe_target, find_runtimes, measure
from edgewise.records import (
    Candidate,
    DataSpec,
    EdgeTier,
    Input,
    ModelSpec,
    Objective,
    OptimizeSpec,
    OptimizeSummary,
    Profile,
    Progress,
    ProjectSpec,
    SkippedRuntime,
    Split,
    Target,
    Task,
    digest,
    read_json,
    row_of,
    silent,
    write_json,
    write_text,
)
from edgewise.report import render_candidates
from edgewise.runtimes import bundle_sha256, read_manifest
from edgewise.spec import PixelWords, read_sample

_PARTS = ("bundle", "optimize.html", "candidates.json")
_SELECTION_INPUTS = 60
_MOST_UNLABELLED = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of `edgewise optimize`. Made by the command line."""

    source: Path
    data: Path
    out: Path
    edge: EdgeTier = field(default_factory=EdgeTier)
    objective: Objective = field(default_factory=Objective)
    optimize: OptimizeSpec = field(default_factory=OptimizeSpec)
    column: str = ""
    label_column: str = ""
    max_length: int = 128
    """Tokens at which a text is cut."""
    pixels: PixelWords = field(default_factory=PixelWords)
    """What was said of the images; the source says the rest."""
    search_minutes: float | None = None
    """`None` for no search."""
    seed: int = 0
    cache: Path | None = None
    """By default `.edgewise` beside `out`."""


def optimize_source(order: Order, progress: Progress = silent) -> OptimizeSummary:
    """Try recipes on a source, choose a bundle and a runtime, and write them into `order.out`.

    What was measured is kept by content: asked again, it continues where it stopped.

    Returns
    -------
    OptimizeSummary
        Without `chosen` when nothing may ship; `order.out` is as it was then.

    Raises
    ------
    EdgewiseError
        For every mistake in the source, the data or the recipes; when another run is at work on
        `order.out`.
    """
    check_place(order.out, "candidates.json")
    if (order.out / "run.json").exists():  # its certificate is for the bundle that is there
        what, hint = "it holds a run of `edgewise run`", "choose another with --out"
        raise StorageError(what, where=str(order.out), hint=hint)
    for one in order.optimize.recipes:
        parse_recipe(one)
    if not order.source.exists():
        hint = "give an ONNX file or a Hugging Face directory"
        raise InvalidModel("no such model", where=str(order.source), hint=hint)
    with alone_on(order.out):
        return _optimize(order, progress)


def _optimize(order: Order, progress: Progress) -> OptimizeSummary:
    task, data = read_sample(order.data, order.column, order.label_column)
    if task is Task.FEATURE_EXTRACTION:
        data = _thinned(data, progress)
    spec = _spec(order, task)
    target = describe_target(order.edge.threads, "onnxruntime")
    cache = Cache(order.cache or order.out.resolve().parent / ".edgewise")
    parts = _parts(spec, data, target)
    question = key_of(
        "question", (*parts, order.optimize, order.search_minutes, order.seed, find_runtimes())
    )
    answered = _answer_to(question, order.out)
    if answered is not None:
        return answered
    work = cache.folder / f"optimize-{key_of('work', parts)}"
    try:
        found = find_best(
            spec,
            data,
            work,
            _tools(spec, cache, parts, target, progress),
            _search(order, cache, parts, progress),
        )
        summary = replace(_summary(order, spec, data, target, found), question_sha256=question)
        if found.bundle is None:
            return summary
        return _publish(summary, found.bundle, order.out)
    finally:
        clear(candidates_folder(work, spec.name))


def _spec(order: Order, task: Task) -> ProjectSpec:
    """Give the order as a project without a cloud, whose loss is bounded by the objective alone."""
    images = task is Task.IMAGE_CLASSIFICATION
    image = read_image_input(order.source, order.pixels) if images else None
    name = order.source.resolve().stem if order.source.is_file() else order.source.resolve().name
    return ProjectSpec(
        name=name,
        task=task,
        model=ModelSpec(source=order.source.resolve(), image=image, max_length=order.max_length),
        data=DataSpec(train=order.data, calibration=order.data, test=order.data),
        edge=order.edge,
        objective=order.objective,
        optimize=order.optimize,
        path=order.data,
    )


def _parts(spec: ProjectSpec, data: Split, target: Target) -> tuple[object, ...]:
    gates = spec.optimize
    return (
        spec.task,
        hash_source(spec.model),
        spec.model.image,
        spec.model.max_length,
        data.sha256,
        spec.edge,
        spec.objective,
        (gates.min_agreement, gates.min_cosine),
        digest(target),
    )


def _tools(
    spec: ProjectSpec,
    cache: Cache,
    parts: tuple[object, ...],
    target: Target,
    progress: Progress,
) -> Tools:
    def probe(bundle: Path, inputs: Sequence[Input]) -> Profile:
        threads = read_manifest(bundle, verify=False).threads
        return measure(bundle, inputs[:_SELECTION_INPUTS], threads=threads)

    def keep(stage: str, more: tuple[object, ...], make: Callable[[], Candidate]) -> Candidate:
        return cache.record(stage, (*parts, *more), Candidate, make)

    del spec
    race = make_race(cache, parts, _SELECTION_INPUTS, progress)
    return Tools(probe=probe, race=race, keep=keep, workers=target.cores, progress=progress)


def _search(
    order: Order, cache: Cache, parts: tuple[object, ...], progress: Progress
) -> Search | None:
    if order.search_minutes is None:
        return None
    minutes = order.search_minutes
    journal = cache.folder / f"search-{key_of('search', (*parts, order.seed))}.log"
    return lambda survey, plans: explore(
        survey,
        plans,
        space_for=partial(space_of, survey, plans),
        journal=journal,
        budget_s=60.0 * minutes,
        seed=order.seed,
        clock=time.monotonic,
        progress=progress,
    )


def _thinned(data: Split, progress: Progress) -> Split:
    """Take rows evenly over a file where it has more than an average of cosines needs."""
    n = len(data.examples)
    if n <= _MOST_UNLABELLED:
        return data
    progress(f"{_MOST_UNLABELLED} of {n} rows are taken, evenly over the file", 0, 0)
    kept = tuple(data.examples[i * n // _MOST_UNLABELLED] for i in range(_MOST_UNLABELLED))
    return Split(name=data.name, examples=kept, sha256=data.sha256)


def _summary(
    order: Order, spec: ProjectSpec, data: Split, target: Target, found: Best
) -> OptimizeSummary:
    rows = tuple(map(row_of, found.candidates))
    costs = {
        place: cost
        for place, one in enumerate(found.candidates)
        if one.kept and (cost := costs_of(one)) is not None
    }
    places = list(costs)
    front = tuple(places[i] for i in pareto_front(list(costs.values())))
    skipped = tuple(
        SkippedRuntime(runtime=fit.runtime, why=fit.why, command=fit.command)
        for fit in found.skipped
    )
    sha256 = bundle_sha256(read_manifest(found.bundle)) if found.bundle is not None else None
    return OptimizeSummary(
        name=spec.name,
        task=spec.task,
        out=str(order.out),
        source=str(order.source),
        source_sha256=found.source_sha256,
        source_size_bytes=found.source_size_bytes,
        data_sha256=data.sha256,
        held_out=len(held_out(data).examples),
        target=target,
        candidates=rows,
        chosen=rows[found.chosen] if found.chosen is not None else None,
        pareto=front,
        skipped_runtimes=skipped,
        bundle_sha256=sha256,
    )


def _publish(summary: OptimizeSummary, bundle: Path, out: Path) -> OptimizeSummary:
    """Write the directory, unless it holds this very outcome."""
    page = render_candidates(summary)

    def fill(folder: Path) -> None:
        shutil.copytree(bundle, folder / "bundle")
        write_text(folder / "optimize.html", page)
        write_json(folder / "candidates.json", summary)

    if _published(summary, page, out):
        clear_asides(out)
    else:
        replace_run(out, _PARTS, fill)
    return summary


def _answer_to(question: str, out: Path) -> OptimizeSummary | None:
    """Give what the directory holds, where it is whole and the answer to this very question."""
    try:
        there = read_json(OptimizeSummary, out / "candidates.json")
    except EdgewiseError:
        return None
    asked = there.question_sha256 == question
    return there if asked and _published(there, render_candidates(there), out) else None


def _published(summary: OptimizeSummary, page: str, out: Path) -> bool:
    try:
        same = read_json(OptimizeSummary, out / "candidates.json") == summary
        whole = bundle_sha256(read_manifest(out / "bundle")) == summary.bundle_sha256
        return same and whole and (out / "optimize.html").read_text(encoding="utf-8") == page
    except (EdgewiseError, OSError):
        return False
