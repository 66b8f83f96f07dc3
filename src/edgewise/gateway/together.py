"""What the processes on one port know together: each tells, and adds up what the others told."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from edgewise.gateway.boards import Boards

_EVERY_S = 1.0
_PATIENCE_S = 0.25
"""Who does not answer within it, because it is busy or gone, counts with what it told last."""
_LOOK_S = 0.001


class Shared(Protocol):
    """What a process counts and others add up. Used from its event loop."""

    def state(self) -> Any:
        """Give what was counted, as JSON has it."""

    def take(self, state: Any) -> None:
        """Add what another process counted."""


class Together:
    """One process among those on the port. Made by `serve`, opened and closed in its event loop.

    Parameters
    ----------
    place
        Which of the processes it is: one that takes the place of another that died goes on where
        that one stopped.
    shared
        What it tells, by name.
    """

    def __init__(self, boards: Boards, place: int, shared: Mapping[str, Shared]) -> None:
        self._boards, self._place, self._shared = boards, place, shared
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Take over what was told from this place, and tell from now on."""
        for name, state in _read(self._boards.read(self._place)).items():
            self._shared[name].take(state)
        self._tell()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._boards.bell(self._place), self._asked)
        self._task = loop.create_task(self._turn())

    def close(self) -> None:
        """Tell a last time."""
        assert self._task is not None
        self._task.cancel()
        asyncio.get_running_loop().remove_reader(self._boards.bell(self._place))
        self._tell()

    async def others(self) -> list[dict[str, Any]]:
        """Give what each of the others tells at this moment, by name."""
        boards = self._boards
        waiting = {
            place: boards.turn(place) for place in range(len(boards)) if place != self._place
        }
        places = tuple(waiting)
        for place in places:
            boards.ring(place)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _PATIENCE_S
        while waiting and loop.time() < end_s:
            await asyncio.sleep(_LOOK_S)
            waiting = {at: turn for at, turn in waiting.items() if boards.turn(at) == turn}
        return [told for told in map(_read, map(boards.read, places)) if told]

    def _tell(self) -> None:
        told = {name: one.state() for name, one in self._shared.items()}
        self._boards.write(self._place, msgspec.json.encode(told))

    def _asked(self) -> None:
        self._boards.heard(self._place)
        self._tell()

    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            self._tell()


def _read(told: bytes) -> dict[str, Any]:
    return msgspec.json.decode(told, type=dict[str, Any]) if told else {}
