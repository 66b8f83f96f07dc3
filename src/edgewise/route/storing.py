"""Requests that wait for the network: what the engine stores, sends later, and gives back.

A stored request holds its input and its facts, and so its privacy set. When a remote tier of that
set is there again it goes through the same decision, forced to that tier: budget, redaction and
circuits hold for it as for any other.
"""

import asyncio
import contextlib
import contextvars
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgewise.errors import (
    EdgewiseError,
    InvalidData,
    InvalidRecord,
    TierUnavailable,
    UsageError,
)
from edgewise.records import (
    Action,
    Input,
    OfflineRules,
    Policy,
    Reason,
    RequestFacts,
    TierKind,
    decode,
    encode,
)
from edgewise.route.breaker import CircuitState
from edgewise.route.calling import affordable
from edgewise.route.candidates import first_able
from edgewise.route.clock import Clock
from edgewise.route.decide import late_tiers
from edgewise.route.draining import drain, to_end
from edgewise.route.giving_up import gave_up
from edgewise.route.late import (
    AT_ONCE,
    HELD_REST_S,
    LOOK_EVERY_S,
    Admission,
    LateAnswer,
    LateOutcome,
    LateRequest,
)
from edgewise.route.offline import OfflineQueue
from edgewise.route.running import Run
from edgewise.route.secrets import read_secret
from edgewise.route.serving import Serving

QUEUED = "queued"
"""The location of a request that waits."""
_LONGEST_REST_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A request as it lay in the queue, and the tiers that may answer it, the best first."""

    facts: RequestFacts
    one: Input
    tiers: tuple[str, ...]


Answer = Callable[[Stored], Awaitable[Mapping[str, Any] | None]]
"""Answers a stored request now: gives what JSON can hold, `None` where its caller has no money, or
raises."""


def aim(run: Run, tiers: Sequence[str]) -> None:
    """Force a stored request to the first of its tiers that can be asked now."""
    serving = run.serving
    states = affordable(run, serving.states(run.start_s))
    able = first_able([serving.by_name[name] for name in tiers], states, run.facts.input_bytes)
    run.facts = replace(run.facts, force_location=able or tiers[0])


def is_answered(run: Run, tiers: Sequence[str], now_s: float) -> bool:
    """Say whether a stored request was answered; `False` where it can't go now, and others may.

    So it is where its caller's money is spent, or its tiers are out and another one is there.

    Raises
    ------
    EdgewiseError
        What else stood in the way.
    """
    if run.steps[-1].action is Action.ANSWER:
        return True
    reasons = run.reasons()
    if not run.attempts:
        out = Reason.TOO_LARGE not in reasons and _is_another_there(run.serving, tiers, now_s)
        if out or Reason.BUDGET_SPENT in reasons:
            return False
    raise run.failure or gave_up(run, reasons)


def _is_another_there(serving: Serving, tiers: Sequence[str], now_s: float) -> bool:
    """Say whether a tier beyond the device can be asked that is none of these."""
    return any(
        tier.remote and tier.ready and name not in tiers and serving.monitors[name].takes(now_s)
        for name, tier in serving.tiers.items()
    )


class Store:
    """The engine's door to the offline queue. Made and closed by the engine, on its event loop.

    Parameters
    ----------
    answer
        Called for each stored request while a remote tier is there.
    ended
        Told once of each request that ended without an answer.
    """

    def __init__(
        self,
        rules: OfflineRules,
        serving: Serving,
        clock: Clock,
        answer: Answer,
        ended: Callable[[LateAnswer], None],
    ) -> None:
        self._serving = serving
        self._clock = clock
        self._answer = answer
        self._ended = ended
        self._queue = OfflineQueue(
            rules,
            remote=_remote(serving.policy),
            secret=None if rules.key is None else read_secret(rules.key),
            clock=clock,
        )
        self._waiting = self._queue.state().waiting
        self._stored = 0
        """Requests that this process has stored."""
        self._untold = bool(self._queue.unanswered())
        """Whether a process before this one ended requests and did not come to tell of them."""
        self._told = 0
        """The place of the last end that was told by this process."""
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def watch(self, serving: Serving) -> None:
        """Send what waits from now on, by this policy; on the running event loop."""
        loop = asyncio.get_running_loop()
        if serving is not self._serving:
            self._serving = serving
            self._queue.send_only_to(_remote(serving.policy))
        if self._task is not None and self._loop is loop and not self._task.done():
            return
        if self._waiting or self._untold:
            # Outside of the request that is under way now: its trace is not that of what is sent.
            task = loop.create_task(self._send(), context=contextvars.Context())
            self._loop, self._task = loop, task

    async def keep(self, run: Run) -> None:
        """Store a request that no tier can answer now, and set its location.

        Raises
        ------
        InvalidData
            When the input is not what JSON can hold.
        TierUnavailable
            When the queue has no room for it.
        """
        storing = asyncio.ensure_future(self.put(run.facts, run.one, _tiers_of(run)))
        try:
            said = await asyncio.shield(storing)
        except asyncio.CancelledError:
            # A caller that goes away now leaves it stored: it is logged when it has ended.
            await asyncio.wait([storing])
            if storing.exception() is None and storing.result().accepted:
                run.location = QUEUED
            raise
        if not said.accepted:
            what = f"no tier can answer now, and the request can't wait: {said.value}"
            hint = "try again later, or make the queue larger"
            if said is Admission.NO_STORAGE:
                hint = "try again later, or free space on the queue's disk"
            raise TierUnavailable(what, where=f"request {run.facts.request_id}", hint=hint)
        run.location = QUEUED

    async def put(self, facts: RequestFacts, one: Input, allowed: tuple[str, ...]) -> Admission:
        """Store a request; it is on the disk when this returns.

        Raises
        ------
        InvalidData
            When the input is not what JSON can hold.
        """
        try:
            payload = json.dumps({"input": dict(one), "facts": encode(facts)}).encode()
        except (TypeError, ValueError) as unfit:
            what = f"the input can't wait: {type(unfit).__name__}"
            hint = "give text, numbers, lists and mappings, or leave allow_late out"
            raise InvalidData(what, where="allow_late", hint=hint) from unfit
        request = LateRequest(
            request_id=facts.request_id, payload=payload, allowed=allowed, caller=facts.caller
        )
        said = await asyncio.to_thread(self._queue.put, request)
        if said.accepted:
            self._waiting += 1
            self._stored += 1
            self.watch(self._serving)
        return said

    async def take(self, request_id: str, caller: str | None = None) -> Mapping[str, Any] | None:
        """Give the answer of a stored request, once; `None` while it waits.

        Raises
        ------
        TierUnavailable
            When it ended without an answer.
        UsageError
            When it is not there: never stored, its answer was taken, or is another caller's.
        """
        waits = await asyncio.to_thread(self._queue.waits, request_id)  # it may end meanwhile
        seen = await asyncio.to_thread(self._queue.peek_answer, request_id)
        there = seen is not None and (caller is None or seen.caller in ("", caller))
        if waits and not there:
            return None
        end = None
        if there:
            await self._tell()
            end = await asyncio.to_thread(self._queue.take_answer, request_id)
        if end is None:
            what = "no such request waits, and none has an answer"
            hint = "an answer is given once: take the id of a request that was queued"
            raise UsageError(what, where=f"request {request_id}", hint=hint)
        if end.outcome is not LateOutcome.ANSWERED:
            what = f"the stored request ended as {end.outcome.value} {end.error}".rstrip()
            hint = "send it again, or let it wait longer: offline.max_age_s"
            raise TierUnavailable(what, where=f"request {request_id}", hint=hint)
        found: dict[str, Any] = json.loads(end.body)
        return found

    def answered(self) -> list[str]:
        """Give the ids whose answers nobody has taken, the oldest answer first."""
        return self._queue.answered_ids()

    async def aclose(self) -> None:
        """Stop sending, and let the file go; what waits is sent after the next start."""
        task, self._task = self._task, None
        if task is not None and self._loop is asyncio.get_running_loop():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(self._queue.close)

    async def _send(self) -> None:
        """Look now and then whether a tier is back, and send until nothing waits."""
        rest_s = 0.0
        if self._untold:
            with contextlib.suppress(EdgewiseError):  # a full disk: tried again
                await self._tell()
                self._untold = False
        while self._waiting:
            await self._clock.await_(max(LOOK_EVERY_S, rest_s))
            rest_s = 0.0
            if not self._reachable():
                continue
            with contextlib.suppress(EdgewiseError):  # a full disk: tried again
                done = await drain(self._queue, self._send_one, at_once=AT_ONCE)
                rest_s = min(done.retry_after_s or 0.0, _LONGEST_REST_S)
                if done.held:
                    rest_s = max(rest_s, HELD_REST_S)
                await self._tell()
                before = self._stored
                left = (await asyncio.to_thread(self._queue.state)).waiting
                # What was stored meanwhile may not be in it; counted twice, it is looked once more.
                self._waiting = left + self._stored - before

    async def _tell(self) -> None:
        """Tell of the requests that ended without an answer, whether anybody asks for them or not.

        They are told before that is noted: after a crash between the two they are told again, and
        of two decisions with one id a log keeps the first.
        """
        found = await asyncio.to_thread(self._queue.unanswered)
        for place, end in found:
            if place > self._told:  # another task may have been faster
                self._ended(end)
                self._told = place
        if found:
            await to_end(lambda: self._queue.note_told(self._told))

    async def _send_one(self, late: LateRequest) -> bytes | None:
        try:
            body = json.loads(late.payload)
            facts, one = decode(RequestFacts, body["facts"]), body["input"]
        except (ValueError, KeyError, TypeError, InvalidRecord) as strange:
            what = f"the stored request can't be read: {type(strange).__name__}"
            hint = "it was stored by another version"
            raise InvalidData(what, where="offline queue", hint=hint) from strange
        order = [tier.name for tier in reversed(self._serving.policy.tiers)]
        tiers = tuple(name for name in order if name in late.allowed)
        if not tiers:  # a policy without them has come since it was claimed
            return None
        facts = replace(facts, allow_late=False, deadline_ms=None)
        found = await self._answer(Stored(facts=facts, one=one, tiers=tiers))
        return None if found is None else json.dumps(dict(found)).encode()

    def _reachable(self) -> bool:
        now_s = self._clock.now_s()
        return any(
            tier.remote and self._serving.monitors[name].circuit(now_s) is not CircuitState.OPEN
            for name, tier in self._serving.tiers.items()
        )


def _tiers_of(run: Run) -> tuple[str, ...]:
    return late_tiers(run.serving.policy, run.facts, run.steps[-1].allowed, run.attempts)


def _remote(policy: Policy) -> list[str]:
    return [tier.name for tier in policy.tiers if tier.kind is not TierKind.DEVICE]
