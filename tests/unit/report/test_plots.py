"""Plots of what a run measured: points that a threshold gives, worked out by hand."""

import pytest

from edgewise.report.plots import accuracy_points


def test_answers_of_one_confidence_go_to_the_cloud_together() -> None:
    # The edge is right on the two sure ones, and on one of three that are alike; the cloud is on
    # all but the one that the edge is wrong on and least sure of.
    confidence = (0.9, 0.5, 0.5, 0.5, 0.8, 0.1)
    edge = (True, True, False, False, True, False)
    cloud = (True, True, True, True, True, False)
    alike = (0.9, 0.5, 0.5, 0.5, 0.8, 0.1), (True, False, False, True, True, False), cloud

    found = accuracy_points(confidence, edge, cloud)

    shares = [0.0, 1 / 6, 4 / 6, 5 / 6, 1.0]
    assert [share for share, _ in found] == pytest.approx(shares)
    assert [right for _, right in found] == pytest.approx([3 / 6, 3 / 6, 5 / 6, 5 / 6, 5 / 6])
    assert accuracy_points(*alike) == found


def test_many_answers_are_thinned_and_both_ends_stay() -> None:
    n = 10_000

    found = accuracy_points([one / n for one in range(n)], [False] * n, [True] * n)

    assert len(found) < 250
    assert (found[0], found[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert all(share == right for share, right in found)
