"""PyTorch, as it comes."""

import torch
from benchmarks.peers import Inputs, Run, Subject


def prepare(subject: Subject) -> Run:
    def run(inputs: Inputs):
        with torch.inference_mode():
            return subject.module(**{k: torch.from_numpy(v) for k, v in inputs.items()}).numpy()

    return run
