"""Empties the offline queue when the link is back: in order, until something stands in the way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from edgewise.errors import (
    EdgewiseError,
    InvalidData,
    PrivacyViolation,
    RemoteError,
)
from edgewise.route.late import MOST_HELD, Drained, LateAnswer, LateOutcome, LateRequest
from edgewise.route.offline import OfflineQueue

Send = Callable[[LateRequest], Awaitable[bytes | None]]
T = TypeVar("T")


async def drain(queue: OfflineQueue, send: Send, *, at_once: int = 1) -> Drained:
    """Send what waits, in order, until nothing does or the remote tier can't be reached.

    One drain at a time works on a queue. Cancelling it loses nothing: what was answered is
    recorded, the rest waits on.

    Parameters
    ----------
    send
        Sends one request to a tier of its `allowed`, with its id as the idempotency key, and gives
        the answer. `InvalidData`, `PrivacyViolation` and an HTTP status that blames the request
        end it as rejected; another 5xx counts as a try; every other `EdgewiseError` means that
        the link is down, and the request waits on. `None` says that this request can't go now, and
        others may: it is passed over.
    at_once
        Requests under way together. With 1 they are answered in the order in which they came;
        with more, they leave in that order.

    Raises
    ------
    StorageError
        When an answer can't be recorded; it is kept in memory, as `OfflineQueue.settle` says.
    """
    answered = ended = held = 0
    goes_on = False
    try:
        while True:
            goes_on = held >= MOST_HELD
            claimed = [] if goes_on else await to_end(lambda: queue.claim(at_once))
            if not claimed:
                return Drained(answered=answered, ended=ended, held=held)
            ends: list[LateAnswer] = []
            failures: list[tuple[LateRequest, EdgewiseError]] = []
            try:
                async with asyncio.TaskGroup() as group:
                    for one in claimed:
                        group.create_task(_send(send, one, ends, failures))
            except BaseExceptionGroup as defects:
                raise defects.exceptions[0] from None
            finally:
                settled = list(ends)
                await to_end(lambda: queue.settle(settled))  # noqa: B023 - awaited here
            answered += sum(one.outcome is LateOutcome.ANSWERED for one in ends)
            ended += sum(one.outcome is not LateOutcome.ANSWERED for one in ends)
            held += len(claimed) - len(ends) - len(failures)
            if failures:
                gave_up = await to_end(lambda: _count_tries(queue, failures))  # noqa: B023
                return _stopped(answered, ended + gave_up, failures)
    finally:
        if not goes_on:
            queue.release()


async def _send(
    send: Send,
    one: LateRequest,
    ends: list[LateAnswer],
    failures: list[tuple[LateRequest, EdgewiseError]],
) -> None:
    name = one.request_id
    try:
        body = await send(one)
    except EdgewiseError as failure:
        if _blames_request(failure):
            error = type(failure).__name__
            end = LateAnswer(request_id=name, outcome=LateOutcome.REJECTED, error=error)
            ends.append(end)
        else:
            failures.append((one, failure))
    else:
        if body is not None:
            ends.append(LateAnswer(request_id=name, outcome=LateOutcome.ANSWERED, body=body))


def _blames_request(failure: EdgewiseError) -> bool:
    if isinstance(failure, RemoteError):
        return failure.blames_request
    return isinstance(failure, InvalidData | PrivacyViolation)


def _count_tries(queue: OfflineQueue, failures: list[tuple[LateRequest, EdgewiseError]]) -> int:
    """Note the tries that the tier itself failed on, and give how many were the last."""
    return sum(
        queue.fail(one.request_id, type(failure).__name__) is not None
        for one, failure in failures
        if isinstance(failure, RemoteError) and (failure.status or 0) >= 500
    )


def _stopped(
    answered: int, ended: int, failures: list[tuple[LateRequest, EdgewiseError]]
) -> Drained:
    _, first = failures[0]
    told_s = [
        one.retry_after_s
        for _, one in failures
        if isinstance(one, RemoteError) and one.retry_after_s is not None
    ]
    return Drained(
        answered=answered,
        ended=ended,
        stopped=type(first).__name__,
        retry_after_s=max(told_s, default=None),
    )


async def to_end(work: Callable[[], T]) -> T:
    """Do blocking work in a thread, and see it end even when cancelled."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
