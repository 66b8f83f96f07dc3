"""The circuit breaker, on a virtual clock."""

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgewise.records import BreakerRules
from edgewise.route.breaker import Breaker, CircuitState

RULES = BreakerRules(window=4, minimum_calls=2, failure_share=0.5, open_s=2.0)


def opened(at_s: float = 0.0) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(2):
        breaker.fail(breaker.begin(at_s), at_s)
    return breaker


def test_a_circuit_opens_at_its_share_of_failures() -> None:
    breaker = Breaker(RULES)

    breaker.fail(breaker.begin(0.0), 0.0)
    early = breaker.state(0.0)
    breaker.succeed(breaker.begin(0.0), 0.0)
    breaker.fail(breaker.begin(0.0), 0.0)

    assert early is CircuitState.CLOSED
    assert breaker.state(0.0) is CircuitState.OPEN
    assert not breaker.allows(1.9)


def test_few_failures_among_many_answers_leave_it_closed() -> None:
    breaker = Breaker(RULES)

    for _ in range(3):
        breaker.succeed(breaker.begin(0.0), 0.0)
    breaker.fail(breaker.begin(0.0), 0.0)

    assert breaker.allows(0.0)


def test_after_a_pause_one_call_is_let_through() -> None:
    breaker = opened()

    before = breaker.allows(2.0)
    call = breaker.begin(2.0)
    during = breaker.allows(2.0)
    breaker.succeed(call, 2.0)

    assert (before, during) == (True, False)
    assert breaker.state(2.0) is CircuitState.CLOSED


def test_a_failed_probe_opens_it_again() -> None:
    breaker = opened()

    breaker.fail(breaker.begin(2.0), 2.0)

    assert breaker.state(3.9) is CircuitState.OPEN
    assert breaker.state(4.0) is CircuitState.HALF_OPEN


def test_a_probe_that_hangs_holds_up_nobody() -> None:
    breaker = opened()
    hangs = breaker.begin(2.0)

    during, later = breaker.allows(3.9), breaker.allows(4.0)
    breaker.succeed(breaker.begin(4.0), 4.0)
    breaker.fail(hangs, 5.0)

    assert (during, later) == (False, True)
    assert breaker.state(5.0) is CircuitState.CLOSED


def test_an_abandoned_probe_makes_room_for_another() -> None:
    breaker = opened()

    breaker.abandon(breaker.begin(2.0))

    assert breaker.allows(2.0)


def test_calls_from_before_it_opened_no_longer_count() -> None:
    breaker = Breaker(RULES)
    old = breaker.begin(0.0)
    for _ in range(2):
        breaker.fail(breaker.begin(0.0), 0.0)
    probe = breaker.begin(2.0)

    breaker.succeed(old, 2.0)
    breaker.fail(old, 2.0)
    breaker.abandon(old)

    assert not breaker.allows(2.0)
    breaker.succeed(probe, 2.0)
    assert breaker.allows(2.0)


def test_failures_of_long_ago_do_not_count() -> None:
    breaker = Breaker(RULES)

    breaker.fail(breaker.begin(0.0), 0.0)
    breaker.fail(breaker.begin(31.0), 31.0)

    assert breaker.state(31.0) is CircuitState.CLOSED


def test_a_probe_beside_the_calls_closes_it() -> None:
    breaker = opened()

    breaker.close()
    breaker.close()

    assert breaker.state(0.1) is CircuitState.CLOSED


class BreakerMachine(RuleBasedStateMachine):
    """Any order of calls, ends and time; the machine keeps its own simple account."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(RULES)
        self.now_s = 0.0
        self.under_way: list[tuple[int, bool]] = []
        self.probes_s: list[float] = []

    @rule(duration_s=st.floats(0.0, 3.0))
    def pass_time(self, duration_s: float) -> None:
        self.now_s += duration_s

    @precondition(lambda self: self.breaker.allows(self.now_s))
    @rule()
    def begin(self) -> None:
        probe = self.breaker.state(self.now_s) is CircuitState.HALF_OPEN
        self.under_way.append((self.breaker.begin(self.now_s), probe))
        if probe:
            self.probes_s.append(self.now_s)
        else:
            self.probes_s.clear()

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), end=st.sampled_from(["succeed", "fail", "abandon"]))
    def end(self, data: st.DataObject, end: str) -> None:
        place = data.draw(st.integers(0, len(self.under_way) - 1))
        call, probe = self.under_way.pop(place)
        before = self.breaker.state(self.now_s)
        if end == "succeed":
            self.breaker.succeed(call, self.now_s)
        elif end == "fail":
            self.breaker.fail(call, self.now_s)
        else:
            self.breaker.abandon(call)
        after = self.breaker.state(self.now_s)
        if before is not CircuitState.CLOSED and not probe:
            assert after is before
        if probe and end == "succeed":
            assert after is CircuitState.CLOSED
        if probe and end == "fail":
            assert after is before
        if probe and end == "abandon":
            self.probes_s.clear()

    @invariant()
    def probes_keep_their_distance(self) -> None:
        gaps = [after - before for before, after in pairwise(self.probes_s)]
        assert all(gap >= RULES.open_s for gap in gaps)

    @invariant()
    def open_lets_nothing_through(self) -> None:
        if self.breaker.state(self.now_s) is CircuitState.OPEN:
            assert not self.breaker.allows(self.now_s)

    @invariant()
    def it_never_stays_shut(self) -> None:
        assert self.breaker.allows(self.now_s + RULES.open_s)


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
