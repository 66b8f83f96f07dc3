"""Many inputs, several at a time, answered in their order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from edgewise.errors import UsageError
from edgewise.records import Input

T = TypeVar("T")


async def in_order(
    answer: Callable[[Input], Awaitable[T]], inputs: Sequence[Input], concurrency: int
) -> list[T]:
    """Give the answers in the order of their inputs; the first failure ends the rest, is raised.

    Raises
    ------
    UsageError
        When none may be under way at once.
    """
    if concurrency < 1:
        raise UsageError(f"not above 0: {concurrency}", where="concurrency", hint="give 8")
    found: dict[int, T] = {}
    waiting = iter(range(len(inputs)))

    async def work() -> None:
        for index in waiting:
            found[index] = await answer(inputs[index])

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(inputs))):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [found[index] for index in range(len(inputs))]
