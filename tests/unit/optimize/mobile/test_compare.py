import numpy as np
import pytest

from edgewise.optimize.mobile import Bounds, compare

LOOSE = Bounds(min_cosine=0.9, max_relative_error=0.5, min_agreement=0.5)


def one(*rows: list[float]) -> tuple[np.ndarray]:
    return (np.array(rows, np.float32),)


def test_the_same_numbers_are_off_by_nothing() -> None:
    same = [one([1.0, -2.0]), one([0.0, 3.0])]

    found = compare(same, same)

    assert (found.max_abs_error, found.relative_error, found.agreement) == (0.0, 0.0, 1.0)
    assert found.cosine == pytest.approx(1.0)
    assert found.reasons(Bounds(min_cosine=0.999, max_relative_error=0, min_agreement=1)) == ()


def test_errors_angles_and_choices_are_counted_over_all_examples() -> None:
    found = compare([one([3.0, 4.0]), one([4.0, 3.0])], [one([3.0, 4.0]), one([3.0, 4.0])])

    assert found.max_abs_error == 1.0
    assert found.relative_error == 0.25
    assert found.cosine == pytest.approx((1.0 + 24 / 25) / 2)
    assert found.agreement == 0.5


def test_each_missed_bound_is_a_reason_with_both_numbers() -> None:
    found = compare([one([-1.0, 1.0])], [one([1.0, -1.0])])

    assert found.reasons(LOOSE) == (
        "cosine -1.00000, and 0.9 is asked",
        "is off by 200.00% of the largest value, and 50.00% is allowed",
        "agrees on 0.0%, and 50.0% is asked",
    )


def test_a_scaled_copy_is_caught_though_its_angle_is_right() -> None:
    found = compare([one([2.0, 4.0])], [one([1.0, 2.0])])

    assert found.cosine == pytest.approx(1.0)
    assert found.reasons(LOOSE) == (
        "is off by 100.00% of the largest value, and 50.00% is allowed",
    )


def test_the_worst_output_counts() -> None:
    right, wrong = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])

    found = compare([(right, wrong)], [(right, right)])

    assert found.cosine == 0.0
    assert found.agreement == 1.0  # of the first output


def test_a_model_of_one_number_chooses_nothing() -> None:
    assert compare([one([1.0])], [one([1.0])]).agreement is None


def test_an_answer_of_zeros_is_near_to_zeros_alone() -> None:
    assert compare([one([0.0, 0.0])], [one([0.0, 0.0])]).cosine == 1.0
    assert compare([one([0.0, 0.0])], [one([1.0, 0.0])]).cosine == 0.0


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ((np.zeros((1, 3)),), "output 0 is of shape (1, 3), and its source's (1, 2)"),
        ((np.zeros((1, 2)), np.zeros(1)), "gives 2 outputs, and its source 1"),
        ((np.array([[np.nan, 0.0]]),), "output 0 has numbers that are not finite"),
    ],
)
def test_what_can_not_be_compared_says_why(found: tuple[np.ndarray, ...], why: str) -> None:
    with pytest.raises(ValueError, match="output") as caught:
        compare([found], [one([1.0, 2.0])])

    assert str(caught.value) == why
