"""Recipes and student shapes tried side by side, each measured, and the best of them chosen."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgewise.errors import InvalidData, InvalidModel
from edgewise.optimize.optimized import OptimizedModel
from edgewise.optimize.recipe import FLOAT
from edgewise.pipeline.impact import Timing, answers_of, write_file
from edgewise.runtimes.protocol import Tensors

RECIPES = (
    "int8-dynamic",
    "int8-static",
    "int4-weights",
    "prune-ffn:0.25,int8-dynamic",
    "prune-ffn:0.5,int8-dynamic",
    "prune-channels:0.25,int8-static",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tried:
    """One architecture that was made, or why it was not. Made by `try_all`."""

    name: str
    """Its recipe, or the student's shape."""
    agreement: float | None = None
    """Share of the examples on which it answers as the original; `None` where there is no model."""
    size_bytes: int = 0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    peak_memory_bytes: int = 0
    is_best: bool = False
    """Whether none that agrees enough is better in one of size, p95 and agreement and no worse."""
    why: str = ""
    """Why it is out."""
    model: OptimizedModel | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchOutcome:
    """What was tried, the original first, and the fastest that agrees enough."""

    tried: tuple[Tried, ...]
    chosen: OptimizedModel | None
    """`None` where nothing that agrees enough is faster or smaller than the original."""


Maker = Callable[[], OptimizedModel]


def try_all(
    original: OptimizedModel,
    makers: Sequence[tuple[str, Maker]],
    examples: Sequence[Tensors],
    *,
    min_agreement: float,
    timing: Timing,
) -> SearchOutcome:
    """Make each, time all that agree enough with the original in turn, and choose the fastest.

    Parameters
    ----------
    makers
        Names, and what gives the model of each; one that does not fit the model is out.
    """
    expected = answers_of(original, examples)
    tried = [Tried(name=FLOAT, agreement=1.0, model=original)]
    for number, (name, make) in enumerate(makers):
        timing.progress("search", number, len(makers))
        try:
            made = make()
            found = answers_of(made, examples)
        except (InvalidModel, InvalidData) as unfit:
            tried.append(Tried(name=name, why=unfit.what))
            continue
        agreement = float(np.mean(found.chosen == expected.chosen))
        why = ""
        if agreement < min_agreement:
            why = f"agrees on {agreement:.1%}, and {min_agreement:.1%} is asked"
        tried.append(Tried(name=name, agreement=agreement, why=why, model=made))
    timing.progress("search", len(makers), len(makers))
    timed = _timed([one for one in tried if not one.why], examples, timing)
    best = [replace(one, is_best=_is_best(one, timed)) for one in timed]
    gained = [
        one
        for one in best[1:]
        if one.p50_ms < best[0].p50_ms or one.size_bytes < best[0].size_bytes
    ]
    fastest = min(gained, key=lambda one: one.p50_ms, default=None)
    by_name = {one.name: one for one in best}
    return SearchOutcome(
        tried=tuple(by_name.get(one.name, one) for one in tried),
        chosen=fastest.model if fastest else None,
    )


def _timed(chosen: Sequence[Tried], examples: Sequence[Tensors], timing: Timing) -> list[Tried]:
    if len(chosen) < 2:
        return list(chosen)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        files = [
            write_file(one.model, Path(folder) / f"model-{number}")
            for number, one in enumerate(chosen)
            if one.model is not None
        ]
        costs = timing.compare(files, examples)
        return [
            replace(
                one,
                size_bytes=file.stat().st_size,
                p50_ms=cost.p50_ms,
                p95_ms=cost.p95_ms,
                peak_memory_bytes=cost.peak_memory_bytes,
            )
            for one, file, cost in zip(chosen, files, costs, strict=True)
        ]


def _is_best(one: Tried, others: Sequence[Tried]) -> bool:
    return not any(
        all(theirs <= own for theirs, own in zip(_loss(other), _loss(one), strict=True))
        and _loss(other) != _loss(one)
        for other in others
    )


def _loss(one: Tried) -> tuple[float, ...]:
    return one.size_bytes, one.p95_ms, -(one.agreement or 0.0)
