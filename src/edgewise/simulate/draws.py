"""Chance by name: one seed gives each purpose a stream of its own.

Two policies then meet the same answers and the same network, and a stream that is not needed does
not move the others.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Draws:
    """Random numbers by purpose. Made by a simulation."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, np.random.Generator] = {}

    def stream(self, purpose: str) -> np.random.Generator:
        """Give a purpose's generator."""
        found = self._streams.get(purpose)
        if found is None:
            key = (zlib.crc32(purpose.encode()),)
            found = np.random.Generator(
                np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=key))
            )
            self._streams[purpose] = found
        return found

    def uniform(self, purpose: str, n: int) -> Floats:
        """Give numbers from 0 up to 1."""
        return self.stream(purpose).random(n)

    def normal(self, purpose: str, n: int) -> Floats:
        """Give standard normal numbers."""
        return self.stream(purpose).standard_normal(n)
