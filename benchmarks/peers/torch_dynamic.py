"""PyTorch's `quantize_dynamic` on the linear layers."""

import copy
import warnings
from dataclasses import replace

import torch
from benchmarks.peers import Run, Subject, torch_eager


def prepare(subject: Subject) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.ao.quantization.quantize_dynamic(
            copy.deepcopy(subject.module), {torch.nn.Linear}, dtype=torch.qint8
        )
    return torch_eager.prepare(replace(subject, module=made))
