"""What other thresholds would lose, counted by hand."""

from dataclasses import replace

import pytest

from edgewise.pipeline.quality import TestAnswers, decisions_by_confidence, deferral_curve
from edgewise.records import Certificate, CertificateState, Loss

AT_HALF = Certificate(
    state=CertificateState.CERTIFIED,
    loss=Loss.NET,
    alpha=0.05,
    delta=0.05,
    n=100,
    threshold=0.5,
    deferral_rate=0.5,
    bound=0.04,
)
NONE = replace(
    AT_HALF, state=CertificateState.UNCERTIFIED, threshold=None, bound=None, reasons=("few",)
)


def test_the_least_confident_are_deferred_first() -> None:
    # Ten rows: the edge is wrong on the two least confident, the cloud on none.
    answers = TestAnswers(
        confidence=tuple(i / 10 for i in range(10)),
        edge_right=(False, False, *(True,) * 8),
        source_right=(True,) * 10,
        cloud_right=(True,) * 10,
    )

    curve = deferral_curve(answers)

    assert [share for share, _ in curve] == [i / 10 for i in range(1, 10)]
    assert [round(loss, 6) for _, loss in curve] == [0.1, *(0.0,) * 8]


def test_answers_of_one_confidence_are_deferred_together() -> None:
    # No threshold parts the six at 0.4, nor the three at 0.9: seven are deferred, or one.
    answers = TestAnswers(
        confidence=(0.9, 0.4, 0.4, 0.4, 0.1, 0.4, 0.4, 0.4, 0.9, 0.9),
        edge_right=(True, True, True, True, False, False, False, False, True, True),
        source_right=(True,) * 10,
        cloud_right=(True,) * 10,
    )
    alike = replace(answers, confidence=(0.7,) * 10)

    assert [share for share, _ in deferral_curve(answers)] == [0.1, 0.7]
    assert [loss for _, loss in deferral_curve(answers)] == pytest.approx([0.3, 0.0])
    assert deferral_curve(alike) == ()


def test_a_few_rows_have_no_share_twice() -> None:
    answers = TestAnswers(
        confidence=(0.1, 0.2, 0.3, 0.4, 0.5),
        edge_right=(True,) * 5,
        source_right=(True,) * 5,
        cloud_right=(True,) * 5,
    )

    assert [share for share, _ in deferral_curve(answers)] == [0.2, 0.4, 0.6, 0.8]


def test_without_a_cloud_there_is_nothing_to_defer_to() -> None:
    alone = TestAnswers(
        confidence=(0.5,), edge_right=(True,), source_right=(True,), cloud_right=None
    )

    assert deferral_curve(alone) == ()


def test_decisions_are_parted_at_the_threshold_and_counted_by_confidence() -> None:
    # A hundred rows, shuffled: 50 below the threshold, of which the edge is right on every other.
    values = [(i * 37 % 100) / 100 for i in range(100)]
    answers = TestAnswers(
        confidence=tuple(values),
        edge_right=tuple(one >= 0.5 or round(one * 100) % 2 == 0 for one in values),
        source_right=(True,) * 100,
        cloud_right=tuple(one < 0.5 for one in values),
    )

    bins = decisions_by_confidence(answers, AT_HALF)

    assert len(bins) == 20
    assert sum(one.n for one in bins) == 100
    assert [one.kept for one in bins] == [False] * 10 + [True] * 10
    assert (bins[9].confidence_high, bins[10].confidence_low) == (0.49, 0.5)
    ends = [end for one in bins for end in (one.confidence_low, one.confidence_high)]
    assert ends == sorted(ends)
    away = [one.n * one.edge_right_share for one in bins[:10]]
    assert sum(away) == pytest.approx(25)
    assert {one.cloud_right_share for one in bins[:10]} == {1.0}
    assert {(one.edge_right_share, one.cloud_right_share) for one in bins[10:]} == {(1.0, 0.0)}


def test_few_rows_are_a_bin_each_and_without_a_threshold_all_are_deferred() -> None:
    answers = TestAnswers(
        confidence=(0.9, 0.2),
        edge_right=(True, False),
        source_right=(True, True),
        cloud_right=(True, True),
    )

    found = decisions_by_confidence(answers, NONE)

    assert [(one.confidence_low, one.n, one.kept) for one in found] == [
        *((0.2, 1, False), (0.9, 1, False))
    ]


def test_without_a_cloud_every_answer_is_kept() -> None:
    alone = TestAnswers(
        confidence=(0.5, 0.9), edge_right=(True, False), source_right=(True,) * 2, cloud_right=None
    )

    found = decisions_by_confidence(alone, NONE)

    assert [(one.kept, one.cloud_right_share) for one in found] == [(True, None)] * 2
