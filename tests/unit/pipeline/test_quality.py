"""What other thresholds would lose, counted by hand."""

from edgewise.pipeline.quality import TestAnswers, deferral_curve


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


def test_without_a_cloud_there_is_nothing_to_defer_to() -> None:
    alone = TestAnswers(
        confidence=(0.5,), edge_right=(True,), source_right=(True,), cloud_right=None
    )

    assert deferral_curve(alone) == ()
