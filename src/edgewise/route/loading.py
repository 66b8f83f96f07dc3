"""A bundle that is still being fetched or loaded: others stand in until it is there."""

import threading
from collections.abc import Callable

from edgewise.errors import EdgewiseError, TierUnavailable
from edgewise.records import Input, Prediction
from edgewise.route.tiers import LocalTier


class LoadingTier:
    """Opens a bundle in the background, and is that bundle's tier once it is open.

    A bundle appears in one step (it is renamed into place), so what can be opened is whole. One
    that is not there yet is looked for again; `failure` holds what went wrong last, for health
    checks and logs.
    """

    remote = False

    def __init__(self, open_tier: Callable[[], LocalTier], *, look_every_s: float = 0.5) -> None:
        self.ready = False
        self.failure: EdgewiseError | None = None
        self._open = open_tier
        self._look_every_s = look_every_s
        self._tier: LocalTier | None = None
        self._stop = threading.Event()
        self._loaded = threading.Event()
        self._thread = threading.Thread(target=self._load, name="edgewise-loading", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the bundle is open; say whether it is."""
        return self._loaded.wait(timeout_s)

    def length(self, one: Input) -> int | None:
        """Count an input's tokens or pixels, where the bundle is open."""
        return None if self._tier is None else self._tier.length(one)

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        """Answer one input, where the bundle is open."""
        if self._tier is None:
            what = "the bundle is not loaded yet"
            raise TierUnavailable(what, where="edge", hint="wait, or let another tier answer")
        return await self._tier.ask(one, timeout_ms, request_id=request_id)

    async def probe(self, timeout_ms: float) -> None:
        """Do nothing: loading goes on by itself."""

    async def aclose(self) -> None:
        """Stop looking, and free the bundle."""
        self._stop.set()
        self._thread.join()
        if self._tier is not None:
            await self._tier.aclose()

    def _load(self) -> None:
        while not self._stop.is_set():
            try:
                self._tier = self._open()
            except EdgewiseError as failure:
                self.failure = failure
                self._stop.wait(self._look_every_s)
            else:
                self.failure = None
                self.ready = True
                self._loaded.set()
                return
