"""The state of a run of training as one safetensors file: tensors, and figures beside them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewise import extras
from edgewise.errors import InvalidData, StorageError
from edgewise.records import aside_of, clear_dead_asides

with extras.needed("torch"):
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file
    from torch import nn


@dataclass(slots=True, kw_only=True)
class Figures:
    """What the loop counts. Changed by the loop alone."""

    key: str
    step: int = 0
    seconds_s: float = 0.0
    losses: list[float] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_count: int = 0
    before: float | None = None
    best: float | None = None
    best_loss: float = 0.0
    best_step: int = 0
    looks_without: int = 0
    is_early: bool = False


def tensors_of(module: nn.Module) -> dict[str, Any]:
    """Give copies of a module's parameters and buffers, tied ones once."""
    found = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: value.detach().clone().contiguous() for name, value in found.items()}


def put_tensors(module: nn.Module, tensors: dict[str, Any]) -> None:
    """Write such copies back."""
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, value in own.items():
        value.data.copy_(tensors[name])


def write_checkpoint(path: Path, parts: dict[str, dict[str, Any]], figures: Figures) -> None:
    """Write a checkpoint aside and rename it.

    Raises
    ------
    StorageError
        When it can't be written.
    """
    tensors = {
        f"{part}/{name}": value for part, named in parts.items() for name, value in named.items()
    }
    said = {name: getattr(figures, name) for name in Figures.__slots__}
    _write(path, tensors, {"figures": json.dumps(said)})


def write_weights(path: Path, tensors: dict[str, Any]) -> None:
    """Write what was trained, aside and renamed.

    Raises
    ------
    StorageError
        When it can't be written.
    """
    _write(path, {name: one.detach().contiguous() for name, one in tensors.items()}, {})


def read_weights(path: Path) -> dict[str, Any]:
    """Read what `write_weights` wrote.

    Raises
    ------
    InvalidData
        When the file is broken.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except (SafetensorError, OSError, ValueError) as broken:
        what = "not a file of trained weights"
        raise InvalidData(what, where=str(path), hint="remove it to train anew") from broken


def _write(path: Path, tensors: dict[str, Any], said: dict[str, str]) -> None:
    clear_dead_asides(path)
    aside = aside_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, aside, metadata=said)
        aside.replace(path)
    except (OSError, SafetensorError) as failure:
        what = f"can't write: {getattr(failure, 'strerror', None) or failure}"
        raise StorageError(what, where=str(path), hint="free some space") from failure
    finally:
        aside.unlink(missing_ok=True)


def read_checkpoint(path: Path, key: str) -> tuple[dict[str, dict[str, Any]], Figures]:
    """Read a checkpoint.

    Parameters
    ----------
    key
        Of the settings, the data, the module and its teacher; the file must have been written with
        it.

    Raises
    ------
    InvalidData
        When the file is no checkpoint, or one of another run.
    """
    hint = "remove it to start anew"
    try:
        with safe_open(path, framework="pt") as file:
            figures = Figures(**json.loads(file.metadata()["figures"]))
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as broken:
        what = "not a checkpoint of a training"
        raise InvalidData(what, where=str(path), hint=hint) from broken
    if figures.key != key:
        what = "the checkpoint is of other settings, data or another module"
        raise InvalidData(what, where=str(path), hint=hint)
    parts: dict[str, dict[str, Any]] = {}
    for name, value in tensors.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = value
    return parts, figures
