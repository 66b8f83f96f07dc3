import pytest

from edgewise.errors import InvalidData
from edgewise.tasks import accuracy, wilson_interval


def test_accuracy_is_the_share_of_right_answers() -> None:
    assert accuracy(["a", "b", "b", "a"], ["a", "b", "a", "a"]) == 0.75


@pytest.mark.parametrize(("predicted", "truth"), [([], []), (["a"], []), (["a"], ["a", "b"])])
def test_accuracy_of_unequal_or_no_answers_is_invalid(
    predicted: list[str], truth: list[str]
) -> None:
    with pytest.raises(InvalidData) as caught:
        accuracy(predicted, truth)

    assert caught.value.what == f"{len(predicted)} predictions for {len(truth)} labels"
    assert caught.value.where == "accuracy"
    assert caught.value.hint == "give one prediction for each label"


def test_wilson_interval_agrees_with_a_published_table() -> None:
    # Newcombe, Two-sided confidence intervals for the single proportion, Stat. Med. 17 (1998),
    # table I, method 3.
    for right, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson_interval(right, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_is_mirrored_for_wrong_answers() -> None:
    low, high = wilson_interval(30, 100)

    assert wilson_interval(70, 100) == pytest.approx((1 - high, 1 - low))


def test_wilson_interval_at_the_ends_stays_within_a_share() -> None:
    assert wilson_interval(0, 3)[0] == 0.0
    assert wilson_interval(3, 3)[1] == 1.0


def test_wider_confidence_gives_a_wider_interval() -> None:
    low, high = wilson_interval(50, 100, z=2.5758293035489004)
    inner_low, inner_high = wilson_interval(50, 100)

    assert low < inner_low < 0.5 < inner_high < high


@pytest.mark.parametrize(("right", "n"), [(0, 0), (1, 0), (-1, 5), (6, 5), (0, -1)])
def test_wilson_interval_of_impossible_counts_is_invalid(right: int, n: int) -> None:
    with pytest.raises(InvalidData) as caught:
        wilson_interval(right, n)

    assert caught.value.what == f"{right} right of {n}"
    assert caught.value.where == "wilson_interval"
    assert caught.value.hint == "give 0 ≤ right ≤ n, n > 0"
