"""Events in order of time; those of one moment in the order of their requests."""

from collections.abc import Callable
from heapq import heappop, heappush

Happening = Callable[[float], None]


class Clockwork:
    """A heap of what is to happen. Made by a simulation; its time is the trace's."""

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, Happening]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, moment_s: float, number: int, happening: Happening) -> None:
        """Let something happen at a moment, for the request of a number."""
        self._order += 1
        heappush(self._heap, (moment_s, number, self._order, happening))

    def run_before(self, moment_s: float, number: int) -> None:
        """Let everything happen that comes before a request."""
        heap, before = self._heap, (moment_s, number)
        # What is longer and begins alike is greater: a request goes before what it has to do then.
        while heap and heap[0] < before:
            now_s, _, _, happening = heappop(heap)
            happening(now_s)

    def run_out(self) -> None:
        """Let everything happen that is left."""
        while self._heap:
            now_s, _, _, happening = heappop(self._heap)
            happening(now_s)
