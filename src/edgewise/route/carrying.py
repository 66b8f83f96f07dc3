"""Carries out the steps of one request: asks tiers, waits, races the late.

A step may start a race. What was started goes on while the decision is asked again, so that a
deferral to a tier that already works on the request waits for it and does not ask twice. When the
decision has ended, what still runs is cancelled; its connection is freed.
"""

import asyncio
import random  # noqa: TID251 - only the type of the rng that is handed in
from collections.abc import Callable, Sequence

from edgewise.errors import (
    DeadlineExceeded,
    EdgewiseError,
    InvalidData,
    InvalidModel,
    TierUnavailable,
)
from edgewise.records import Action, Attempt, Hedge, Outcome, Reason, Step, SystemState
from edgewise.route.allowance import Allowance
from edgewise.route.calling import affordable, begin, confidence_of, may_try, pause, usage_of
from edgewise.route.candidates import askable, heard_of
from edgewise.route.clock import Clock
from edgewise.route.decide import decide
from edgewise.route.running import Run

# Members that most requests need: see `candidates.py`.
_ASK, _ANSWERED, _CANCELLED = Action.ASK, Outcome.ANSWERED, Outcome.CANCELLED


class Carrier:
    """Carries requests to their ends. Made by the engine, used from its event loop.

    Parameters
    ----------
    system
        Gives what holds for all tiers at a moment.
    rng
        For the jitter of waits before retries.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        hedges: Allowance,
        system: Callable[[], SystemState],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._hedges = hedges
        self._system = system

    async def carry(self, run: Run) -> None:
        """Do what `decide` says until it says to end; the last step is then in `run.steps`.

        Raises
        ------
        InvalidData
            When the only tier that looked at the input can't read it.
        """
        serving = run.serving
        self._hedges.deposit()
        try:
            while True:
                now_s = self._clock.now_s()
                elapsed_ms = (now_s - run.start_s) * 1000
                states = affordable(run, serving.states(now_s))
                attempts: Sequence[Attempt] = run.attempts
                if run.racing:
                    racing = run.working_ms(now_s)
                    states, attempts = askable(states, racing), heard_of(attempts, racing)
                step = decide(
                    serving.policy, run.facts, states, attempts, elapsed_ms, self._system()
                )
                run.steps.append(step)
                if step.action is not _ASK:
                    return
                if step.hedge is None and not run.racing:
                    await self._attempt(run, step)
                else:
                    await self._race(run, step)
                run.take_ended()
        finally:
            if run.racing:
                await _stop(run)
            run.take_ended()

    async def _race(self, run: Run, step: Step) -> None:
        """Ask a tier, and its hedge when it is late."""
        if step.tier not in run.racing.values():
            self._start(run, step)
        hedge = step.hedge
        done = await _first(run, None if hedge is None else hedge.after_ms)
        if not done and hedge is not None:
            if self._may_race(run, hedge):
                raced = _raced(step, hedge)
                run.steps.append(raced)
                self._start(run, raced)
            done = await _first(run, None)
        for task in done:
            del run.racing[task]
            task.result()

    def _may_race(self, run: Run, hedge: Hedge) -> bool:
        """Say whether a hedge may begin now, and count it: much may have changed meanwhile."""
        if hedge.tier in run.racing.values():
            return False
        takes = run.serving.monitors[hedge.tier].takes(self._clock.now_s())
        return takes and self._hedges.withdraw()

    def _start(self, run: Run, step: Step) -> None:
        run.asked_s.pop(step.tier or "", None)
        task = asyncio.create_task(self._attempt(run, step))
        run.racing[task] = step.tier or ""

    async def _attempt(self, run: Run, step: Step) -> None:
        """Ask a tier once, and tell its monitor how that ended."""
        if not may_try(run, step):
            return
        timeout_ms = step.timeout_ms
        if step.pause_ms or step.jitter_ms:
            timeout_ms = await pause(step, self._clock, self._rng)
        call = begin(run, step, self._clock)
        if call is None:
            return
        tier = call.tier
        run.asked_s[tier.name] = call.start_s
        outcome, confidence, usage = _CANCELLED, None, None
        failure: EdgewiseError | None = None
        try:
            answer = await run.serving.tiers[tier.name].ask(
                run.input_for(tier), timeout_ms, request_id=run.facts.request_id
            )
            if run.hidden is not None:
                answer = run.restored(answer, tier)
            confidence = confidence_of(tier, answer, run.facts.input_length)
            usage = usage_of(answer, run.facts)
            run.answers[tier.name] = answer
            outcome = _ANSWERED
        except DeadlineExceeded as late:
            outcome, failure = Outcome.TIMED_OUT, late
        except (TierUnavailable, InvalidModel, InvalidData) as wrong:
            outcome, failure = Outcome.FAILED, wrong
            # Another tier could read it: then it is not the caller's fault.
            if isinstance(wrong, InvalidData) and not run.answers:
                raise
        finally:
            run.ended.append(call.end(outcome, confidence=confidence, failure=failure, usage=usage))


def _raced(step: Step, hedge: Hedge) -> Step:
    """Give the step that asks the hedge, within what is left of the first one's time."""
    left_ms = None if step.timeout_ms is None else step.timeout_ms - hedge.after_ms
    return Step(
        action=Action.ASK,
        tier=hedge.tier,
        allowed=step.allowed,
        reasons=(Reason.HEDGED,),
        timeout_ms=left_ms,
    )


async def _first(run: Run, timeout_ms: float | None) -> set[asyncio.Task[None]]:
    timeout_s = None if timeout_ms is None else timeout_ms / 1000
    done, _ = await asyncio.wait(run.racing, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    return done


async def _stop(run: Run) -> None:
    """Cancel what still runs, and wait until its connection is free."""
    for task in run.racing:
        task.cancel()
    await asyncio.gather(*run.racing, return_exceptions=True)
    run.racing.clear()
