"""The queue empties in order, until something stands in the way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from full_disk import full_disk

from edgewise.errors import (
    DeadlineExceeded,
    EdgewiseError,
    InvalidData,
    PrivacyViolation,
    RemoteError,
    StorageError,
)
from edgewise.records import OfflineRules
from edgewise.route import LateAnswer, LateOutcome, LateRequest, OfflineQueue, drain
from edgewise.route.late import Drained
from edgewise.testing.route import FakeClock


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[OfflineQueue]:
    rules = OfflineRules(path=str(tmp_path / "queue"), max_tries=2)
    with OfflineQueue(rules, remote=["cloud"], clock=FakeClock()) as queue:
        for name in ("a", "b", "c", "d", "e"):
            queue.put(LateRequest(request_id=name, payload=b"film", allowed=("cloud",)))
        yield queue


class Remote:
    """Answers a request with its id in capitals, but where its script has a failure."""

    def __init__(self, **script: EdgewiseError) -> None:
        self.script = script
        self.asked: list[str] = []
        self.under_way = self.most_under_way = 0

    async def send(self, one: LateRequest) -> bytes:
        self.asked.append(one.request_id)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if one.request_id in self.script:
            raise self.script[one.request_id]
        return one.request_id.upper().encode()


def failing(status: int | None, *, retry_after_s: float | None = None) -> RemoteError:
    return RemoteError("no", where="cloud", hint="-", status=status, retry_after_s=retry_after_s)


LATE = DeadlineExceeded("late", where="cloud", hint="-")


async def test_what_waits_is_sent_in_order(queue: OfflineQueue) -> None:
    remote = Remote()

    assert await drain(queue, remote.send) == Drained(answered=5, ended=0)

    assert remote.asked == ["a", "b", "c", "d", "e"]
    assert remote.most_under_way == 1
    assert queue.take_answer("c") == LateAnswer(
        request_id="c", outcome=LateOutcome.ANSWERED, body=b"C"
    )
    assert await drain(queue, remote.send) == Drained(answered=0, ended=0)


async def test_several_may_be_under_way_together(queue: OfflineQueue) -> None:
    remote = Remote()

    assert (await drain(queue, remote.send, at_once=2)).answered == 5

    assert remote.asked == ["a", "b", "c", "d", "e"]
    assert remote.most_under_way == 2


async def test_what_can_not_go_for_a_reason_of_its_own_holds_up_nothing(
    queue: OfflineQueue,
) -> None:
    remote = Remote()

    async def send(one: LateRequest) -> bytes | None:
        return None if one.request_id in "ab" else await remote.send(one)

    assert await drain(queue, send) == Drained(answered=3, ended=0, held=2)
    assert (await drain(queue, remote.send)).answered == 2

    assert remote.asked == ["c", "d", "e", "a", "b"]


async def test_a_drain_passes_over_so_many_requests_and_no_more(tmp_path: Path) -> None:
    asked = 0

    async def send(_: LateRequest) -> None:
        nonlocal asked
        asked += 1

    requests = [
        LateRequest(request_id=str(n), payload=b"?", allowed=("cloud",)) for n in range(300)
    ]
    with OfflineQueue(OfflineRules(path=str(tmp_path / "long")), remote=["cloud"]) as queue:
        queue.put_many(requests)

        done = await drain(queue, send, at_once=64)
        seen = asked
        rest = await drain(queue, send, at_once=64)
        again = await drain(queue, send, at_once=64)

    assert (done, seen) == (Drained(answered=0, ended=0, held=256), 256)
    assert rest.held == 300 - 256  # those behind, and then from the beginning
    assert again.held == 256


@pytest.mark.parametrize(
    "failure", [failing(None), failing(429), failing(401), failing(404), LATE], ids=repr
)
async def test_a_link_that_is_down_ends_the_drain_and_no_request(
    queue: OfflineQueue, failure: EdgewiseError
) -> None:
    for _ in range(3):  # more often than a request may be tried
        remote = Remote(b=failure)
        done = await drain(queue, remote.send)
        assert (done.ended, done.stopped) == (0, type(failure).__name__)
        assert remote.asked[-1] == "b"

    remote = Remote()
    assert (await drain(queue, remote.send)).answered == 4
    assert remote.asked == ["b", "c", "d", "e"]


@pytest.mark.parametrize(
    "failure",
    [
        failing(400),
        failing(413),
        failing(422),
        InvalidData("no", where="-", hint="-"),
        PrivacyViolation("no", where="-", hint="-"),
    ],
    ids=repr,
)
async def test_a_request_that_is_wrong_ends_and_the_rest_goes_on(
    queue: OfflineQueue, failure: EdgewiseError
) -> None:
    remote = Remote(b=failure)

    assert await drain(queue, remote.send) == Drained(answered=4, ended=1)

    assert queue.take_answer("b") == LateAnswer(
        request_id="b", outcome=LateOutcome.REJECTED, error=type(failure).__name__
    )


async def test_a_tier_that_fails_on_one_request_is_tried_again_and_then_given_up(
    queue: OfflineQueue,
) -> None:
    broken = Remote(b=failing(500, retry_after_s=7.0))

    first = await drain(queue, broken.send)
    second = await drain(queue, broken.send)
    third = await drain(queue, broken.send)

    assert first == Drained(answered=1, ended=0, stopped="RemoteError", retry_after_s=7.0)
    assert second == Drained(answered=0, ended=1, stopped="RemoteError", retry_after_s=7.0)
    assert third == Drained(answered=3, ended=0)
    assert broken.asked == ["a", "b", "b", "c", "d", "e"]


async def test_of_several_under_way_those_that_were_answered_are_kept(queue: OfflineQueue) -> None:
    remote = Remote(b=LATE, c=failing(503, retry_after_s=3.0))

    done = await drain(queue, remote.send, at_once=4)

    assert done == Drained(answered=2, ended=0, stopped="DeadlineExceeded", retry_after_s=3.0)
    assert queue.answered_ids() == ["a", "d"]
    remote = Remote()
    await drain(queue, remote.send)
    assert remote.asked == ["b", "c", "e"]


async def test_a_cancelled_drain_keeps_what_was_answered_and_sends_the_rest_later(
    queue: OfflineQueue,
) -> None:
    reached = asyncio.Event()
    asked = []

    async def send(one: LateRequest) -> bytes:
        asked.append(one.request_id)
        if one.request_id == "c":
            reached.set()
            await asyncio.Event().wait()
        return b"yes"

    task = asyncio.create_task(drain(queue, send, at_once=4))
    await reached.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert asked == ["a", "b", "c", "d"]
    assert queue.answered_ids() == ["a", "b", "d"]
    remote = Remote()
    assert (await drain(queue, remote.send)).answered == 2
    assert remote.asked == ["c", "e"]


async def test_a_drain_cancelled_at_any_step_claims_nothing_for_ever(queue: OfflineQueue) -> None:
    for steps in range(12):
        task = asyncio.create_task(drain(queue, Remote(a=LATE).send))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    remote = Remote()
    await drain(queue, remote.send)
    assert remote.asked == ["a", "b", "c", "d", "e"]


async def test_a_defect_of_the_sender_comes_out_as_it_is(queue: OfflineQueue) -> None:
    async def send(one: LateRequest) -> bytes:
        raise ZeroDivisionError(one.request_id)

    with pytest.raises(ZeroDivisionError, match="a"):
        await drain(queue, send)

    assert (await drain(queue, Remote().send)).answered == 5


async def test_on_a_full_disk_nothing_more_is_sent_than_was_under_way(queue: OfflineQueue) -> None:
    remote = Remote()

    with full_disk(), pytest.raises(StorageError):
        await drain(queue, remote.send)

    assert remote.asked == ["a"]
    assert (await drain(queue, remote.send)).answered == 4
    assert remote.asked == ["a", "b", "c", "d", "e"]
    assert queue.answered_ids() == ["a", "b", "c", "d", "e"]
