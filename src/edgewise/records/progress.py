"""How long work tells what it has done."""

from typing import Protocol


class Progress(Protocol):
    """Called often, from any thread; must return at once. `total` may grow."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Say that `done` of `total` parts of a stage are finished."""


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""
