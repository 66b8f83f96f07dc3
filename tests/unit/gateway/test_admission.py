"""What is let in."""

from hypothesis import given
from hypothesis import strategies as st

from edgewise.gateway.admission import Admission
from edgewise.gateway.settings import AdmissionRules


def test_the_limit_shrinks_while_the_loop_is_late_and_grows_back() -> None:
    admission = Admission(AdmissionRules(most_in_flight=100, lag_ms=50.0))
    entered = [admission.enter() for _ in range(101)]

    admission.lagged(0.2)
    shrunk = admission.limit
    for _ in range(10):
        admission.lagged(0.0)

    assert entered == [True] * 100 + [False]
    assert shrunk == 70
    assert admission.limit == 100
    assert admission.refused == 1


@given(st.lists(st.one_of(st.booleans(), st.floats(0.0, 1.0)), max_size=200))
def test_never_more_than_the_limit_is_let_in_and_never_none(turns: list[bool | float]) -> None:
    admission = Admission(AdmissionRules(most_in_flight=20, lag_ms=50.0))

    for turn in turns:
        if isinstance(turn, bool):
            before = admission.in_flight
            if turn:
                assert admission.enter() is (before < admission.limit)
            elif before:
                admission.leave()
        else:
            admission.lagged(turn)
        assert 16 <= admission.limit <= 20
        assert 0 <= admission.in_flight <= 20


def test_a_loop_that_is_late_lets_in_no_more_than_the_settings_allow() -> None:
    admission = Admission(AdmissionRules(most_in_flight=3, lag_ms=50.0))

    admission.lagged(0.2)

    assert admission.limit == 3
