"""What the hybrid's answers are worth on the test split. Pure."""

from dataclasses import dataclass

from edgewise.records import Certificate, Interval, Quality
from edgewise.tasks import wilson_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class TestAnswers:
    """Edge, source and cloud on the test split, for the requests that may leave the device."""

    __test__ = False
    confidence: tuple[float, ...]
    """Calibrated."""
    edge_right: tuple[bool, ...]
    source_right: tuple[bool, ...]
    cloud_right: tuple[bool, ...] | None
    """`None` without a cloud tier."""


def measure_quality(test: TestAnswers, certificate: Certificate) -> Quality:
    """Score edge, cloud, source and the hybrid at the certificate's threshold."""
    n = len(test.edge_right)
    edge = _share(test.edge_right)
    source = _share(test.source_right)
    if test.cloud_right is None:
        return Quality(
            metric="accuracy",
            edge=edge.value,
            cloud=None,
            hybrid=None,
            source=source.value,
            n=n,
            edge_interval=edge,
        )
    threshold = certificate.threshold
    kept = [threshold is not None and value >= threshold for value in test.confidence]
    pairs = zip(kept, test.edge_right, test.cloud_right, strict=True)
    hybrid = _share(tuple(near if keep else far for keep, near, far in pairs))
    cloud = _share(test.cloud_right)
    return Quality(
        metric="accuracy",
        edge=edge.value,
        cloud=cloud.value,
        hybrid=hybrid.value,
        source=source.value,
        n=n,
        edge_interval=edge,
        cloud_interval=cloud,
        hybrid_interval=hybrid,
        deferral_rate=1.0 - sum(kept) / n,
    )


def deferral_curve(test: TestAnswers) -> tuple[tuple[float, float], ...]:
    """Give what other thresholds lose against the cloud: (share deferred, accuracy lost).

    The least confident are deferred first, at nine shares from a tenth to nine tenths.
    """
    if test.cloud_right is None:
        return ()
    n = len(test.edge_right)
    order = sorted(range(n), key=lambda i: test.confidence[i])
    cloud = sum(test.cloud_right) / n
    rows = []
    for tenth in range(1, 10):
        away = set(order[: round(n * tenth / 10)])
        right = sum(test.cloud_right[i] if i in away else test.edge_right[i] for i in range(n))
        rows.append((len(away) / n, cloud - right / n))
    return tuple(rows)


def _share(right: tuple[bool, ...]) -> Interval:
    low, high = wilson_interval(sum(right), len(right))
    return Interval(value=sum(right) / len(right), low=low, high=high)
