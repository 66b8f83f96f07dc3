"""Requests wait for those before them, so that quick answers are no better evidence."""

from typing import Any

import pytest

from edgewise.errors import InvalidRecord
from edgewise.observe import EProcess
from edgewise.observe.line import Line


def line() -> Line:
    return Line(EProcess(alpha=0.1, share=0.5))


def test_the_order_of_answers_does_not_matter() -> None:
    one, other, direct = line(), line(), EProcess(alpha=0.1, share=0.5)
    for made in (one, other):
        made.wait(1, 99.0)
        made.skip()
        made.skip()
        made.wait(2, 99.0)

    one.settle(1, 0.0)
    one.settle(2, 1.0)
    other.settle(2, 1.0)
    early = other.test.units
    other.settle(1, 0.0)
    direct.add(0.0)
    direct.skip(2)
    direct.add(1.0)

    assert early == 0
    assert one.test.e_value == other.test.e_value == direct.e_value


def test_who_is_not_answered_in_time_counts_as_no_loss() -> None:
    made, direct = line(), EProcess(alpha=0.1, share=0.5)
    made.wait(1, 10.0)
    made.wait(2, 20.0)
    made.settle(2, 1.0)

    made.expire(9.0)
    waiting = len(made)
    made.expire(10.0)
    direct.add(0.0)
    direct.add(1.0)

    assert waiting == 2
    assert len(made) == 0
    assert made.test.e_value == direct.e_value
    assert not made.settle(1, 1.0)


def test_a_loss_is_told_once() -> None:
    made = line()
    made.wait(1, 10.0)
    made.wait(2, 10.0)

    assert made.settle(2, 1.0)
    assert not made.settle(2, 0.0)
    assert made.unsettled == 2


def test_requests_without_an_audit_are_told_when_nothing_waits() -> None:
    made = line()
    made.skip()
    made.flush()
    told = made.test.units
    made.wait(1, 10.0)
    made.skip()
    made.flush()

    assert told == 1
    assert made.test.units == 1
    assert made.unsettled == 2


def test_what_is_saved_goes_on_where_it_was() -> None:
    made = line()
    made.skip()
    made.wait(3, 10.0)
    made.skip()
    made.wait(4, 10.0)
    made.settle(4, 1.0)
    made.skip()

    again = Line.restored(made.saved())
    for one in (made, again):
        one.settle(3, 1.0)
        one.flush()

    assert again.test.e_value == made.test.e_value
    assert again.test.units == 5


@pytest.mark.parametrize("strange", [None, {}, {"test": line().test.saved(), "queue": [1]}])
def test_what_is_no_state_is_refused(strange: Any) -> None:
    with pytest.raises(InvalidRecord) as caught:
        Line.restored(strange)

    assert caught.value.what.startswith("no state of an audit: ")
    assert caught.value.where == "Line"
    assert caught.value.hint == "begin another file"
