"""A process at work on the offline queue is killed; another does the rest."""

import random
from pathlib import Path

import pytest

from edgewise.testing.crashes import crash_often

pytestmark = pytest.mark.integration

# Two million requests in all.
SLOW = (pytest.mark.slow, pytest.mark.timeout(3600))


@pytest.mark.parametrize(
    ("count", "points"),
    [(1_500, 8), pytest.param(10_000, 200, marks=SLOW)],
)
def test_a_kill_at_any_moment_loses_nothing_and_answers_nothing_twice(
    count: int, points: int, tmp_path: Path
) -> None:
    counts = list(crash_often(tmp_path, count, points, random.Random(7)))

    assert len(counts) == points
    assert [one.lost for one in counts] == [0] * points
    assert [one.twice for one in counts] == [0] * points
    # The kills fell into the work, not beside it.
    assert sum(0 < one.left < count for one in counts) >= points // 4
