"""The bet against a mean: what it says at first, what it refuses, and that it can be saved."""

import math
from typing import Any

import pytest

from edgewise.errors import InvalidData, InvalidRecord, UsageError
from edgewise.observe import EProcess


def test_without_any_request_nothing_is_said() -> None:
    assert EProcess(alpha=0.02, share=0.1).e_value == pytest.approx(1.0)


def test_one_stake_is_the_wealth_that_betting_by_hand_gives() -> None:
    # With alpha near 1 one stake is left: the half of all that may be staked.
    test = EProcess(alpha=0.9995, share=1.0)
    stake = 0.5 / 0.9995

    test.add(1.0)
    test.add(0.0)

    # The second bettor waits with half of the wealth in hand.
    by_hand = (1 + stake * (1.0 - 0.9995)) * (1 + stake * (0.0 - 0.9995))
    assert test.e_value == pytest.approx(0.5 * by_hand + 0.5)


def test_many_losses_refute_a_small_mean_and_none_never_do() -> None:
    bad, good = EProcess(alpha=0.02, share=0.1), EProcess(alpha=0.02, share=0.1)

    for _ in range(12):
        bad.skip(9)
        bad.add(1.0)
        good.skip(9)
        good.add(0.0)

    assert bad.e_value > 1e6
    assert good.e_value < 1.0


def test_a_loss_that_comes_after_a_long_good_time_is_noticed_still() -> None:
    test = EProcess(alpha=0.02, share=0.1)
    test.skip(200_000)

    needed = 0
    while test.e_value < 20.0:
        test.skip(9)
        test.add(float(needed % 5 == 0))
        needed += 1

    assert needed < 120


def test_the_number_of_bettors_is_bounded() -> None:
    test = EProcess(alpha=0.02, share=1.0)

    test.skip(20_000)

    assert len(test.saved()["handicaps"]) == 40  # type: ignore[arg-type]
    assert test.units == 20_000


@pytest.mark.parametrize(
    ("alpha", "share"), [(0.0, 0.1), (1.0, 0.1), (0.02, 0.0), (0.02, 1.1), (math.nan, 0.1)]
)
def test_levels_and_shares_are_checked(alpha: float, share: float) -> None:
    with pytest.raises(UsageError) as caught:
        EProcess(alpha=alpha, share=share)

    assert caught.value.what == f"alpha is {alpha} and share is {share}"
    assert caught.value.where == "EProcess"
    assert caught.value.hint.startswith("give alpha between 0 and 1")


@pytest.mark.parametrize(
    ("signed", "loss"), [(False, -0.1), (False, 1.1), (True, -1.1), (True, math.nan)]
)
def test_losses_are_checked(signed: bool, loss: float) -> None:
    test = EProcess(alpha=0.02, share=0.1, signed=signed)

    with pytest.raises(InvalidData) as caught:
        test.add(loss)

    assert caught.value.what == f"a loss of {loss}"
    assert caught.value.where == "loss"
    assert caught.value.hint == "give 0 to 1, or from -1 on for `net`"


def test_what_is_saved_goes_on_where_it_was() -> None:
    test = EProcess(alpha=0.02, share=0.5, signed=True)
    for loss in (1.0, -1.0, 0.0) * 120:
        test.add(loss)

    again = EProcess.restored(test.saved())
    test.add(1.0)
    again.add(1.0)

    assert again.e_value == test.e_value
    assert again.units == test.units


@pytest.mark.parametrize(
    "strange",
    [
        None,
        {},
        7,
        {**EProcess(alpha=0.1, share=0.1).saved(), "logs": [[1.0]]},
        {**EProcess(alpha=0.1, share=0.1).saved(), "alpha": 3.0},
        {**EProcess(alpha=0.1, share=0.1).saved(), "left": 0},
    ],
)
def test_what_is_no_state_is_refused(strange: Any) -> None:
    with pytest.raises(InvalidRecord) as caught:
        EProcess.restored(strange)

    assert caught.value.what.startswith("no state of a test: ")
    assert caught.value.where == "EProcess"
    assert caught.value.hint == "begin another file"
