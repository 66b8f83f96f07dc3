"""Time, handed in: what acts takes a clock, so that tests need no waiting."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Tells time and passes it. Any thread may use it."""

    def now_s(self) -> float:
        """Give seconds since some moment; never falls."""

    def utc_s(self) -> float:
        """Give seconds since 1970, UTC."""

    def wait(self, duration_s: float) -> None:
        """Return after this long."""

    async def await_(self, duration_s: float) -> None:
        """Return after this long and let others run."""


class SystemClock:
    """The machine's clock."""

    def now_s(self) -> float:
        """Give seconds since some moment; never falls."""
        return time.perf_counter()

    def utc_s(self) -> float:
        """Give seconds since 1970, UTC."""
        return time.time()  # noqa: TID251 - this is the clock that others are handed

    def wait(self, duration_s: float) -> None:
        """Return after this long."""
        time.sleep(duration_s)

    async def await_(self, duration_s: float) -> None:
        """Return after this long and let others run."""
        await asyncio.sleep(duration_s)
