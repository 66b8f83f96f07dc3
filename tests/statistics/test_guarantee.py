"""The promise of a certificate, held against real tables over many draws.

Each table is taken as the population: 500 times, n rows are drawn from it with replacement, a
threshold is chosen on them, and its true loss is that on the whole table. The naive threshold, the
lowest that looks good on the draw, stands beside: it shows that the promise is not empty.
"""

import math
import sys
from collections.abc import Callable

import pytest
from populations import Population, tally

pytestmark = pytest.mark.slow

ALPHA, DELTA, N, DRAWS = 0.02, 0.05, 2000, 500
CLOUDS = {
    "ferplus": ("google", "facepp", "microsoft"),
    "command": ("google", "microsoft", "ibm"),
    "yelp": ("google", "baidu", "amazon"),
}
PAIRS = [(table, cloud) for table, clouds in CLOUDS.items() for cloud in clouds]
EDGE_ALONE = [(table, clouds[0]) for table, clouds in CLOUDS.items()]
CASES = [
    *[(*pair, loss) for pair in PAIRS for loss in ("net", "regret", "disagreement")],
    # The error among the kept does not depend on the cloud.
    *[(*pair, "kept_error") for pair in EDGE_ALONE],
]


@pytest.mark.parametrize(("table", "cloud", "loss"), CASES)
def test_a_certified_loss_is_exceeded_no_more_often_than_promised(
    read_population: Callable[[str, str, str], Population],
    capsys: pytest.CaptureFixture[str],
    table: str,
    cloud: str,
    loss: str,
) -> None:
    population = read_population(table, cloud, loss)

    found = tally(population, n=N, draws=DRAWS, alpha=ALPHA, delta=DELTA, seed=11)

    with capsys.disabled():
        sys.stdout.write(
            f"\n{table:8} {cloud:10} {loss:12} violations {found.rate:6.1%}, naive "
            f"{found.naive_rate:6.1%}; deferral {found.mean_deferral:6.1%}, naive "
            f"{found.mean_naive_deferral:6.1%}, best fixed {found.best_deferral:6.1%} "
        )
    assert found.rate <= DELTA + 1.645 * math.sqrt(DELTA * (1 - DELTA) / DRAWS)
    assert found.mean_deferral >= found.best_deferral - 0.01
    if found.binds and population.lowest(ALPHA) is not None:
        assert found.naive_rate > 0.2
