"""Memory that processes share: read whole, left whole by who is killed, and kept for the next."""

import os
import select
import signal
from collections.abc import Callable, Iterator

import pytest

from edgewise.gateway.boards import Boards


@pytest.fixture
def boards() -> Iterator[Boards]:
    made = Boards(2)
    yield made
    made.close()


def forked(work: Callable[[], object]) -> int:
    """Do something in a process of its own; gives its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def test_what_was_written_last_is_read(boards: Boards) -> None:
    assert boards.read(0) == b""

    for told in (b"one", b"another", b""):
        assert boards.write(0, told)
        assert boards.read(0) == told
    assert boards.turn(0) == 3
    assert boards.read(1) == b""


def test_what_a_process_wrote_is_read_by_another_and_outlasts_it(boards: Boards) -> None:
    os.waitpid(forked(lambda: boards.write(1, b"of the child")), 0)

    assert boards.read(1) == b"of the child"
    assert boards.turn(1) == 1


def test_a_reader_never_sees_half_of_it(boards: Boards) -> None:
    def write() -> None:
        for number in range(1_000_000):
            boards.write(0, bytes([number % 256]) * 50_000)

    writer = forked(write)
    seen: set[bytes] = set()
    while len(seen) < 20:
        told = boards.read(0)
        assert told in (b"", told[:1] * 50_000)
        seen.add(told)
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)

    assert len(set(boards.read(0))) == 1


def test_who_is_killed_as_it_writes_leaves_what_was_there(boards: Boards) -> None:
    boards.write(0, b"whole")
    boards.write(0, b"whole too")
    half = boards._boards[0]
    half[8 + (1 << 20) : 8 + (1 << 20) + 12] = b"\xff" * 12  # the half that is next

    assert boards.read(0) == b"whole too"
    assert boards.write(0, b"of its successor")
    assert boards.read(0) == b"of its successor"


def test_a_board_that_is_broken_is_read_as_empty(boards: Boards) -> None:
    boards.write(0, b"whole")
    half = boards._boards[0]
    half[8 + (1 << 20) + 8] ^= 1

    assert boards.read(0) == b""


def test_what_is_too_long_leaves_what_was_there(boards: Boards) -> None:
    boards.write(0, b"short")

    assert not boards.write(0, b"x" * (1 << 20))
    assert boards.read(0) == b"short"


def test_a_bell_rings_once_however_often_it_is_rung_and_never_blocks(boards: Boards) -> None:
    for _ in range(200_000):
        boards.ring(1)

    assert select.select([boards.bell(1)], [], [], 0)[0]
    while select.select([boards.bell(1)], [], [], 0)[0]:
        boards.heard(1)
    boards.heard(1)
    assert not select.select([boards.bell(0)], [], [], 0)[0]
