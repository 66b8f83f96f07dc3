"""LiteRT in float: a signature for each length, and each call padded to the next of them."""

from pathlib import Path

import litert_torch
import numpy as np
import torch
from benchmarks.peers import Inputs, Run, Subject, ort_float


def prepare(subject: Subject) -> Run:
    return padded(subject, convert(subject))


def convert(subject: Subject) -> Path:
    out = subject.folder / "encoder.tflite"
    if not out.exists():
        made = litert_torch
        for length in subject.lengths:
            ones = torch.ones((1, length), dtype=torch.int64)
            sample = {"input_ids": ones, "attention_mask": ones.clone()}
            made = made.signature(f"tokens_{length}", subject.module, sample_kwargs=sample)
        made.convert().export(str(out))
    return out


def padded(subject: Subject, model: Path) -> Run:
    whole = ort_float.of(model, "litert")

    def run(inputs: Inputs):
        given = inputs["input_ids"].shape[1]
        length = next(size for size in subject.lengths if size >= given)
        return whole({k: np.pad(v, ((0, 0), (0, length - given))) for k, v in inputs.items()})

    return run
