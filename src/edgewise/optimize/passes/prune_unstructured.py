"""Unstructured pruning: single weights become zero.

It buys compressed size, not speed: the shapes stay, the runtime multiplies the zeros, and the file
is as long as before. `Sparsity` says so in bytes.

Source: Han et al., "Learning both Weights and Connections for Efficient Neural Networks", 2015.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.shares import check_share
from edgewise.optimize.graphs.wiring import Array, copy_of

NAME = "prune-unstructured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsity:
    """What the zeros bought. Made by `prune_unstructured`."""

    weights: int
    """Of the matrices and kernels looked at."""
    zeros: int
    size_bytes: int
    size_bytes_before: int
    compressed_bytes: int
    """With DEFLATE, as in a wheel, an APK or an HTTP response."""
    compressed_bytes_before: int

    @property
    def zero_share(self) -> float:
        """Give the share of zeros among the weights."""
        return self.zeros / self.weights

    def __str__(self) -> str:
        saved = 1 - self.compressed_bytes / self.compressed_bytes_before
        return (
            f"{self.zero_share:.0%} of the weights are zero: {saved:.0%} fewer bytes compressed, "
            "the same file size and speed when not"
        )


def prune_unstructured(
    model: onnx.ModelProto, share: float, *, by_tensor: bool = False
) -> tuple[onnx.ModelProto, Sparsity]:
    """Give the model with the smallest weights set to zero, and what that buys.

    Parameters
    ----------
    share : in [0, 1)
        Of all weights of two or more axes.
    by_tensor
        Take the share from each tensor, rather than the smallest of all together.

    Raises
    ------
    InvalidModel
        When the model has no float weights of two or more axes.
    """
    check_share(share)
    pruned = copy_of(model)
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    held = [t for t in pruned.graph.initializer if len(t.dims) >= 2 and t.data_type in kinds]
    if not held:
        what = "no float weights of two or more axes found"
        raise InvalidModel(what, where=NAME, hint="prune before quantizing the model")
    values = [numpy_helper.to_array(tensor) for tensor in held]
    masks = (
        [_smallest([value], share)[0] for value in values]
        if by_tensor
        else _smallest(values, share)
    )
    zeros = 0
    for tensor, value, mask in zip(held, values, masks, strict=True):
        zeros += int(np.count_nonzero((value == 0) | mask))
        if mask.any():
            tensor.CopyFrom(
                numpy_helper.from_array(np.where(mask, 0, value).astype(value.dtype), tensor.name)
            )
    before, after = model.SerializeToString(), pruned.SerializeToString()
    return pruned, Sparsity(
        weights=sum(value.size for value in values),
        zeros=zeros,
        size_bytes=len(after),
        size_bytes_before=len(before),
        compressed_bytes=len(zlib.compress(after)),
        compressed_bytes_before=len(zlib.compress(before)),
    )


def _smallest(values: list[Array], share: float) -> list[Array]:
    """Mark the share of smallest magnitude; exactly that many, equals in order."""
    flat = np.concatenate([np.abs(value).reshape(-1) for value in values])
    count = int(share * flat.size + 1e-9)
    marked = np.zeros(flat.size, dtype=bool)
    if count:
        limit = np.partition(flat, count - 1)[count - 1]
        marked = flat < limit
        ties = np.flatnonzero(flat == limit)
        marked[ties[: count - int(marked.sum())]] = True
    ends = np.cumsum([value.size for value in values])[:-1]
    return [part.reshape(v.shape) for part, v in zip(np.split(marked, ends), values, strict=True)]
