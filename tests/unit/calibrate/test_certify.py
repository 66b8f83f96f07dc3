"""Certificates: their form, their refusals, and their p-values against other routes."""

import itertools

import numpy as np
import pytest
from scipy.stats import beta, binom

from edgewise import certify
from edgewise.calibrate import labels_needed
from edgewise.calibrate.binomial import Binomial
from edgewise.calibrate.paired import PairedTest
from edgewise.errors import InvalidData, UsageError
from edgewise.records import CertificateState


def population(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.5, 1.0, n)
    return confidence, rng.random(n) < confidence, rng.random(n) < 0.9


@pytest.mark.parametrize(("alpha", "fewest"), [(0.01, 299), (0.02, 149), (0.05, 59)])
def test_fewest_labels_are_those_of_the_exact_binomial(alpha: float, fewest: int) -> None:
    assert labels_needed(alpha, 0.05) == fewest


@pytest.mark.parametrize("loss", ["net", "regret", "disagreement", "kept_error"])
def test_too_few_labels_say_how_many_more(loss: str) -> None:
    ones = np.ones(10)

    certificate = certify(np.linspace(0.5, 1, 10), ones, ones, loss=loss)

    needed = labels_needed(0.02, 0.05, loss)
    assert certificate.state is CertificateState.UNCERTIFIED
    assert certificate.threshold is None
    assert certificate.labels_missing == needed - 10
    assert str(needed) in certificate.reasons[0]


@pytest.mark.parametrize("loss", ["net", "regret", "disagreement", "kept_error"])
def test_exactly_enough_perfect_labels_certify_everything(loss: str) -> None:
    n = labels_needed(0.02, 0.05, loss)
    ones = np.ones(n)

    certificate = certify(np.linspace(0.5, 1, n), ones, ones, loss=loss)

    assert certificate.state is CertificateState.CERTIFIED
    assert certificate.deferral_rate == 0.0
    assert certificate.bound is not None
    assert certificate.bound <= 0.02


def test_hopeless_scores_say_that_the_surest_lose_too_much() -> None:
    n = 1000

    certificate = certify(np.linspace(0, 1, n), np.zeros(n), np.ones(n))

    assert certificate.state is CertificateState.CERTIFIED or certificate.labels_missing == 0


@pytest.mark.parametrize("loss", ["net", "regret"])
def test_the_bound_is_between_the_seen_loss_and_alpha(loss: str) -> None:
    certificate = certify(*population(3000), loss=loss)

    assert certificate.empirical_loss is not None
    assert certificate.bound is not None
    assert certificate.empirical_loss < certificate.bound <= certificate.alpha
    assert 0.0 < certificate.deferral_rate < 1.0


def test_the_threshold_keeps_the_stated_share() -> None:
    confidence, edge, cloud = population(3000)

    certificate = certify(confidence, edge, cloud)

    kept = np.mean(confidence >= certificate.threshold)
    assert 1.0 - kept == pytest.approx(certificate.deferral_rate)


def test_groups_take_the_highest_threshold() -> None:
    confidence, edge, cloud = population(6000)
    groups = np.arange(6000) % 2

    whole = certify(confidence, edge, cloud, alpha=0.05)
    each = certify(confidence, edge, cloud, alpha=0.05, groups=groups)

    assert whole.threshold is not None
    assert each.threshold is not None
    assert each.threshold >= whole.threshold
    assert "threshold is that of" in each.reasons[0]


def test_a_group_with_too_few_labels_is_named() -> None:
    confidence, edge, cloud = population(2000)
    groups = np.where(np.arange(2000) < 5, "rare", "common")

    certificate = certify(confidence, edge, cloud, groups=groups)

    assert certificate.state is CertificateState.UNCERTIFIED
    assert "group `rare`" in "".join(certificate.reasons)


@pytest.mark.parametrize(
    ("confidence", "edge", "cloud", "where"),
    [
        ([], [], [], "edge_confidence"),
        ([np.nan], [1], [1], "edge_confidence"),
        ([0.5], [2], [1], "edge_correct"),
        ([0.5, 0.6], [1, 0], [1], "cloud_correct"),
    ],
)
def test_unusable_arrays_are_named(
    confidence: list[float], edge: list[int], cloud: list[int], where: str
) -> None:
    with pytest.raises(InvalidData) as caught:
        certify(confidence, edge, cloud)

    assert caught.value.where == where
    assert caught.value.hint


def test_groups_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidData) as caught:
        certify([0.5], [1], [1], groups=[1, 2])

    assert caught.value.where == "groups"


@pytest.mark.parametrize(("alpha", "delta"), [(0.0, 0.05), (0.02, 1.0), (-1.0, 0.5)])
def test_levels_outside_their_range_are_refused(alpha: float, delta: float) -> None:
    with pytest.raises(UsageError) as caught:
        certify([0.5], [1], [1], alpha=alpha, delta=delta)

    assert "between 0 and 1" in caught.value.hint


def test_an_unknown_loss_lists_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        certify([0.5], [1], [1], loss="gross")

    assert "regret" in caught.value.hint


@pytest.mark.parametrize("p", [0.0, 0.003, 0.3, 1.0])
def test_binomial_tails_equal_scipys(p: float) -> None:
    binomial = Binomial(200)

    for k in (-1, 0, 3, 60, 200):
        assert binomial.cdf(k, p) == pytest.approx(binom.cdf(k, 200, p), abs=1e-12)


def test_the_upper_limit_is_where_the_tail_reaches_the_level() -> None:
    binomial = Binomial(100)

    assert binom.cdf(4, 100, binomial.upper_limit(4, 0.05)) == pytest.approx(0.05, abs=1e-9)
    assert binomial.upper_limit(100, 0.05) == 1.0


def test_the_paired_tail_equals_enumeration() -> None:
    plus, minus, n = 0.2, 0.1, 6
    test = PairedTest(n, 0.05)

    for total in (-3, -1, 0, 2, 6):
        exact = 0.0
        for values in itertools.product((-1, 0, 1), repeat=n):
            if sum(values) <= total:
                wins, losses = values.count(1), values.count(-1)
                exact += plus**wins * minus**losses * (1 - plus - minus) ** (n - wins - losses)
        assert test._tail(total, plus, minus) == pytest.approx(exact, abs=1e-12)


def test_the_supremum_over_the_nuisance_is_at_its_limit() -> None:
    n, alpha = 400, 0.03
    test = PairedTest(n, 0.05)
    limits = np.linspace(alpha, 0.5, 60)

    for total in range(-5, int((n - 1) * alpha - 2)):
        tails = [test._tail(total, (q + alpha) / 2, (q - alpha) / 2) for q in limits]
        assert np.all(np.diff(tails) >= -1e-12)


def test_many_discordant_examples_give_no_evidence() -> None:
    assert PairedTest(100, 0.05).p_value(0, 90, 0.02) == 1.0


def walked(
    confidence: np.ndarray, edge: np.ndarray, cloud: np.ndarray, loss: str, alpha: float
) -> float | None:
    """Walk the sequence one threshold at a time, as the method is defined."""
    n, last = len(confidence), None
    paired = PairedTest(n, 0.05)
    fewest = labels_needed(alpha, 0.05, loss)
    for threshold in np.unique(confidence)[::-1]:
        kept = confidence >= threshold
        wins, losses = (cloud > edge)[kept].sum(), (edge > cloud)[kept].sum()
        if loss == "net":
            p_value = paired.p_value(int(wins - losses), int(wins + losses), alpha)
        elif loss == "regret":
            p_value = binom.cdf(wins, n, alpha)
        elif loss == "disagreement":
            p_value = binom.cdf((~edge)[kept].sum(), n, alpha)
        elif kept.sum() < fewest:
            continue
        else:
            p_value = binom.cdf((~edge)[kept].sum(), kept.sum(), alpha)
        if p_value > 0.05:
            break
        last = float(threshold)
    return last


@pytest.mark.parametrize("digits", [1, 2, 9])
@pytest.mark.parametrize("loss", ["net", "regret", "disagreement", "kept_error"])
def test_the_threshold_is_that_of_a_walk_over_all_thresholds(loss: str, digits: int) -> None:
    found, expected = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        confidence = np.round(rng.random(600), digits)
        edge = rng.random(600) < 1.0 - 0.4 * (1.0 - confidence) ** rng.uniform(0.0, 3.0)
        cloud = rng.random(600) < rng.uniform(0.5, 1.0)

        found.append(certify(confidence, edge, cloud, loss=loss, alpha=0.06).threshold)
        expected.append(walked(confidence, edge, cloud, loss, 0.06))

    assert found == expected
    assert len(set(found)) > 1


@pytest.mark.parametrize("level", [0.005, 0.05])
@pytest.mark.parametrize(("k", "n"), [(0, 50), (1, 50), (37, 2000), (900, 2000), (49, 50)])
def test_the_upper_limit_equals_a_beta_quantile(k: int, n: int, level: float) -> None:
    assert Binomial(n).upper_limit(k, level) == pytest.approx(
        beta.ppf(1.0 - level, k + 1, n - k), abs=1e-12
    )


def test_a_p_value_rises_with_the_sum_and_with_the_count_of_losses() -> None:
    paired = PairedTest(300, 0.05)
    table = np.array(
        [[paired.p_value(s, d, 0.1) for d in range(0, 140, 3)] for s in range(-20, 25)]
    )

    assert np.all(np.diff(table, axis=0) >= -1e-12)
    assert np.all(np.diff(table, axis=1) >= -1e-12)
