"""What each threshold would cost and promise: the curve behind a certificate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edgewise.calibrate.level import Method, choose, test_for
from edgewise.calibrate.measured import measured, sequence_of
from edgewise.records import Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveragePoint:
    """One threshold on the calibration examples."""

    threshold: float
    deferral_rate: float
    empirical_loss: float
    bound: float
    """Upper confidence limit of the loss at this one threshold."""


def coverage(
    edge_confidence: ArrayLike,
    edge_correct: ArrayLike,
    cloud_correct: ArrayLike,
    *,
    loss: Loss = Loss.NET,
    delta: float = 0.05,
    points: int = 60,
    clusters: ArrayLike | None = None,
) -> tuple[CoveragePoint, ...]:
    """Give loss and limit at thresholds spread evenly over the share deferred, highest first.

    The limits hold one by one, not together: the certificate alone may choose among them.
    Arguments are those of `certify`.
    """
    data = measured(edge_confidence, edge_correct, cloud_correct, clusters)
    sequence = sequence_of(data.confidence, data.losses(loss))
    test = test_for(choose(Method.AUTO, loss, data), data, sequence, loss, delta)
    n = len(data.confidence)
    wanted = np.linspace(1, n, min(points, n))
    places = np.unique(np.searchsorted(sequence.kept, wanted))
    found = []
    for at in places.tolist():
        kept = int(sequence.kept[at])
        found.append(
            CoveragePoint(
                threshold=float(sequence.thresholds[at]),
                deferral_rate=1.0 - kept / n,
                empirical_loss=data.mean_loss(loss, data.confidence >= sequence.thresholds[at]),
                bound=test.upper_limit(at),
            )
        )
    return tuple(found)
