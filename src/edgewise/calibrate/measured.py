"""What certificates are made from: checked arrays, the losses, and the sequence of thresholds."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewise.errors import InvalidData
from edgewise.records import Loss

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Calibration examples, one row each. Made by `measured`."""

    confidence: Floats
    edge: Floats
    cloud: Floats
    clusters: Integers | None
    """Numbers from 0; examples of one number are not independent of each other."""

    @property
    def units(self) -> int:
        """How many independent units there are: clusters, or else examples."""
        return len(self.confidence) if self.clusters is None else int(self.clusters.max()) + 1

    @property
    def graded(self) -> bool:
        """Whether some quality is neither 0 nor 1."""
        return bool(((self.edge % 1.0 != 0.0) | (self.cloud % 1.0 != 0.0)).any())

    def where(self, chosen: NDArray[np.bool_]) -> "Measured":
        """Give the examples chosen."""
        clusters = None
        if self.clusters is not None:
            clusters = np.unique(self.clusters[chosen], return_inverse=True)[1]
        return Measured(
            confidence=self.confidence[chosen],
            edge=self.edge[chosen],
            cloud=self.cloud[chosen],
            clusters=clusters,
        )

    def losses(self, loss: Loss) -> Floats:
        """Give what each example loses if the edge's answer is kept."""
        if loss is Loss.NET:
            return self.cloud - self.edge
        if loss is Loss.REGRET:
            return np.maximum(self.cloud - self.edge, 0.0)
        return 1.0 - self.edge

    def mean_loss(self, loss: Loss, kept: NDArray[np.bool_]) -> float:
        """Give the mean loss seen, over clusters where there are some; `kept_error` of the kept."""
        weights = np.ones(len(kept))
        if self.clusters is not None:
            weights = 1.0 / np.bincount(self.clusters)[self.clusters]
        whole = weights[kept] if loss is Loss.KEPT_ERROR else weights
        return float((self.losses(loss) * weights)[kept].sum() / whole.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """Sums at each distinct confidence, from the highest down. Made by `sequence_of`."""

    thresholds: Floats
    step: Integers
    """Of each example: the place of its own confidence in `thresholds`."""
    kept: Integers
    total: Floats
    nonzero: Integers


def measured(
    confidence: ArrayLike, edge: ArrayLike, cloud: ArrayLike, clusters: ArrayLike | None
) -> Measured:
    """Check and gather the arrays of `certify`.

    Raises
    ------
    InvalidData
        When lengths differ, there is no example, or a value is not finite or out of range.
    """
    c = _numbers(confidence)
    if c.ndim != 1 or len(c) == 0 or not np.isfinite(c).all():
        what = "confidences are empty, not a vector, or not finite"
        raise InvalidData(
            what, where="edge_confidence", hint="give a finite number for each example"
        )
    found = []
    for name, values in (("edge_correct", edge), ("cloud_correct", cloud)):
        array = _numbers(values)
        # `not (0 <= x <= 1)` is how NaN is caught too.
        if array.shape != c.shape or not ((array >= 0.0) & (array <= 1.0)).all():
            what = f"not one number from 0 to 1 for each of {len(c)} examples"
            hint = "give 1 where the answer was right, else 0; or its quality, 0 to 1"
            raise InvalidData(what, where=name, hint=hint)
        found.append(array)
    numbers = None
    if clusters is not None:
        numbers = np.unique(names_of(clusters, len(c), "clusters"), return_inverse=True)[1]
    return Measured(confidence=c, edge=found[0], cloud=found[1], clusters=numbers)


def names_of(values: ArrayLike, n: int, where: str) -> NDArray[np.generic]:
    """Check that there is a name for each example.

    Raises
    ------
    InvalidData
        When there is not, or one is `None` or NaN: what is missing is no name of its own.
    """
    # A list's objects, as an array of words would spell what is missing; so a column's of a table,
    # whose type numpy may not know.
    kind = getattr(values, "dtype", None)
    names = np.asarray(values, dtype=kind if isinstance(kind, np.dtype) else object)
    if names.shape != (n,):
        what = f"{where} of shape {names.shape} for {n} examples"
        raise InvalidData(what, where=where, hint="give one for each example")
    missing = [one for one in names.tolist() if _is_missing(one)]
    if missing:
        what = f"{len(missing)} of {n} examples have none"
        raise InvalidData(what, where=where, hint="name each, or leave these examples out")
    return names.astype(str) if names.dtype == object else names


def _is_missing(name: object) -> bool:
    of_pandas = type(name).__name__ in ("NAType", "NaTType")
    return name is None or of_pandas or (isinstance(name, float) and math.isnan(name))


def _numbers(values: ArrayLike) -> Floats:
    """Give an array of numbers; of what are none NaN, which is refused where it is looked at."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        return np.full(1, np.nan)


def sequence_of(confidence: Floats, losses: Floats) -> Sequence:
    """Sum the losses at each distinct confidence, from the highest down."""
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    step = np.empty(len(order), dtype=np.int64)
    step[order] = np.searchsorted(last, np.arange(len(order)))
    return Sequence(
        thresholds=ranked[last],
        step=step,
        kept=last + 1,
        total=np.cumsum(losses[order])[last],
        nonzero=np.cumsum(losses[order] != 0)[last],
    )
