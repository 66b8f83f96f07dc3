"""What a runtime is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[np.generic]]


class Session(Protocol):
    """One loaded model. Any thread may call `run`; nothing may be called after `close`."""

    input_names: tuple[str, ...]
    input_shapes: tuple[tuple[int | None, ...], ...]
    """Of each input, in the order of the names; `None` is a size that calls may choose."""
    output_names: tuple[str, ...]

    def run(self, inputs: Tensors) -> dict[str, NDArray[np.generic]]:
        """Give all outputs by name. Inputs that the model does not take are dropped.

        Raises
        ------
        InvalidData
            When an input is absent or has a wrong shape or type.
        """
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class Runtime(Protocol):
    """Loads models of one format. Stateless; any thread may call it."""

    name: str
    extra: str
    """The extra that brings it; empty where the base install has it."""
    formats: tuple[str, ...]
    """Suffixes of the files that it loads."""

    def version(self) -> str:
        """Give the installed version.

        Raises
        ------
        MissingExtra
            When the runtime is not installed.
        """
        ...

    def load(self, model: Path, *, threads: int = 1) -> Session:
        """Load a model file.

        Raises
        ------
        InvalidModel
            When the file is absent, corrupt, or uses what the runtime does not know.
        """
        ...
