"""LiteRT in float: a signature for each size, and each call padded to the next of them."""

from collections.abc import Sequence
from pathlib import Path

import litert_torch
import numpy as np
import torch
from benchmarks.peers import Inputs, Run, Subject, ort_float


def prepare(subject: Subject) -> Run:
    return padded(subject.shapes, convert(subject))


def convert(subject: Subject) -> Path:
    out = subject.folder / "peer.tflite"
    if not out.exists():
        made = litert_torch
        for index, one in enumerate(subject.shapes):
            sample = {name: torch.from_numpy(value) for name, value in one.items()}
            made = made.signature(f"shape_{index}", subject.module, sample_kwargs=sample)
        made.convert().export(str(out))
    return out


def padded(shapes: Sequence[Inputs], model: Path, runtime: str = "litert") -> Run:
    """Run a model of fixed sizes."""
    whole = ort_float.of(model, runtime)
    sizes = [next(iter(one.values())).shape for one in shapes]

    def run(inputs: Inputs):
        given = next(iter(inputs.values())).shape
        if given in sizes:
            return whole(inputs)
        length = next(size[1] for size in sizes if size[1] >= given[1])
        return whole({k: np.pad(v, ((0, 0), (0, length - given[1]))) for k, v in inputs.items()})

    return run
