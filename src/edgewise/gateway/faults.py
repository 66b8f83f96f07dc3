"""Delays and failures on purpose, for demos."""

import asyncio
import math

import numpy as np

from edgewise.gateway.refusing import Refusal

_Z95 = 1.6448536269514722


class Faults:
    """A lognormal delay and a share of failures. Made by `serve`, awaited before each request."""

    def __init__(
        self, delay_ms: tuple[float, float] | None, fail_rate: float, rng: np.random.Generator
    ) -> None:
        self._delay_ms, self._fail_rate, self._rng = delay_ms, fail_rate, rng

    async def __call__(self) -> None:
        """Wait as drawn.

        Raises
        ------
        Refusal
            For the share of requests that is to fail.
        """
        if self._delay_ms is not None:
            mu, sigma = lognormal(*self._delay_ms)
            await asyncio.sleep(float(self._rng.lognormal(mu, sigma)) / 1000)
        if float(self._rng.random()) < self._fail_rate:
            raise Refusal(503, "unavailable")


def lognormal(p50: float, p95: float) -> tuple[float, float]:
    """Give mu and sigma of the lognormal distribution with these quantiles."""
    return math.log(p50), math.log(p95 / p50) / _Z95
