"""What others make of the same model: a file a peer, each with `prepare(subject)` giving `run`.

A `run` takes the inputs of one call by name and gives the output, one row an input. Needs the
packages of the heavy tests. `subjects.py` makes what is timed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Inputs = dict[str, NDArray[np.generic]]
Run = Callable[[Inputs], NDArray[np.floating]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model to be timed: `module` takes `inputs` by name, `onnx` is made of it."""

    module: Any
    onnx: Path
    inputs: tuple[str, ...]
    samples: Sequence[Inputs]
    """Inputs of natural length, for peers that look at activations."""
    folder: Path
    """Takes what a peer makes."""
    shapes: Sequence[Inputs]
    """For peers that need fixed sizes: one input of each, smallest first. Each call is padded to
    the first that is as long."""
    is_text: bool = True
