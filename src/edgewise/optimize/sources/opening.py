"""A path becomes a source, by what lies there."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import InvalidModel

if TYPE_CHECKING:
    import onnx

Head = tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]
"""Weight of shape (labels, width) and bias of shape (labels,)."""


class Source(Protocol):
    """A model to make candidates from. Its graphs are made anew at each call."""

    folder: Path
    layers: int
    max_length: int
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


def open_source(path: Path, labels: tuple[str, ...]) -> Source:
    """Open a Hugging Face directory or an ONNX file.

    Parameters
    ----------
    labels
        Those that the data has, which tell a classifier's output from an encoder's.

    Raises
    ------
    InvalidModel
        When there is nothing, or it is neither.
    """
    with extras.needed("optimize"):
        from edgewise.optimize.sources.bert import BertSource  # noqa: PLC0415 - heavy
        from edgewise.optimize.sources.onnx_file import OnnxSource  # noqa: PLC0415 - heavy
    if path.is_dir():
        return BertSource(path)
    if not path.exists():
        raise InvalidModel("no such model", where=str(path), hint="check model.source")
    if path.suffix != ".onnx":
        what = f"can't import a `{path.suffix or 'nameless'}` file"
        raise InvalidModel(
            what, where=str(path), hint="give an ONNX file or a Hugging Face directory"
        )
    return OnnxSource(path, labels)
