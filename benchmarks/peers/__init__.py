"""What others make of the same encoder: a file a peer, each with `prepare(subject)` giving `run`.

A `run` takes the inputs of one call by name and gives the embedding, shape (n, width). Needs the
packages of the heavy tests.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Inputs = dict[str, NDArray[np.int64]]
Run = Callable[[Inputs], NDArray[np.floating]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An encoder to be timed: `module` takes `input_ids` and `attention_mask`, `onnx` is of it."""

    module: Any
    onnx: Path
    samples: Sequence[Inputs]
    """Inputs of natural length, for peers that look at activations."""
    folder: Path
    """Takes what a peer makes."""
    lengths: tuple[int, ...] = (16, 32, 64, 128)
    """For peers that need fixed lengths: each call is padded to the next of these."""


class Encoder(torch.nn.Module):
    """Average a Hugging Face encoder's last layer over the attention mask."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Give embeddings of shape (n, width)."""
        hidden = self.inner(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        kept = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * kept).sum(1) / kept.sum(1).clamp(min=1e-9)


def open_subject(model: Path, samples: Sequence[Inputs], folder: Path) -> Subject:
    """Load a Hugging Face directory and export it to ONNX with open batch and length."""
    from transformers import AutoModel  # noqa: PLC0415 - slow to load

    module = Encoder(AutoModel.from_pretrained(model)).eval()
    onnx = folder / "encoder.onnx"
    names = ["input_ids", "attention_mask"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(torch.from_numpy(samples[0][name]) for name in names),
            str(onnx),
            input_names=names,
            output_names=["embedding"],
            dynamic_axes={name: {0: "batch", 1: "length"} for name in names},
            opset_version=17,
            dynamo=False,
        )
    return Subject(module=module, onnx=onnx, samples=samples, folder=folder)
