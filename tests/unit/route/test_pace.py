"""Work that is quick enough to be done at once."""

import threading

import pytest

from edgewise.route.pace import Pace


class Stopwatch:
    """A clock that each call of the work moves on by what the test says."""

    def __init__(self) -> None:
        self.s = 0.0
        self.takes_s = 0.0001

    def now_s(self) -> float:
        return self.s

    def work(self, given: int) -> int:
        self.s += self.takes_s
        return given + 1


def paced(clock: Stopwatch) -> Pace[int, int]:
    return Pace(clock.work, now_s=clock.now_s)


def test_work_is_done_at_once_after_many_quick_calls_in_a_row() -> None:
    pace = paced(Stopwatch())

    handed_over = [pace.at_once(1) is None and pace(1) == 2 for _ in range(64)]

    assert all(handed_over)
    assert pace.at_once(1) == 2


def test_one_slow_call_ends_it_and_as_many_quick_ones_bring_it_back() -> None:
    clock = Stopwatch()
    pace = paced(clock)
    for _ in range(64):
        pace(1)

    clock.takes_s = 0.01
    slow = pace.at_once(1)
    clock.takes_s = 0.0001
    after = [pace.at_once(1) or pace(-1) for _ in range(64)]

    assert slow == 2
    assert after == [0] * 64
    assert pace.at_once(1) == 2


def test_slow_work_is_never_done_at_once() -> None:
    clock = Stopwatch()
    clock.takes_s = 0.001
    pace = paced(clock)

    for _ in range(200):
        pace(1)

    assert pace.at_once(1) is None


def test_two_threads_never_work_at_one_time() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work(given: str) -> str:
        if given == "long":
            begun.set()
            may_end.wait(30)
        return given

    pace = Pace(work, now_s=lambda: 0.0)
    for _ in range(64):
        pace("short")
    thread = threading.Thread(target=pace, args=("long",))
    thread.start()
    begun.wait(30)

    meanwhile = pace.at_once("short")
    may_end.set()
    thread.join(30)

    assert meanwhile is None
    assert pace.at_once("short") == "short"


def test_what_the_work_raises_is_its_callers_and_the_next_call_goes_on() -> None:
    pace: Pace[int, int] = Pace(lambda given: 1 // given, now_s=lambda: 0.0)
    for _ in range(64):
        pace(1)

    with pytest.raises(ZeroDivisionError):
        pace.at_once(0)
    with pytest.raises(ZeroDivisionError):
        pace(0)

    assert pace.at_once(1) == 1


def test_nothing_is_done_at_once_after_the_end() -> None:
    pace = paced(Stopwatch())
    for _ in range(64):
        pace(1)

    pace.close()

    assert pace.at_once(1) is None
