"""The promise of a certificate on populations made to break it; their true losses are sums."""

from collections.abc import Callable

import numpy as np
import pytest
from populations import Population, most_violations, tally

ALPHA, DELTA, N, DRAWS = 0.05, 0.05, 400, 200
SIZE = 20_000


def population(
    confidence: np.ndarray, kept_wrong: np.ndarray, kept_right: np.ndarray, loss: str
) -> Population:
    """Give rows where the cloud alone, then the edge alone, is right at these rates."""
    u = np.random.default_rng(5).random(SIZE)
    cloud_alone, edge_alone = u < kept_wrong, u > 1.0 - kept_right
    edge = np.where(cloud_alone, 0.0, 1.0)
    return Population(confidence, edge, np.where(edge_alone, 0.0, 1.0), loss)


def evenly() -> np.ndarray:
    return (np.arange(SIZE) + 0.5) / SIZE


def just_above(loss: str) -> Population:
    """Give a loss that is the same everywhere: keeping all of it is just too much."""
    return population(evenly(), np.full(SIZE, 1.02 * ALPHA), np.zeros(SIZE), loss)


def saturated(loss: str) -> Population:
    """Give most answers the top confidence, at a loss just too high for the first test."""
    confidence = np.where(evenly() < 0.9, 1.0, np.round(evenly(), 2))
    return population(confidence, np.full(SIZE, 1.15 * ALPHA), np.zeros(SIZE), loss)


def tied(loss: str) -> Population:
    """Give five confidences, of which the second loses a lot."""
    steps = np.floor(evenly() * 5)
    return population(steps / 4, np.where(steps == 3, 0.26, 0.01), np.zeros(SIZE), loss)


def up_and_down(loss: str) -> Population:
    """Give errors in the middle, between sure answers and unsure ones that are all right."""
    x = evenly()
    wrong = np.where((x > 0.6) & (x < 0.7), 0.6, 0.0)
    return population(x, wrong, np.zeros(SIZE), loss)


def traded(loss: str) -> Population:
    """Give many answers that only one of the two has right: the sum is small and its noise not."""
    x = evenly()
    gain = np.where(x > 0.5, 0.25, 0.1)
    return population(x, gain + 1.1 * ALPHA, gain, loss)


def steep(loss: str) -> Population:
    """Give errors that rise as confidence falls."""
    x = evenly()
    return population(x, 0.5 * (1.0 - x) ** 2, np.zeros(SIZE), loss)


MAKERS = (just_above, saturated, tied, up_and_down, traded, steep)
CASES: list[tuple[Callable[[str], Population], str]] = [
    (make, loss) for make in MAKERS for loss in ("net", "regret")
]
# With errors that fall again, the error among the kept is not promised.
CASES += [(make, "kept_error") for make in (just_above, saturated, traded, steep)]
CASES += [(make, "disagreement") for make in (tied, steep)]


@pytest.mark.parametrize(
    ("make", "loss"), CASES, ids=[f"{make.__name__}-{loss}" for make, loss in CASES]
)
def test_a_certified_loss_is_exceeded_no_more_often_than_promised(
    make: Callable[[str], Population], loss: str
) -> None:
    found = tally(make(loss), n=N, draws=DRAWS, alpha=ALPHA, delta=DELTA, seed=29)

    assert found.binds
    assert found.violations <= most_violations(DRAWS, DELTA)
    assert found.naive_rate > 0.2


def test_the_promise_is_used_up_where_the_first_test_decides() -> None:
    confidence = np.ones(SIZE)
    kept_wrong = np.full(SIZE, ALPHA)
    edge_of_alpha = population(confidence, kept_wrong, np.zeros(SIZE), "regret")
    assert edge_of_alpha.loss_at(1.0) == pytest.approx(ALPHA, abs=0.005)

    found = tally(
        edge_of_alpha,
        n=1000,
        draws=400,
        alpha=edge_of_alpha.loss_at(1.0) - 1e-9,
        delta=0.2,
        seed=31,
    )

    assert 0.1 < found.rate <= most_violations(400, 0.2) / 400


def test_the_judge_of_thresholds_counts_by_hand() -> None:
    confidence = np.array([0.9, 0.9, 0.5, 0.1])
    edge, cloud = np.array([1.0, 0.0, 0.0, 1.0]), np.array([1.0, 1.0, 1.0, 0.0])

    losses = {
        loss: [Population(confidence, edge, cloud, loss).loss_at(t) for t in (None, 0.9, 0.5, 0.1)]
        for loss in ("net", "regret", "kept_error")
    }

    assert losses["net"] == [0.0, 0.25, 0.5, 0.25]
    assert losses["regret"] == [0.0, 0.25, 0.5, 0.5]
    assert losses["kept_error"] == [0.0, 0.5, pytest.approx(2 / 3), 0.5]
    assert Population(confidence, edge, cloud, "net").lowest(0.25) == 0.1
    assert Population(confidence, edge, cloud, "regret").lowest(0.25) == 0.9
    assert Population(confidence, edge, cloud, "kept_error").lowest(0.1) is None
