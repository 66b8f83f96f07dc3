"""What a source is: a model to make candidates from."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

Head = tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]
"""Weight of shape (labels, width) and bias of shape (labels,)."""


class Source(Protocol):
    """A model to make candidates from. Its graphs are made anew at each call."""

    folder: Path
    layers: int
    max_length: int
    """Tokens. Set lower, its graphs need not take more."""
    has_head: bool
    labels: tuple[str, ...]

    def features(self) -> "onnx.ModelProto":
        """Give a model with `features_1` … `features_L` of shape (n, width)."""
        ...

    def classifier(self, depth: int, head: Head | None) -> "onnx.ModelProto":
        """Give the first `depth` layers with a head as `logits`; `None` takes the source's own."""
        ...

    def encoder(self, depth: int) -> "onnx.ModelProto":
        """Give the first `depth` layers, pooled, as `embedding` of shape (n, width)."""
        ...
