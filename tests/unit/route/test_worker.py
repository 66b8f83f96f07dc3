"""The thread that runs a local model."""

import asyncio
import gc
import subprocess
import sys
import threading

import pytest

from edgewise.errors import UsageError
from edgewise.route.worker import Worker


async def test_calls_are_run_in_turn_by_one_other_thread() -> None:
    worker = Worker("tier edge")
    order: list[int] = []

    def note(n: int) -> int:
        order.append(n)
        return threading.get_ident()

    threads = await asyncio.gather(*(worker.run(note, n) for n in range(20)))
    worker.close()

    assert order == list(range(20))
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


async def test_what_a_call_raises_is_its_callers() -> None:
    worker = Worker("tier edge")

    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda n: 1 / n, 0)
    after = await worker.run(lambda n: 1 / n, 2)
    worker.close()

    assert after == 0.5


async def test_what_was_given_up_before_it_began_is_not_run() -> None:
    worker = Worker("tier edge")
    opened = threading.Event()
    ran: list[str] = []
    first = worker.run(lambda _: opened.wait(30), None)
    second = worker.run(ran.append, "second")
    third = worker.run(ran.append, "third")

    second.cancel()
    first.cancel()
    opened.set()
    await third
    worker.close()

    assert ran == ["third"]


async def test_closing_waits_for_what_was_asked_before() -> None:
    worker = Worker("tier edge")
    ran: list[int] = []
    waiting = [worker.run(ran.append, n) for n in range(5)]

    await asyncio.to_thread(worker.close)
    await asyncio.gather(*waiting)
    worker.close()

    assert ran == list(range(5))


async def test_a_closed_worker_refuses() -> None:
    worker = Worker("tier edge")
    worker.close()

    with pytest.raises(UsageError) as caught:
        worker.run(len, "")

    assert caught.value.what == "the tier is closed"
    assert caught.value.where == "tier edge"
    assert caught.value.hint == "ask before the engine is closed"


def test_a_loop_that_has_closed_does_not_end_the_thread() -> None:
    worker = Worker("tier edge")
    opened = threading.Event()

    async def leave() -> None:
        worker.run(lambda _: opened.wait(30), None)

    async def ask() -> int:
        return await worker.run(len, "four")

    asyncio.run(leave())
    opened.set()
    found = asyncio.run(ask())
    worker.close()

    assert found == 4


def test_a_worker_that_nobody_closed_ends_when_it_is_dropped() -> None:
    async def ask(worker: Worker) -> threading.Thread:
        return await worker.run(lambda _: threading.current_thread(), None)

    thread = asyncio.run(ask(Worker("tier edge")))
    gc.collect()
    thread.join(30)

    assert not thread.is_alive()


def test_a_program_that_closed_nothing_ends_after_the_call_that_runs() -> None:
    program = (
        "import asyncio, time\n"
        "from edgewise.route.worker import Worker\n"
        "worker = Worker('tier edge')\n"
        "def work(begun):\n"
        "    begun.set()\n"
        "    time.sleep(0.2)\n"
        "    print('whole', flush=True)\n"
        "async def leave():\n"
        "    import threading\n"
        "    begun = threading.Event()\n"
        "    worker.run(work, begun)\n"
        "    await asyncio.to_thread(begun.wait)\n"
        "asyncio.run(leave())\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert ended.stdout == "whole\n"
