"""Certificates: their form, their refusals, and their p-values against other routes."""

import inspect
import itertools
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, binom, entropy

from edgewise import certify
from edgewise.calibrate import coverage, labels_needed, repeats_warning
from edgewise.calibrate.bentkus import HoeffdingBentkus
from edgewise.calibrate.binomial import Binomial
from edgewise.calibrate.paired import PairedTest
from edgewise.errors import InvalidData, UsageError
from edgewise.records import CertificateState, Loss


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


def test_of_scores_that_tell_nothing_no_more_is_kept_than_alpha() -> None:
    n = 1000

    certificate = certify(np.linspace(0, 1, n), np.zeros(n), np.ones(n))

    assert certificate.state is CertificateState.CERTIFIED
    assert certificate.empirical_loss == pytest.approx(1.0 - certificate.deferral_rate)
    assert certificate.empirical_loss is not None
    assert 0.0 < certificate.empirical_loss <= 0.02


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


def test_groups_do_not_share_delta_among_them() -> None:
    confidence, edge, cloud = population(3000)
    twice = [np.concatenate([column, column]) for column in (confidence, edge, cloud)]
    groups = np.repeat(["left", "right"], 3000)

    alone = certify(confidence, edge, cloud, alpha=0.05)
    each = certify(*twice, alpha=0.05, groups=groups)

    assert each.threshold == alone.threshold
    assert each.delta == alone.delta == 0.05
    assert "each of 2 groups too" in each.method


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
        ([np.inf], [1], [1], "edge_confidence"),
        ([[0.5]], [1], [1], "edge_confidence"),
        ([0.5], [2], [1], "edge_correct"),
        ([0.5], [np.nan], [1], "edge_correct"),
        ([0.5], [1], [-0.1], "cloud_correct"),
        ([0.5, 0.6], [1, 0], [1], "cloud_correct"),
        (["sure"], [1], [1], "edge_confidence"),
        ([[0.5], [0.5, 0.6]], [1], [1], "edge_confidence"),
        ([0.5], ["right"], [1], "edge_correct"),
        ([0.5], [1], [{}], "cloud_correct"),
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


class Column:
    """A column as tables have it: numpy does not know its type."""

    dtype = "a type of its own"

    def __init__(self, values: list[object]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        del copy
        return np.array(self.values, dtype=dtype)


class NAType:
    """What pandas has in place of a value."""


@pytest.mark.parametrize("name", ["groups", "clusters"])
def test_a_tables_column_names_groups_as_a_list_does(name: str) -> None:
    names: list[object] = ["a", "b"] * 500
    known: dict[str, Any] = {name: names}
    column: dict[str, Any] = {name: Column(names)}

    assert certify(*population(1000), **column) == certify(*population(1000), **known)


@pytest.mark.parametrize("name", ["groups", "clusters"])
@pytest.mark.parametrize("missing", [None, float("nan"), NAType()])
def test_a_group_or_cluster_that_is_missing_is_told(name: str, missing: object) -> None:
    named: dict[str, Any] = {name: ["a", "a", missing]}
    numbers: dict[str, Any] = {name: [1.0, 2.0, np.nan]}

    with pytest.raises(InvalidData) as caught:
        certify([0.5] * 3, [1] * 3, [1] * 3, **named)
    with pytest.raises(InvalidData) as numbered:
        certify([0.5] * 3, [1] * 3, [1] * 3, **numbers)

    for one in (caught, numbered):
        assert one.value.what == "1 of 3 examples have none"
        assert one.value.where == name
        assert one.value.hint == "name each, or leave these examples out"


def test_names_of_several_types_are_told_apart_by_their_words() -> None:
    ones, groups = np.ones(800), [1] * 400 + ["a"] * 400

    certificate = certify(ones, ones, ones, groups=groups)

    assert "each of 2 groups too" in certificate.method


@pytest.mark.parametrize(
    ("alpha", "delta"),
    [(0.0, 0.05), (0.02, 1.0), (-1.0, 0.5), (np.nan, 0.05), (0.02, np.inf), ("0.02", 0.05)],
)
def test_levels_outside_their_range_are_refused(alpha: Any, delta: float) -> None:
    with pytest.raises(UsageError) as caught:
        certify([0.5], [1], [1], alpha=alpha, delta=delta)

    assert "between 0 and 1" in caught.value.hint


def test_an_unknown_method_lists_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        certify([0.5], [1], [1], method="luck")

    assert caught.value.what == "no such method: `luck`"
    assert caught.value.hint == "one of: auto, exact, betting, hoeffding_bentkus"


@pytest.mark.parametrize(
    ("edge", "clusters", "loss", "method"),
    [
        ([0.5], None, "regret", "exact"),
        ([1], [1], "regret", "exact"),
        ([1], None, "net", "hoeffding_bentkus"),
        ([1], [1], "kept_error", "hoeffding_bentkus"),
    ],
)
def test_a_method_that_is_not_valid_for_the_data_is_refused(
    edge: list[float], clusters: list[int] | None, loss: str, method: str
) -> None:
    with pytest.raises(UsageError) as caught:
        certify([0.5], edge, [1], clusters=clusters, loss=loss, method=method)

    assert caught.value.what.startswith(f"`{method}`")
    assert caught.value.where == "method"
    assert caught.value.hint == "leave it to `auto`, or take `betting`, which always holds"


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
    # Two errors are spared where that leaves four times as many labels.
    spared = next(k for k in range(1, n) if binom.cdf(2, k, alpha) <= 0.05)
    fewest = spared if 4 * spared <= n else labels_needed(alpha, 0.05, loss)
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


def graded(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give qualities between 0 and 1; the unsure answers lose about a third, at times."""
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    lost = np.where(rng.random(n) < 0.3 * (1.0 - confidence), rng.beta(3, 7, n), 0.0)
    return confidence, 1.0 - lost, np.where(rng.random(n) < 0.05, 0.8, 1.0)


@pytest.mark.parametrize("loss", ["net", "regret", "kept_error", "disagreement"])
def test_graded_answers_are_tested_by_betting(loss: str) -> None:
    confidence, edge, cloud = graded(3000)

    certificate = certify(confidence, edge, cloud, loss=loss)

    kept = confidence >= certificate.threshold
    lost = {"net": cloud - edge, "regret": np.maximum(cloud - edge, 0.0)}.get(loss, 1.0 - edge)
    assert certificate.method == "fixed sequence, betting test"
    assert certificate.empirical_loss is not None
    assert certificate.empirical_loss == pytest.approx(
        lost[kept].sum() / (kept.sum() if loss == "kept_error" else 3000)
    )
    assert certificate.bound is not None
    assert certificate.empirical_loss < certificate.bound <= 0.02
    assert 0.0 < certificate.deferral_rate < 1.0


@pytest.mark.parametrize("loss", ["regret", "kept_error"])
def test_betting_on_graded_losses_defers_less_than_hoeffding_bentkus(loss: str) -> None:
    table = graded(3000)

    betting = certify(*table, loss=loss)
    other = certify(*table, loss=loss, method="hoeffding_bentkus")

    assert "Hoeffding-Bentkus" in other.method
    assert betting.deferral_rate < other.deferral_rate < 1.0


def test_of_right_and_wrong_answers_no_test_defers_less_than_the_exact_one() -> None:
    rates = {
        method: np.mean(
            [
                certify(*population(2000, seed), loss="regret", method=method).deferral_rate
                for seed in range(20)
            ]
        )
        for method in ("exact", "betting", "hoeffding_bentkus")
    }

    assert rates["exact"] < rates["hoeffding_bentkus"]
    assert rates["exact"] < rates["betting"]
    assert certify(*population(2000), loss="regret").method == "fixed sequence, exact binomial test"


@pytest.mark.parametrize("loss", ["net", "regret", "kept_error", "disagreement"])
def test_as_many_graded_labels_as_are_needed_certify_everything(loss: str) -> None:
    ones = np.ones(149)

    enough = certify(np.linspace(0.5, 1, 149), ones, ones, loss=loss, method="betting")
    few = certify(np.linspace(0.5, 1, 148), ones[1:], ones[1:], loss=loss, method="betting")

    assert enough.deferral_rate == 0.0
    assert few.threshold is None
    assert few.labels_missing == 1


def staked(losses: np.ndarray, alpha: float, delta: float, kept: np.ndarray | None = None) -> float:
    """Bet on one threshold's losses one block after the other, as the method is described."""
    n = len(losses)
    count = n if kept is None else int(kept.sum())
    order = np.random.default_rng(20_240_229).permutation(n)
    there = np.ones(n, bool) if kept is None else kept[order]
    values = np.where(there, losses[order] - alpha, 0.0)
    wealth, seen, taken, squares = 1.0, 0, 0, 10 * alpha * (1 - alpha)
    while taken < n:
        size = min(taken // 4 + 1, (n - taken) // 32 + 1)
        block = values[taken : taken + size]
        if wealth > 0.0:
            left = max(np.log(1 / (delta * wealth)), 0.0)
            stake = np.sqrt(2 * left * (10 + seen) / (max(count - seen, 1) * squares))
            stake = min(stake, min(1.0, (4 / (count * alpha)) ** 0.25) / (1 - alpha))
            wealth *= np.prod(np.maximum(1 - stake * block, 0.0))
        squares += (block**2).sum()
        seen += int(there[taken : taken + size].sum())
        taken += size
    return float(wealth)


@pytest.mark.parametrize("loss", ["net", "regret", "kept_error"])
def test_the_graded_threshold_is_that_of_a_walk_over_all_thresholds(loss: str) -> None:
    found, expected = [], []
    for seed in range(6):
        confidence, edge, cloud = graded(700, seed)
        confidence = np.round(confidence, 2)
        lost = {"net": cloud - edge, "regret": np.maximum(cloud - edge, 0.0)}.get(loss, 1.0 - edge)
        last = None
        two_wrong = np.zeros(700)
        two_wrong[np.argsort(-confidence, kind="stable")[:2]] = 1.0
        begun = loss != "kept_error"
        for threshold in np.unique(confidence)[::-1]:
            kept = confidence >= threshold
            begun = begun or staked(np.where(kept, two_wrong, 0.0), 0.05, 0.05, kept) >= 20
            if not begun:
                continue
            among = kept if loss == "kept_error" else None
            if staked(np.where(kept, lost, 0.0), 0.05, 0.05, among) < 1 / 0.05:
                break
            last = float(threshold)
        expected.append(last)
        found.append(certify(confidence, edge, cloud, loss=loss, alpha=0.05).threshold)

    assert found == expected
    assert len(set(found)) > 1


def test_the_limit_of_a_betting_test_is_the_lowest_of_the_levels_rejected_in_turn() -> None:
    confidence, edge, cloud = graded(700)

    certificate = certify(confidence, edge, cloud, loss="regret", alpha=0.05)

    kept = confidence >= certificate.threshold
    lost = np.where(kept, np.maximum(cloud - edge, 0.0), 0.0)
    levels = [0.05 * k / 200 for k in range(200, 0, -1)]
    expected = next(
        above for above, level in itertools.pairwise(levels) if staked(lost, level, 0.05) < 1 / 0.05
    )
    assert certificate.bound == pytest.approx(expected)


def test_hoeffding_bentkus_is_the_smaller_of_its_two_bounds() -> None:
    test = HoeffdingBentkus(200)

    spread, certain = test.p_value(3.2, 0.05), test.p_value(0.0, 0.05)

    assert spread == pytest.approx(
        min(
            np.e * binom.cdf(4, 200, 0.05),
            np.exp(-200 * (entropy([0.016, 0.984], [0.05, 0.95]))),
        )
    )
    assert certain == pytest.approx(0.95**200)
    assert test.p_value(10.0, 0.05) == 1.0


def test_clusters_are_tested_by_their_means() -> None:
    rng = np.random.default_rng(0)
    confidence, cluster = rng.random(6000), np.repeat(np.arange(1000), 6)
    edge = rng.random(6000) < 1.0 - 0.2 * (1.0 - confidence)

    certificate = certify(confidence, edge, np.ones(6000), clusters=cluster, loss="regret")

    assert certificate.state is CertificateState.CERTIFIED
    assert certificate.method == "fixed sequence, betting test of 1000 clusters' means"
    assert certificate.n == 6000
    assert "6000 rows of 1000 clusters" in certificate.warnings[0]


def test_each_cluster_counts_the_same() -> None:
    confidence = np.ones(1000 + 400)
    cluster = np.concatenate([np.zeros(1000), np.arange(1, 401)])
    edge = np.concatenate([np.zeros(1000), np.ones(400)])

    certificate = certify(confidence, edge, np.ones(1400), clusters=cluster, loss="regret")

    assert certificate.empirical_loss == pytest.approx(1 / 401)


def test_hoeffding_bentkus_takes_clusters_by_their_means_too() -> None:
    confidence, edge, cloud = graded(3000)
    cluster = np.arange(3000) // 2

    certificate = certify(
        confidence, edge, cloud, clusters=cluster, loss="regret", method="hoeffding_bentkus"
    )

    assert certificate.empirical_loss is not None
    sums = HoeffdingBentkus(1500).p_value(certificate.empirical_loss * 1500, 0.02)
    assert sums <= 0.05
    assert "of 1500 clusters' means" in certificate.method


def test_groups_keep_their_clusters() -> None:
    ones = np.ones(1200)
    cluster, group = np.arange(1200) // 3, np.arange(1200) % 3 // 2

    certificate = certify(ones, ones, ones, clusters=cluster, groups=group)

    assert certificate.threshold == 1.0
    assert certificate.method == (
        "fixed sequence, betting test of 400 clusters' means; each of 2 groups too"
    )


def test_too_few_clusters_say_how_many_more() -> None:
    ones = np.ones(500)

    certificate = certify(ones, ones, ones, clusters=np.arange(500) // 5)

    assert certificate.labels_missing == 49
    assert certificate.reasons == ("100 clusters are too few: 149 would do at the least, 49 more",)


@pytest.mark.parametrize("clustered", [False, True])
def test_labels_that_lose_a_little_too_much_say_how_many_would_do(clustered: bool) -> None:
    edge = np.ones(200)
    edge[::100] = 0.0
    clusters = np.arange(200) if clustered else None

    certificate = certify(np.ones(200), edge, np.ones(200), loss="regret", clusters=clusters)

    unit = "clusters" if clustered else "labels"
    assert certificate.threshold is None
    assert certificate.labels_missing > 0
    assert f"about {200 + certificate.labels_missing} {unit} would do" in certificate.reasons[0]


def test_hopeless_labels_do_not_say_that_more_would_do() -> None:
    ones = np.ones(3000)

    certificate = certify(ones, np.zeros(3000), ones, loss="regret")

    assert certificate.labels_missing == 0
    assert certificate.reasons == (
        "even the surest answers lose too much to promise 2.0% at 95% confidence",
    )


def test_neighbours_that_err_together_are_warned_of() -> None:
    rng = np.random.default_rng(0)
    able = np.repeat(rng.random(100) < 0.7, 10)
    edge = rng.random(1000) < np.where(able, 0.99, 0.4)
    order = rng.permutation(1000)
    confidence, cloud = rng.random(1000), np.ones(1000)

    together = certify(confidence, edge, cloud)
    shuffled = certify(confidence[order], edge[order], cloud)

    assert together.warnings[0].startswith("neighbouring rows err together (correlation 0.")
    assert shuffled.warnings == ()


def test_nothing_is_said_of_clusters_that_tell_nothing() -> None:
    ones, confidence = np.ones(100), np.linspace(0, 1, 100)

    assert certify(confidence, ones, ones).warnings == ()
    assert certify(confidence, ones, ones, clusters=np.arange(100)).warnings == ()
    assert certify(confidence, ones, ones, clusters=np.zeros(100)).warnings == ()
    flat = certify(confidence, ones, ones, clusters=np.arange(100) // 2).warnings
    assert "correlation 0.00" in flat[0]


def test_repeated_inputs_are_counted_with_white_space_and_case_folded() -> None:
    found = repeats_warning(["A  b", "a b", "c", "d", "D"])

    assert found == ("4 of 5 inputs are repeated, so they are not independent",)
    assert repeats_warning(["a", "b"]) == ()


@pytest.mark.parametrize("loss", [Loss.NET, Loss.KEPT_ERROR])
def test_the_curve_has_the_loss_and_the_limit_at_each_threshold(loss: Loss) -> None:
    confidence, edge, cloud = population(500)

    points = coverage(confidence, edge, cloud, loss=loss, points=20)

    assert [p.deferral_rate for p in points] == sorted(
        (p.deferral_rate for p in points), reverse=True
    )
    assert points[-1].deferral_rate == 0.0
    for point in points:
        kept = confidence >= point.threshold
        assert point.deferral_rate == pytest.approx(1 - kept.mean())
        assert point.empirical_loss < point.bound <= 1.0
    last = points[-1]
    if loss is Loss.KEPT_ERROR:
        wrong = int((~edge).sum())
        assert last.empirical_loss == pytest.approx(wrong / 500)
        assert last.bound == pytest.approx(beta.ppf(0.95, wrong + 1, 500 - wrong), abs=1e-5)
    else:
        assert last.empirical_loss == pytest.approx(cloud.mean() - edge.mean())


def test_the_curve_of_graded_answers_is_of_the_betting_test() -> None:
    confidence, edge, cloud = graded(500)

    points = coverage(confidence, edge, cloud, points=5)

    assert len(points) == 5
    assert all(p.empirical_loss < p.bound < 0.2 for p in points)


def test_certify_is_called_and_read_as_the_contract_says() -> None:
    called = inspect.signature(certify).parameters
    defaults = {name: one.default for name, one in called.items() if name in ("alpha", "delta")}
    made = certify([0.9] * 400, [True] * 400, [True] * 400, loss="net", groups=None)

    assert list(called)[:7] == [
        "edge_confidence",
        "edge_correct",
        "cloud_correct",
        "loss",
        "alpha",
        "delta",
        "groups",
    ]
    assert defaults == {"alpha": 0.02, "delta": 0.05}
    assert called["loss"].default.value == "net"
    assert all(one.kind is one.KEYWORD_ONLY for one in list(called.values())[3:])
    assert (made.state.value, made.threshold, made.deferral_rate) == ("certified", 0.9, 0.0)
    assert (made.n, made.reasons) == (400, ())
    assert made.bound is not None
    assert made.bound <= 0.02


@pytest.mark.parametrize(("size", "delta"), [(5, 0.05), (5, 0.01), (2, 0.05)])
def test_kept_errors_of_clusters_begin_where_enough_of_the_clusters_are_kept(
    size: int, delta: float
) -> None:
    n = 400 * size
    confidence = np.random.default_rng(0).permutation(n) / n
    clusters = np.arange(n) // size

    found = certify(
        confidence, np.ones(n), np.ones(n), loss="kept_error", delta=delta, clusters=clusters
    )

    assert found.state is CertificateState.CERTIFIED
    assert found.deferral_rate == 0.0


def test_kept_errors_of_clusters_spare_a_wrong_answer_of_the_highest_confidence() -> None:
    n = 9000
    confidence = np.random.default_rng(0).permutation(n) / n
    edge = np.ones(n)
    edge[np.argmax(confidence)] = 0.0

    found = certify(confidence, edge, edge, loss="kept_error", clusters=np.arange(n) // 5)

    assert found.state is CertificateState.CERTIFIED
    assert found.deferral_rate == 0.0


@pytest.mark.parametrize("n", [400, 1000])
def test_graded_kept_errors_begin_where_a_bet_can_win(n: int) -> None:
    # At 1 % a bet is capped: 228 answers without an error, the logarithm's number, do not win it.
    found = certify(
        np.linspace(0.5, 1.0, n), np.ones(n), np.full(n, 0.9), loss="kept_error", delta=0.01
    )

    assert found.state is CertificateState.CERTIFIED
    assert found.deferral_rate == 0.0


def test_too_few_graded_labels_are_those_with_which_no_bet_wins() -> None:
    def asked(n: int) -> Any:
        return certify(np.ones(n), np.ones(n), np.full(n, 0.9), loss="kept_error", delta=0.01)

    few = asked(228)

    needed = 228 + few.labels_missing
    assert few.labels_missing > 0
    assert few.reasons[0].startswith(f"228 labels are too few: {needed} would do at the least")
    assert asked(needed - 1).labels_missing == 1
    assert asked(needed).state is CertificateState.CERTIFIED


@pytest.mark.parametrize("loss", ["net", "kept_error"])
def test_a_loss_next_to_none_needs_more_labels_than_are_counted_one_by_one(loss: str) -> None:
    ones = np.ones(10)

    found = certify(ones, ones, ones, loss=loss, alpha=1e-9)

    # log(0.05) / log(1 - 1e-9): no table of so many examples would fit into memory.
    assert found.labels_missing == pytest.approx(2_995_732_274 - 10, rel=1e-6)
