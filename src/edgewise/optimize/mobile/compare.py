"""How near an artifact's outputs are to its source's. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Outputs = Sequence[NDArray[np.generic]]
"""All outputs of one call, in the model's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What an artifact has to keep to. Given by the caller, or by the kind of its arithmetic."""

    min_cosine: float
    max_relative_error: float
    """Largest error as a share of the source's largest value."""
    min_agreement: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What `compare` measured over all examples."""

    max_abs_error: float
    relative_error: float
    cosine: float
    """Of each output of an example, averaged over the examples; the lowest of the outputs."""
    agreement: float | None
    """Share of rows with the same largest value of the first output; `None` without a choice."""

    def reasons(self, bounds: Bounds) -> tuple[str, ...]:
        """Say which bounds it misses."""
        found = []
        if self.cosine < bounds.min_cosine:
            found.append(f"cosine {self.cosine:.5f}, and {bounds.min_cosine} is asked")
        if self.relative_error > bounds.max_relative_error:
            found.append(
                f"is off by {self.relative_error:.2%} of the largest value, "
                f"and {bounds.max_relative_error:.2%} is allowed"
            )
        if self.agreement is not None and self.agreement < bounds.min_agreement:
            found.append(f"agrees on {self.agreement:.1%}, and {bounds.min_agreement:.1%} is asked")
        return tuple(found)


def compare(found: Sequence[Outputs], expected: Sequence[Outputs]) -> Comparison:
    """Measure an artifact's outputs against its source's on the same examples.

    Raises
    ------
    ValueError
        With the reason, when they can't be compared: other shapes, or numbers that are not finite.
    """
    errors, largest, cosines, agreed = [0.0], [0.0], [], []
    for one, other in zip(found, expected, strict=True):
        if len(one) != len(other):
            raise ValueError(f"gives {len(one)} outputs, and its source {len(other)}")
        row = []
        for index, (ours, theirs) in enumerate(zip(one, other, strict=True)):
            if ours.shape != theirs.shape:
                raise ValueError(
                    f"output {index} is of shape {ours.shape}, and its source's {theirs.shape}"
                )
            a, b = ours.astype(np.float64), theirs.astype(np.float64)
            if not np.isfinite(a).all():
                raise ValueError(f"output {index} has numbers that are not finite")
            if a.size:
                errors.append(float(np.abs(a - b).max()))
                largest.append(float(np.abs(b).max()))
            row.append(_cosine(a.ravel(), b.ravel()))
            if index == 0 and a.ndim > 1 and a.shape[-1] > 1:
                agreed.append(float(np.mean(a.argmax(axis=-1) == b.argmax(axis=-1))))
        cosines.append(row)
    error = max(errors)
    return Comparison(
        max_abs_error=error,
        relative_error=error / max(largest) if max(largest) > 0 else error,
        cosine=min(float(np.mean(of_one)) for of_one in zip(*cosines, strict=True)),
        agreement=float(np.mean(agreed)) if agreed else None,
    )


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    if scale == 0.0:
        return float(np.array_equal(a, b))
    return float(a @ b / scale)
