"""Examples become batches of like length, in an order that a seed fixes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import InvalidData
from edgewise.optimize.training.records import TrainingData

with extras.needed("torch"):
    import torch

_POOL = 50
"""Batches whose examples are sorted together: wide enough to save padding, and still shuffled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some examples as tensors."""

    indices: Any
    inputs: dict[str, Any]
    labels: Any


def split(count: int, held_out_share: float, seed: int) -> tuple[NDArray[np.int64], ...]:
    """Give the indices to train on, and those held out; at least one is trained on."""
    order = np.random.default_rng((seed, 0)).permutation(count)
    away = min(round(count * held_out_share), count - 1)
    return np.sort(order[away:]), np.sort(order[:away])


def order_epoch(
    data: TrainingData, chosen: NDArray[np.int64], size: int, draw: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Give one epoch's batches of indices: shuffled, each of examples of like length."""
    shuffled = draw.permutation(chosen)
    lengths = np.asarray([_length(data, index) for index in shuffled])
    batches = []
    for start in range(0, len(shuffled), size * _POOL):
        part = slice(start, start + size * _POOL)
        pool = shuffled[part][np.argsort(lengths[part], kind="stable")]
        batches += [pool[at : at + size] for at in range(0, len(pool), size)]
    return [batches[i] for i in draw.permutation(len(batches))]


def in_order(data: TrainingData, chosen: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Give batches of indices from short to long."""
    lengths = np.asarray([_length(data, index) for index in chosen])
    ordered = chosen[np.argsort(lengths, kind="stable")]
    return [ordered[at : at + size] for at in range(0, len(ordered), size)]


def collate(data: TrainingData, indices: Sequence[int] | NDArray[np.int64]) -> Batch:
    """Give the examples as one batch, rows of ids filled up at their end.

    Raises
    ------
    InvalidData
        When two inputs other than rows of ids differ in shape.
    """
    inputs = {}
    for name in data.inputs[0]:
        rows = [np.asarray(data.inputs[index][name]) for index in indices]
        if len({row.shape for row in rows}) > 1:
            rows = _filled(name, rows, data.pad_id if name == "input_ids" else 0)
        inputs[name] = torch.from_numpy(np.concatenate(rows))
    labels = None
    if data.labels is not None:
        labels = torch.tensor([int(data.labels[index]) for index in indices])
    return Batch(indices=torch.as_tensor(np.asarray(indices)), inputs=inputs, labels=labels)


def _filled(name: str, rows: list[NDArray[Any]], value: int) -> list[NDArray[Any]]:
    if any(row.ndim != 2 or row.dtype.kind not in "iu" for row in rows):
        shapes = sorted({row.shape for row in rows})
        what = f"`{name}` has the shapes {', '.join(map(str, shapes[:3]))}"
        raise InvalidData(what, where="inputs", hint="give examples of one shape, or rows of ids")
    longest = max(row.shape[1] for row in rows)
    return [
        np.pad(row, ((0, 0), (0, longest - row.shape[1])), constant_values=value) for row in rows
    ]


def _length(data: TrainingData, index: int) -> int:
    return max(value.size for value in data.inputs[index].values())
