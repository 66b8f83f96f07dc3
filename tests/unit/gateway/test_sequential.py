"""The canary's test keeps its promise, and sees what is worse."""

import random

from edgewise.gateway.sequential import FailsMore


def requests_until(alarm: float, control: float, canary: float, seed: int, most: int) -> int | None:
    """Send requests, one in ten to the canary, until the test says that it fails more often."""
    rng, test = random.Random(seed), FailsMore()
    for turn in range(most):
        if rng.random() < 0.1:
            if test.see_canary(failed=rng.random() < canary) >= alarm:
                return turn
        else:
            test.see_control(failed=rng.random() < control)
    return None


def test_a_canary_that_is_no_worse_is_hardly_ever_taken_back() -> None:
    for control, canary in ((0.02, 0.02), (0.3, 0.3), (0.3, 0.1)):
        alarms = [requests_until(20.0, control, canary, seed, 3000) for seed in range(150)]

        taken_back = sum(alarm is not None for alarm in alarms)
        # At most 5 % by the theorem; 150 draws of that exceed 15 once in 500 times.
        assert taken_back <= 15


def test_a_canary_that_fails_is_taken_back_within_a_few_of_its_requests() -> None:
    alarms = [requests_until(100.0, 0.01, 0.5, seed, 3000) for seed in range(20)]

    assert all(alarm is not None and alarm < 1000 for alarm in alarms)


def test_nothing_is_bet_before_the_control_was_seen() -> None:
    test = FailsMore()

    assert test.see_canary(failed=True) == 1.0
    assert (test.canary, test.control) == ([1, 1], [0, 0])
