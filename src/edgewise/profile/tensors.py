"""Model files timed in turn on the same tensors, for models that no bundle says how to ask."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgewise.errors import UsageError
from edgewise.profile.compare import ratio_to_first, sit
from edgewise.profile.measure import check_inputs, check_runtime
from edgewise.profile.spawn import Child, write_inputs
from edgewise.records import Input, Progress, silent
from edgewise.runtimes.protocol import Tensors

RUNNER = "edgewise.profile.tensor_runner"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCost:
    """What one model file took, beside the first of its comparison. Made by `compare_models`."""

    p50_ms: float
    p95_ms: float
    peak_memory_bytes: int
    """Of a process of its own that ran every input; 0 where the system does not tell."""
    ratio: float
    """Of its times to those of the first, with the 95 % interval."""
    ratio_low: float
    ratio_high: float


def compare_models(
    models: Sequence[Path],
    inputs: Sequence[Tensors],
    *,
    runtime: str = "onnxruntime",
    threads: int = 1,
    rounds: int = 40,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[ModelCost, ...]:
    """Time model files against the first of them, in turn, in fresh processes as `compare` does.

    Parameters
    ----------
    inputs
        As the models take them; one is run at a time. A round takes the next eight.
    rounds
        At least 2.
    seed
        Of the resampling.

    Raises
    ------
    InvalidData, InvalidModel, MissingExtra
        When an input does not fit, or a model can't be loaded.
    UsageError
        When there are fewer than two models or two rounds.
    """
    check_inputs(inputs)
    check_runtime(runtime)
    if len(models) < 2 or rounds < 2:
        what = f"{len(models)} model(s) in {rounds} round(s)"
        hint = "give at least two models and two rounds"
        raise UsageError(what, where="compare_models", hint=hint)
    requests = [
        {"bundle": str(one), "model": str(one), "threads": threads, "runtime": runtime}
        for one in models
    ]
    given: list[Input] = [dict(one) for one in inputs]
    peaks = [_peak_memory_bytes(request, given) for request in requests]
    times_ms = sit(RUNNER, requests, given, rounds, progress)
    found = []
    for own_ms, peak_bytes in zip(times_ms, peaks, strict=True):
        ratio, low, high = ratio_to_first(own_ms, times_ms[0], np.random.default_rng(seed))
        p50_ms, p95_ms = np.quantile(own_ms, [0.50, 0.95])
        found.append(
            ModelCost(
                p50_ms=float(p50_ms),
                p95_ms=float(p95_ms),
                peak_memory_bytes=peak_bytes,
                ratio=ratio,
                ratio_low=low,
                ratio_high=high,
            )
        )
    return tuple(found)


def _peak_memory_bytes(request: dict[str, object], inputs: Sequence[Input]) -> int:
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        file = str(write_inputs(Path(folder), inputs))
        with Child(RUNNER, {**request, "inputs": file}) as child:
            child.receive()
            child.send({"chosen": list(range(len(inputs)))})
            return int(child.receive()["peak_memory_bytes"])
