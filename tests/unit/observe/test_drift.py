"""Drift of inputs: what is seen, and how seldom it is seen where there is none."""

import math
import random
from typing import Any

import pytest

from edgewise.errors import InvalidData
from edgewise.observe.drift import (
    DriftWatch,
    histogram_of,
    histogram_of_languages,
    output_of,
    p_value_of,
    projections,
    stability_index,
)
from edgewise.observe.languages import language_of
from edgewise.records import (
    DriftRules,
    DriftWarning,
    Policy,
    Prediction,
    PreRouteRules,
    RequestFacts,
    TierKind,
    TierPolicy,
)

RNG = random.Random(3)
REFERENCE = histogram_of("length", [RNG.gauss(50.0, 10.0) for _ in range(2000)])
RULES = DriftRules(reference=(REFERENCE,), window=200)
ALONE, OF_FOUR = DriftWatch(RULES), DriftWatch(RULES, watches=4)


FACTS = RequestFacts(request_id="r", input_length=50, input_bytes=1)


def policy(drift: DriftRules | None, preroute: PreRouteRules | None = None) -> Policy:
    tier = TierPolicy(name="edge", kind=TierKind.DEVICE)
    return Policy(
        task="text-classification", labels=(), tiers=(tier,), drift=drift, preroute=preroute
    )


def test_bins_hold_about_equal_shares_of_the_reference() -> None:
    assert len(REFERENCE.counts) == 10
    assert all(190 <= one <= 210 for one in REFERENCE.counts)


def test_many_equal_values_share_a_bin() -> None:
    found = histogram_of("length", [1.0] * 90 + [2.0] * 10)

    assert found.edges == (math.nextafter(1.0, 0.0), 1.0, 2.0)
    assert found.counts == (0, 90, 10, 0)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_a_reference_is_a_sample_of_numbers(values: list[float]) -> None:
    with pytest.raises(InvalidData) as caught:
        histogram_of("length", values)

    assert caught.value.what == "no values, or one that is not finite"
    assert caught.value.where == "histogram `length`"
    assert caught.value.hint == "give a sample of numbers"


def test_the_p_value_is_that_of_the_largest_difference() -> None:
    # Shares of 0.5 and 0.9 in the first bin: D = 0.4; c = 0.4 / (1/10 + 1/10) = 2.
    assert p_value_of((50, 50), (90, 10)) == pytest.approx(4 * 2.718281828**-8)
    assert p_value_of((50, 50), (50, 50)) == 1.0


def test_the_stability_index_of_equal_shares_is_nothing() -> None:
    assert stability_index((10, 10), (10, 10)) == 0.0
    assert stability_index((100, 0), (0, 100)) > 5.0


def test_a_shift_is_told_once_a_window_is_full() -> None:
    rng, watch = random.Random(1), DriftWatch(RULES)

    found: list[Any] = []
    for n in range(200):
        found += watch.see({"length": rng.gauss(65.0, 10.0)}, float(n))

    [warning] = found
    assert (warning.name, warning.window, warning.at_s) == ("length", 1, 199.0)
    assert warning.p_value <= warning.at_most == pytest.approx(0.005)
    assert watch.warnings == (warning,)


def test_without_a_shift_there_is_seldom_a_warning() -> None:
    false = 0
    for seed in range(40):
        rng = random.Random(seed)
        sample = histogram_of("length", [rng.gauss(50.0, 10.0) for _ in range(500)])
        watch = DriftWatch(DriftRules(reference=(sample,), window=100, false_alarms=0.05))
        for n in range(2_000):
            watch.see({"length": rng.gauss(50.0, 10.0)}, float(n))
        false += bool(watch.warnings)

    assert false <= 2


def test_a_request_tells_its_length_and_language_and_what_the_edge_said_of_it() -> None:
    sure = histogram_of("confidence", [0.9 + n / 10_000 for n in range(500)])
    languages = histogram_of_languages(["a good film"] * 500)
    output = histogram_of("embedding_0", [1.0 + n / 500 for n in range(500)])
    rules = DriftRules(
        reference=(REFERENCE, sure, languages, output), window=100, directions=((1.0, 0.0),)
    )
    watch, heard = DriftWatch(rules), list[DriftWarning]()
    unsure = Prediction("no", 0.5, (0.5, 0.5))

    for _ in range(99):
        watch.look(FACTS, {"text": "хороший"}, unsure, 0.3, 0.0)
    heard += watch.look(FACTS, {"text": "хороший"}, None, None, 0.0)
    before = [one.code for one in heard]
    heard += watch.look(FACTS, {"image": "of no language"}, unsure, 0.3, 0.0)

    assert before == ["drift_length", "drift_language"]
    assert {one.name for one in heard} == {"length", "language", "confidence", "embedding_0"}


def test_a_warning_stands_until_a_window_is_as_it_was() -> None:
    heard: list[tuple[str, bool]] = []

    class Listener:
        def __call__(self, what: str, distance: float, *, differs: bool) -> None:
            assert distance >= 0.0
            heard.append((what, differs))

    rng, watch = random.Random(1), DriftWatch(RULES, told=Listener())
    for n in range(400):
        watch.see({"length": rng.gauss(80.0 if n < 200 else 50.0, 10.0)}, 0.0)
        assert bool(watch.warnings) is (199 <= n < 399)

    assert heard == [("length", True), ("length", False)]


def test_a_policy_begins_a_watch_and_the_same_rules_go_on() -> None:
    watch = DriftWatch()
    unwatched = watch.is_watching
    watch.begin(policy(RULES))
    for _ in range(199):
        watch.see({"length": 90.0}, 0.0)

    watch.begin(policy(RULES))
    watch.see({"length": 90.0}, 0.0)
    found = watch.warnings
    watch.begin(policy(None))

    assert not unwatched
    assert [one.name for one in found] == ["length"]
    assert (watch.is_watching, watch.warnings) == (False, ())


def test_what_the_edge_says_of_a_chosen_part_of_requests_is_not_compared() -> None:
    sure = histogram_of("confidence", [0.9 + n / 10_000 for n in range(500)])
    watch = DriftWatch()
    watch.begin(policy(DriftRules(reference=(sure,), window=10), PreRouteRules(min_gain=0.1)))

    for _ in range(10):
        watch.look(FACTS, {}, None, 0.1, 0.0)

    assert (watch.is_watching, watch.warnings) == (False, ())


def test_watches_of_one_policy_share_the_chance_of_a_false_warning() -> None:
    [alone] = [w for _ in range(200) for w in ALONE.see({"length": 90.0}, 0.0)]
    [one] = [w for _ in range(200) for w in OF_FOUR.see({"length": 90.0}, 0.0)]

    assert one.at_most == pytest.approx(alone.at_most / 4)


def test_what_has_no_reference_is_passed_over_and_no_number_is_refused() -> None:
    watch = DriftWatch(RULES)

    assert watch.see({"weather": 1.0}, 0.0) == ()
    with pytest.raises(InvalidData) as caught:
        watch.see({"length": float("nan")}, 0.0)
    assert caught.value.what == "`length` is not a number"
    assert caught.value.where == "DriftWatch.see"
    assert caught.value.hint == "leave it out"


@pytest.mark.parametrize("text", ["хороший фильм", "der film ist nicht schlecht"])
def test_another_language_is_a_drift_in_the_same_script_too(text: str) -> None:
    reference = histogram_of_languages(["it is a good film"] * 300 + ["good film"] * 100)
    watch = DriftWatch(DriftRules(reference=(reference,), window=100))

    found: list[Any] = []
    for n in range(100):
        found += watch.see({"language": float(language_of(text))}, float(n))

    assert [one.name for one in found] == ["language"]


def test_an_embedding_is_watched_along_directions() -> None:
    assert projections((1.0, 2.0), ((1.0, 0.0), (0.5, 0.5))) == {
        "embedding_0": 1.0,
        "embedding_1": 1.5,
    }


def test_an_output_is_centred_and_certainty_is_no_infinity() -> None:
    e = 2.718281828459045

    assert output_of((e / (1 + e), 1 / (1 + e))) == pytest.approx([0.5, -0.5])
    assert output_of((1.0, 0.0)) == pytest.approx([6.907755, -6.907755])
