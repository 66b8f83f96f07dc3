"""Answers stored requests by the engine's tiers; each leaves one decision, answered or not."""

from collections.abc import Callable, Mapping
from typing import Any

from edgewise.records import RequestFacts
from edgewise.route.carrying import Carrier
from edgewise.route.clock import Clock
from edgewise.route.late import LateAnswer
from edgewise.route.result import InferenceResult
from edgewise.route.running import Run
from edgewise.route.serving import Serving
from edgewise.route.storing import Stored, aim, is_answered
from edgewise.route.telling import result_of


class LateAnswering:
    """Answers what was stored. Made by the engine, asked by its store on the event loop.

    Parameters
    ----------
    serving
        Gives what is in service.
    leave
        Called when a request under a policy has ended.
    end
        Logs the decision of a request; raises where the log does not take it.
    """

    def __init__(
        self,
        carrier: Carrier,
        clock: Clock,
        serving: Callable[[], Serving],
        leave: Callable[[Serving], None],
        end: Callable[[Run], None],
    ) -> None:
        self._carrier = carrier
        self._clock = clock
        self._serving = serving
        self._leave = leave
        self._end = end
        self._unlogged: dict[str, tuple[Run, InferenceResult]] = {}
        """Answers that were paid for, and that the log did not take."""

    async def answer(self, stored: Stored) -> Mapping[str, Any] | None:
        """Answer a stored request by the first of its tiers that can; logs its one decision.

        Gives `None` where it can't go now for a reason of its own: see `is_answered`.
        Where the log does not take the decision the request waits on, and its answer with it: no
        tier is asked and paid again.
        """
        name = stored.facts.request_id
        known = self._unlogged.get(name)
        if known is None:
            known = await self._carried(stored)
        if known is None:
            return None
        self._unlogged[name] = known
        self._end(known[0])
        del self._unlogged[name]
        return known[1]

    def log_unanswered(self, end: LateAnswer) -> None:
        """Log a stored request that ended without an answer: of its facts only the id is left."""
        self._unlogged.pop(end.request_id, None)
        facts = RequestFacts(
            request_id=end.request_id, input_length=0, input_bytes=0, caller=end.caller
        )
        run = Run(self._serving(), facts, {}, self._clock.now_s())
        run.error = end.outcome.value
        run.late = True
        self._end(run)

    async def _carried(self, stored: Stored) -> tuple[Run, InferenceResult] | None:
        serving = self._serving()
        run = Run(serving, stored.facts, stored.one, self._clock.now_s())
        run.late = True
        aim(run, stored.tiers)
        serving.in_flight += 1
        try:
            await self._carrier.carry(run)
            now_s = self._clock.now_s()
            return (run, result_of(run, now_s)) if is_answered(run, stored.tiers, now_s) else None
        finally:
            self._leave(serving)
