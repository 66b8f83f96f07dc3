"""Memory that the processes on one port share: a board for each, which it alone writes.

A board has two halves, and a number that says which of them holds: a writer fills the other one and
then turns the number on, so that a process that is killed as it writes leaves what was there. The
memory is the parent's: what a worker wrote outlasts it, and is there for the one in its place.
"""

import contextlib
import mmap
import os
import struct
import zlib

_HALF_BYTES = 1 << 20
"""Far more than is written; what nobody touches costs nothing."""
_HEAD = struct.Struct("=II")
_TURN = struct.Struct("=Q")
_TRIES = 50


class Boards:
    """A board and a bell for each worker. Made by `serve` before it forks."""

    def __init__(self, count: int) -> None:
        self._boards = [mmap.mmap(-1, _TURN.size + 2 * _HALF_BYTES) for _ in range(count)]
        self._bells = [os.pipe() for _ in range(count)]
        for ends in self._bells:
            for end in ends:
                os.set_blocking(end, False)

    def __len__(self) -> int:
        return len(self._boards)

    def write(self, place: int, told: bytes) -> bool:
        """Put this on a board, or say that it is too long."""
        if len(told) > _HALF_BYTES - _HEAD.size:
            return False
        board, turn = self._boards[place], self.turn(place) + 1
        start = _half(turn)
        board[start + _HEAD.size : start + _HEAD.size + len(told)] = told
        _HEAD.pack_into(board, start, len(told), zlib.crc32(told))
        _TURN.pack_into(board, 0, turn)
        return True

    def read(self, place: int) -> bytes:
        """Give what is on a board; nothing where nothing was written."""
        board = self._boards[place]
        for _ in range(_TRIES):
            turn = self.turn(place)
            if turn == 0:
                break
            start = _half(turn)
            length, checksum = _HEAD.unpack_from(board, start)
            told = board[start + _HEAD.size : start + _HEAD.size + min(length, _HALF_BYTES)]
            # A writer that was faster has gone on to this half meanwhile.
            if zlib.crc32(told) == checksum and self.turn(place) == turn:
                return told
        return b""

    def turn(self, place: int) -> int:
        """Give how often a board was written."""
        found: int = _TURN.unpack_from(self._boards[place], 0)[0]
        return found

    def ring(self, place: int) -> None:
        """Ask a worker to write its board."""
        with contextlib.suppress(BlockingIOError):  # it has been asked often enough
            os.write(self._bells[place][1], b".")

    def bell(self, place: int) -> int:
        """Give the file descriptor that can be read when a worker was asked."""
        return self._bells[place][0]

    def heard(self, place: int) -> None:
        """Forget how often it was asked."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._bells[place][0], 65536)

    def close(self) -> None:
        """Give all of it back."""
        for ends in self._bells:
            for end in ends:
                os.close(end)
        for board in self._boards:
            board.close()


def _half(turn: int) -> int:
    return _TURN.size + (turn % 2) * _HALF_BYTES
