"""What the hybrid's answers are worth on the test split. Pure."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from edgewise.records import Certificate, DecisionBin, Interval, Quality
from edgewise.tasks import wilson_interval

_BINS = 20


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
    kept = [_is_kept(value, certificate) for value in test.confidence]
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

    The least confident are deferred first, a tenth of them to nine tenths. Those of one confidence
    go together, for no threshold parts them; what comes to the same share stands once, and where
    all would be deferred nothing does.
    """
    if test.cloud_right is None:
        return ()
    n = len(test.edge_right)
    ordered = sorted(test.confidence)
    cloud = sum(test.cloud_right) / n
    answers = list(zip(test.confidence, test.edge_right, test.cloud_right, strict=True))
    rows: dict[int, tuple[float, float]] = {}
    for tenth in range(1, 10):
        last = ordered[max(1, round(n * tenth / 10)) - 1]
        share = bisect_right(ordered, last) / n
        right = sum(far if confidence <= last else near for confidence, near, far in answers)
        if share < 1.0:
            rows.setdefault(round(100 * share), (share, cloud - right / n))
    return tuple(rows.values())


def decisions_by_confidence(test: TestAnswers, certificate: Certificate) -> tuple[DecisionBin, ...]:
    """Give what becomes of requests by their confidence, from the least sure to the surest.

    A bin is about a twentieth of the requests, and none holds both kept and deferred ones. Without
    a cloud all are kept; with one and no threshold all are deferred.
    """
    order = sorted(range(len(test.confidence)), key=lambda i: test.confidence[i])
    alone = test.cloud_right is None
    away = [i for i in order if not alone and not _is_kept(test.confidence[i], certificate)]
    bins = []
    for side, kept in ((away, False), (order[len(away) :], True)):
        count = min(len(side), max(1, round(_BINS * len(side) / len(order))))
        ends = [round(len(side) * at / count) for at in range(count + 1)] if side else []
        bins += [_bin(test, side[a:b], kept=kept) for a, b in pairwise(ends)]
    return tuple(bins)


def _bin(test: TestAnswers, members: list[int], *, kept: bool) -> DecisionBin:
    n, cloud = len(members), test.cloud_right
    return DecisionBin(
        confidence_low=test.confidence[members[0]],
        confidence_high=test.confidence[members[-1]],
        n=n,
        edge_right_share=sum(test.edge_right[i] for i in members) / n,
        cloud_right_share=None if cloud is None else sum(cloud[i] for i in members) / n,
        kept=kept,
    )


def _is_kept(confidence: float, certificate: Certificate) -> bool:
    return certificate.threshold is not None and confidence >= certificate.threshold


def _share(right: tuple[bool, ...]) -> Interval:
    low, high = wilson_interval(sum(right), len(right))
    return Interval(value=sum(right) / len(right), low=low, high=high)
