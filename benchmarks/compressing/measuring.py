"""What is measured of a source and of its candidates, and how one of them is chosen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from benchmarks.compressing.made import Made, Rows
from benchmarks.optimize import size_bytes
from numpy.typing import NDArray

from edgewise.profile import Entry, compare, measure
from edgewise.records import Input
from edgewise.runtimes import open_bundle, read_manifest
from edgewise.tasks.metric import wilson_interval

MOST_LOST_ON_CHOICE = 0.03
"""Two points under what is promised, since the choice rows and the test rows differ by chance."""
TIMED, ROUNDS, PROFILED = 200, 120, 50

Right = NDArray[np.bool_]
"""Of shape (n,): whether each row was answered as its label says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A bundle on the test rows."""

    recipe: tuple[str, ...]
    size_bytes: int
    accuracy: float
    low: float
    high: float
    """Wilson's 95 % interval of the accuracy."""
    n: int
    p50_ms: float
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A source against what was chosen; lost is in shares of 1, with its 95 % interval."""

    source: Figures
    chosen: Figures
    lost: float
    lost_low: float
    lost_high: float
    speedup: float
    speedup_low: float
    speedup_high: float


def answered_right(bundle: Path, rows: Rows) -> Right:
    model = open_bundle(bundle)
    answers = model.predict_many(rows.inputs)
    model.close()
    named = [model.labels[label] for label in rows.labels]
    return np.array([one.label == truth for one, truth in zip(answers, named, strict=True)])


def choose(made: Made) -> Path:
    """Give the smallest candidate that loses little on the choice rows, else the most accurate."""
    source = answered_right(made.source, made.choice).mean()
    print(f"choice rows ({len(made.choice.labels)}): source {source:.4f}")
    fit, found = [], {}
    for one in made.candidates:
        found[one] = float(answered_right(one, made.choice).mean())
        print(f"  {found[one]:.4f} {size_bytes(one):>10} B  {', '.join(read_manifest(one).recipe)}")
        if source - found[one] <= MOST_LOST_ON_CHOICE:
            fit.append(one)
    return min(fit, key=size_bytes) if fit else max(found, key=lambda one: found[one])


def examine(made: Made, chosen: Path) -> Outcome:
    """Measure the source and the chosen candidate on the test rows, timed in turn."""
    rows = made.test()
    inputs = rows.inputs[:TIMED]
    both = (made.source, chosen)
    rights = [answered_right(one, rows) for one in both]
    timed = compare([Entry(bundle=chosen), Entry(bundle=made.source)], inputs, rounds=ROUNDS)
    small, full = timed.contenders
    lost, lost_low, lost_high = lost_interval(rights[0], rights[1])
    source, figures = (
        _figures(one, right, time.p50_ms, inputs[:PROFILED])
        for one, right, time in zip(both, rights, (full, small), strict=True)
    )
    return Outcome(
        source=source,
        chosen=figures,
        lost=lost,
        lost_low=lost_low,
        lost_high=lost_high,
        speedup=full.ratio,
        speedup_low=full.ratio_low,
        speedup_high=full.ratio_high,
    )


def lost_interval(source: Right, other: Right) -> tuple[float, float, float]:
    """Give the accuracy lost, and its 95 % interval for answers to the same rows.

    Source: A. Agresti, Categorical Data Analysis, 2002, section 10.1 (Wald's, of matched pairs).
    """
    n = len(source)
    worse, better = int((source & ~other).sum()), int((other & ~source).sum())
    lost = (worse - better) / n
    error = math.sqrt(max(worse + better - n * lost * lost, 0.0)) / n
    half = NormalDist().inv_cdf(0.975) * error
    return lost, lost - half, lost + half


def _figures(bundle: Path, right: Right, p50_ms: float, inputs: Sequence[Input]) -> Figures:
    low, high = wilson_interval(int(right.sum()), len(right))
    return Figures(
        recipe=read_manifest(bundle).recipe,
        size_bytes=size_bytes(bundle),
        accuracy=float(right.mean()),
        low=low,
        high=high,
        n=len(right),
        p50_ms=p50_ms,
        peak_memory_bytes=measure(bundle, inputs, repeats=1).peak_memory_bytes,
    )
