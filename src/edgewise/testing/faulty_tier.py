"""A tier in virtual time that has every fault a network or a server can have."""

import asyncio
import zlib
from collections import Counter

from edgewise.errors import DeadlineExceeded, RemoteError
from edgewise.records import Input, Prediction
from edgewise.testing.far_end import label_of
from edgewise.testing.fault import CALM, FaultKind

_LONGEST_MS = 10_000.0
_SECONDS = 0.01
_WHERE = "https://faulty"
_NEVER = (FaultKind.FAR_CUT, FaultKind.BLACK_HOLE)
_STATUS = {FaultKind.TOO_MANY: 429, FaultKind.SERVER_ERROR: 500, FaultKind.UNAVAILABLE: 503}


class FaultyTier:
    """Answers in 10 ms where it is well, and keeps all that it saw.

    Parameters
    ----------
    sure
        Its confidence; a nearer tier that is not sure defers.
    """

    def __init__(self, *, remote: bool = True, sure: float = 0.99) -> None:
        self.remote = remote
        self.ready = True
        self.fault = CALM
        self.received: list[str] = []
        self.arrived: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        """Requests that it did the work of, by id."""
        self.under_way = 0
        self._sure = sure

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        """Do what the fault of the moment makes of a call."""
        limit_ms = _LONGEST_MS if timeout_ms is None else timeout_ms
        self.under_way += 1
        try:
            async with asyncio.timeout(limit_ms / 1000):
                return await self._answer(str(one["text"]), request_id)
        except TimeoutError:
            what = f"no answer within {limit_ms:.0f} ms"
            raise DeadlineExceeded(what, where=_WHERE, hint="allow more time") from None
        finally:
            self.under_way -= 1

    async def probe(self, timeout_ms: float) -> None:
        """Do the same without a request."""
        self.under_way += 1
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._pass_link("")
                await self._fail(served=False)
        except TimeoutError:
            raise DeadlineExceeded("no answer", where=_WHERE, hint="wait") from None
        finally:
            self.under_way -= 1

    async def aclose(self) -> None:
        """Do nothing: the same tier serves the next engine."""

    async def _answer(self, text: str, request_id: str) -> Prediction:
        await self._pass_link(request_id)
        self.received.append(text)
        self.arrived[request_id] += 1
        if self.fault.kind not in _STATUS and self.fault.kind is not FaultKind.HANG:
            self.served[request_id] += 1
        await self._fail(served=True)
        label, rest = label_of(text), 1.0 - self._sure
        shares = (self._sure, rest) if label == "no" else (rest, self._sure)
        return Prediction(label, self._sure, shares)

    async def _pass_link(self, request_id: str) -> None:
        kind, amount = self.fault.kind, self.fault.amount
        if kind in (FaultKind.CUT, FaultKind.RESET):
            raise RemoteError("can't be reached", where=_WHERE, hint="is it running?")
        unlucky = zlib.crc32(request_id.encode()) % 100 < 100 * amount
        if kind in _NEVER or (kind is FaultKind.LOSS and unlucky):
            await asyncio.Event().wait()
        await asyncio.sleep(amount if kind is FaultKind.DELAY else _SECONDS)

    async def _fail(self, *, served: bool) -> None:
        """Fail as the server of the moment does, if it does."""
        kind, amount = self.fault.kind, self.fault.amount
        if kind in _STATUS:
            status = _STATUS[kind]
            told_s = amount if amount else None
            what = f"answered HTTP {status}"
            raise RemoteError(what, where=_WHERE, status=status, retry_after_s=told_s)
        if kind is FaultKind.HANG:
            await asyncio.Event().wait()
        elif kind in (FaultKind.SLOW_LORIS, FaultKind.RATE):
            await asyncio.sleep(1.0)
        elif kind is FaultKind.HALF_ANSWER:
            raise RemoteError("the connection broke", where=_WHERE, maybe_served=served)
        elif kind is FaultKind.WRONG_JSON:
            raise RemoteError("no JSON", where=_WHERE, status=200, maybe_served=served)
