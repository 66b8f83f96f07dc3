"""What an optimization bought and cost: two models side by side on the same data."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidModel
from edgewise.optimize.examples import read_examples, read_labels
from edgewise.optimize.optimized import OptimizedModel
from edgewise.profile.tensors import ModelCost, compare_models
from edgewise.records import Progress, silent
from edgewise.runtimes.protocol import Tensors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OptimizationImpact(Mapping[str, Any]):
    """Two models measured in turn; reads as a mapping and as attributes. Made by `measure_impact`.

    Sizes are of the model's file, a megabyte is 10^6 bytes, latencies are of one example at a time
    in fresh processes, and peak memory is of a whole process with Python and the runtime.
    """

    size_reduction: float
    """Share of the original's bytes that are gone; below 0 where the file grew."""
    latency_improvement: float
    """The original's time over the optimized one's: 2 is twice as fast."""
    accuracy_delta: float
    """The optimized model's accuracy less the original's."""
    original_size_mb: float
    optimized_size_mb: float
    original_latency_ms: float
    """Median."""
    optimized_latency_ms: float
    original_p95_latency_ms: float
    optimized_p95_latency_ms: float
    latency_improvement_low: float
    """With `_high` the 95 % interval."""
    latency_improvement_high: float
    original_peak_memory_mb: float
    """0 where the system does not tell."""
    optimized_peak_memory_mb: float
    original_accuracy: float
    optimized_accuracy: float
    agreement: float
    """Share of examples on which both answer the same."""
    n: int
    """Examples."""
    notes: tuple[str, ...] = ()

    def __getitem__(self, key: str) -> Any:
        if key not in _KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_KEYS)

    def __len__(self) -> int:
        return len(_KEYS)


_KEYS = tuple(one.name for one in fields(OptimizationImpact))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How models are timed in turn. Made by `ModelOptimizer`."""

    rounds: int = 40
    """At least 2; each runs up to eight examples a model."""
    threads: int = 1
    seed: int = 0
    """Of the interval's resampling."""
    progress: Progress = silent

    def compare(self, models: Sequence[Path], examples: Sequence[Tensors]) -> tuple[ModelCost, ...]:
        """Time model files against the first."""
        return compare_models(
            models,
            examples,
            threads=self.threads,
            rounds=self.rounds,
            seed=self.seed,
            progress=self.progress,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a model chooses on examples, in order."""

    chosen: NDArray[np.int64]
    classes: int


def measure_impact(
    original: OptimizedModel,
    optimized: OptimizedModel,
    data: object,
    labels: object = None,
    *,
    timing: Timing,
) -> OptimizationImpact:
    """Measure two models on the same examples.

    Parameters
    ----------
    labels
        One number an example; without them what the original answers counts as right.

    Raises
    ------
    InvalidData
        When an example or a label does not fit.
    InvalidModel
        When a model can't run, gives NaN, or the two tell different classes apart.
    """
    examples = read_examples(original.proto(), data, "test_data")
    before, after = answers_of(original, examples), answers_of(optimized, examples)
    if before.classes != after.classes or len(before.chosen) != len(after.chosen):
        what = f"the original tells {before.classes} classes apart, the optimized {after.classes}"
        raise InvalidModel(what, where="optimized", hint="measure a model against its own origin")
    notes = list(optimized.notes)
    if labels is None:
        notes.append("no labels were given: what the original answers counts as right")
        truth = before.chosen
    else:
        truth = read_labels(labels, len(before.chosen), before.classes, "test_labels")
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        files = [
            write_file(one, Path(folder) / name)
            for name, one in (("original", original), ("optimized", optimized))
        ]
        first, second = timing.compare(files, examples)
    accuracy = [float((one.chosen == truth).mean()) for one in (before, after)]
    return OptimizationImpact(
        size_reduction=1 - optimized.size_bytes / original.size_bytes,
        latency_improvement=1 / second.ratio,
        latency_improvement_low=1 / second.ratio_high,
        latency_improvement_high=1 / second.ratio_low,
        accuracy_delta=accuracy[1] - accuracy[0],
        original_size_mb=original.size_bytes / 1e6,
        optimized_size_mb=optimized.size_bytes / 1e6,
        original_latency_ms=first.p50_ms,
        optimized_latency_ms=second.p50_ms,
        original_p95_latency_ms=first.p95_ms,
        optimized_p95_latency_ms=second.p95_ms,
        original_peak_memory_mb=first.peak_memory_bytes / 1e6,
        optimized_peak_memory_mb=second.peak_memory_bytes / 1e6,
        original_accuracy=accuracy[0],
        optimized_accuracy=accuracy[1],
        agreement=float((before.chosen == after.chosen).mean()),
        n=len(truth),
        notes=tuple(notes),
    )


def answers_of(model: OptimizedModel, examples: Sequence[Tensors]) -> Answers:
    """Run a model on examples and give the class that each row of its first output chooses.

    A model with one output a row answers 1 where that is above 0.

    Raises
    ------
    InvalidModel
        When an answer is no number.
    """
    chosen, classes = [], 0
    with model.open() as session:
        for number, one in enumerate(examples):
            found = np.asarray(session.run(one)[session.output_names[0]], dtype=np.float64)
            if not np.isfinite(found).all():
                what = f"it gives NaN or infinite values on example {number}"
                hint = "check that example, and the model's recipe"
                raise InvalidModel(what, where=model.origin.name, hint=hint)
            rows = found.reshape(-1, found.shape[-1] if found.ndim > 1 else 1)
            classes = rows.shape[1]
            chosen.append(rows.argmax(axis=1) if classes > 1 else (rows[:, 0] > 0).astype(int))
    return Answers(chosen=np.concatenate(chosen).astype(np.int64), classes=max(classes, 2))


def write_file(model: OptimizedModel, path: Path) -> Path:
    """Write a model's file under a name of its format."""
    file = path.with_suffix(f".{model.format}")
    file.write_bytes(model.content)
    return file
