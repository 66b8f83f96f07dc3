"""What processes on one port add up: each tells at the moment when it is asked."""

from typing import Any

from edgewise.gateway.admission import Admission
from edgewise.gateway.boards import Boards
from edgewise.gateway.counting import Counting, Decisions
from edgewise.gateway.settings import AdmissionRules
from edgewise.gateway.together import Together
from edgewise.records import Decision, RequestFacts


class Sum:
    def __init__(self, value: int = 0) -> None:
        self.value = value

    def state(self) -> Any:
        return self.value

    def take(self, state: Any) -> None:
        self.value += state


async def test_each_hears_what_the_others_count_at_that_moment() -> None:
    boards, sums = Boards(3), [Sum(), Sum(), Sum()]
    all_of_them = [Together(boards, at, {"sum": one}) for at, one in enumerate(sums)]
    for one in all_of_them:
        one.open()
    sums[1].value, sums[2].value = 5, 7

    first = await all_of_them[0].others()
    sums[2].value = 8
    second = await all_of_them[0].others()
    of_the_last = await all_of_them[2].others()
    for one in all_of_them:
        one.close()
    boards.close()

    assert first == [{"sum": 5}, {"sum": 7}]
    assert second == [{"sum": 5}, {"sum": 8}]
    assert of_the_last == [{"sum": 0}, {"sum": 5}]


async def test_who_does_not_answer_counts_with_what_it_told_last() -> None:
    boards = Boards(3)
    gone = Together(boards, 1, {"sum": Sum(4)})
    gone.open()
    gone.close()
    asks = Together(boards, 0, {"sum": Sum()})
    asks.open()

    found = await asks.others()
    asks.close()
    boards.close()

    assert found == [{"sum": 4}]  # and nothing of the one that never began


async def test_who_takes_a_place_goes_on_where_the_one_before_stopped() -> None:
    boards = Boards(2)
    before = Together(boards, 1, {"sum": Sum(4)})
    before.open()
    before.close()
    goes_on = Sum(1)

    after = Together(boards, 1, {"sum": goes_on})
    after.open()
    asks = Together(boards, 0, {"sum": Sum()})
    asks.open()
    found = await asks.others()
    for one in (after, asks):
        one.close()
    boards.close()

    assert goes_on.value == 5
    assert found == [{"sum": 5}]


def test_requests_under_way_elsewhere_are_not_taken_over_but_those_refused_are() -> None:
    one, other = Admission(AdmissionRules(most_in_flight=1)), Admission(AdmissionRules())
    one.enter()
    one.enter()

    other.take(one.state())

    assert one.state() == [1, 1]
    assert other.state() == [0, 1]


def decision(name: str, at_s: float) -> Decision:
    return Decision(
        request_id=name,
        at_s=at_s,
        policy_version="v",
        facts=RequestFacts(request_id=name, input_length=1, input_bytes=1),
        allowed=("edge",),
        reasons=(),
        attempts=(),
        location="edge",
        latency_ms=1.0,
        cost_usd=0.0,
    )


def test_the_latest_decisions_of_all_come_in_their_order() -> None:
    one, other = Decisions(Counting(), None), Decisions(Counting(), None)
    for at in range(30):
        one.append(decision(f"a{at}", 2.0 * at))
        other.append(decision(f"b{at}", 2.0 * at + 1.0))

    found = list(one.latest_with([other.state()]))
    one.take(other.state())

    assert [each.request_id for each in found[-3:]] == ["b28", "a29", "b29"]
    assert [each.request_id for each in found[:6]] == ["a0", "a1", "a2", "a3", "a4", "a5"]
    assert len(found) == 30 + 25
    assert list(one.latest) == found
