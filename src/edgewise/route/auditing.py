"""Hands answered requests to an auditor, and asks the farthest tier in the background.

A background call is a request of its own, forced to that tier: the decision gives it the privacy
set of the one that it audits, and circuit, bulkhead and budget hold for it. It is not retried or
raced, nobody waits for it, and it ends with the engine.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from edgewise.errors import EdgewiseError
from edgewise.records import (
    Action,
    Answered,
    AuditCase,
    AuditState,
    Policy,
    Reason,
    SystemState,
)
from edgewise.route.breaker import CircuitState
from edgewise.route.carrying import Carrier
from edgewise.route.clock import Clock
from edgewise.route.running import Run
from edgewise.route.serving import Serving

UNKNOWN = "(another)"
"""In place of an answer that is none of the policy's labels: it may hold payload."""
Leave = Callable[[Serving], None]


class Auditor(Protocol):
    """Chooses what is audited and judges it. Called on the engine's event loop; returns at once.

    `begin` may read a file, and is called before anything else and with each other policy.
    """

    @property
    def state(self) -> AuditState:
        """Give what is known at this moment."""

    @property
    def void(self) -> bool:
        """Say whether the certificate has been refuted."""

    @property
    def threshold(self) -> float | None:
        """Give what is kept from while it is void; `None` keeps nothing."""

    def begin(self, policy: Policy) -> None:
        """Audit by a policy from now on."""

    def consider(self, one: Answered, now_s: float) -> AuditCase | None:
        """Count an answered request; gives the case where the farthest tier is to be asked."""

    def record(self, case: AuditCase, far_label: str | None, now_s: float) -> AuditState:
        """Take what the farthest tier answered; `None` where it did not."""


class Auditing:
    """The engine's door to its auditor. Made and closed by the engine, on its event loop.

    Parameters
    ----------
    leave
        Called when a background call under a policy has ended.
    """

    def __init__(self, auditor: Auditor, carrier: Carrier, clock: Clock, leave: Leave) -> None:
        self._auditor = auditor
        self._leave = leave
        self._carrier = carrier
        self._clock = clock
        self._serving: Serving | None = None
        self._edge = self._far = ""
        self._far_rank = 0
        self._labels: frozenset[str] = frozenset()
        self._ranks: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> AuditState:
        """Give what the auditor knows at this moment."""
        return self._auditor.state

    def begin(self, serving: Serving) -> None:
        """Audit the requests of a policy from now on."""
        self._auditor.begin(serving.policy)
        tiers = serving.policy.tiers
        self._ranks = serving.policy.lineup.ranks
        self._edge, self._far = tiers[0].name, tiers[-1].name
        self._far_rank = self._ranks[self._far]
        self._labels = frozenset(serving.policy.labels)
        # Without labels an answer is text of its own, which no file of samples may hold.
        audited = len(tiers) > 1 and self._labels and serving.policy.audit is not None
        self._serving = serving if audited else None
        self._tell_void(serving)

    def system(self, calm: SystemState) -> SystemState:
        """Give what holds for all tiers, with what the audit found; the same where it is so."""
        void, threshold = self._auditor.void, self._auditor.threshold
        if calm.certificate_void is void and calm.threshold == threshold:
            return calm
        return replace(calm, certificate_void=void, threshold=threshold)

    def note(self, run: Run) -> None:
        """Hand over a request that has been answered, where it is one that the promise is about.

        It is about requests that may leave and that the nearest tier answered, whose answer was
        then kept for its confidence or deferred for the lack of it; what a failure decided is not.
        """
        serving = run.serving
        if serving is not self._serving:
            return
        step = run.steps[-1]
        edge = run.answers.get(self._edge)
        aside = edge is None or step.tier is None or run.facts.force_location is not None
        if aside or edge is None or self._far not in step.allowed:
            return
        kept = step.tier == self._edge
        if kept and Reason.CONFIDENT not in step.reasons:
            return
        monitor = serving.monitors[self._far]
        if monitor.circuit(self._clock.now_s()) is not CircuitState.CLOSED:
            return
        far_label = None
        if not kept and self._ranks[step.tier or ""] == self._far_rank:
            far_label = self._known(run.answers[step.tier or ""].label)
        confidence = next(one.confidence for one in run.attempts if one.tier == self._edge)
        answered = Answered(
            request_id=run.facts.request_id,
            kept=kept,
            confidence=confidence or 0.0,
            edge_label=self._known(edge.label),
            far_label=far_label,
            usd_per_request=serving.by_name[self._far].usd_per_request,
        )
        case = self._auditor.consider(answered, self._clock.utc_s())
        if case is not None:
            serving.in_flight += 1
            task = asyncio.get_running_loop().create_task(self._ask(run, case))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Cancel what is under way; it counts as not answered."""
        loop = asyncio.get_running_loop()
        own = [one for one in self._tasks if one.get_loop() is loop]
        for one in own:
            one.cancel()
        await asyncio.gather(*own, return_exceptions=True)

    async def _ask(self, run: Run, case: AuditCase) -> None:
        """Ask the farthest tier what it would have answered."""
        serving, rules = run.serving, run.serving.policy.audit
        facts = replace(
            run.facts,
            request_id=f"{run.facts.request_id}-audit",
            force_location=self._far,
            deadline_ms=None if rules is None else rules.timeout_ms,
            allow_late=False,
            idempotent=False,
        )
        asked = Run(serving, facts, run.one, self._clock.now_s())
        label = None
        try:
            await self._carrier.carry(asked)
            step = asked.steps[-1]
            if step.action is Action.ANSWER and step.tier is not None:
                label = self._known(asked.answers[step.tier].label)
        except EdgewiseError:
            label = None  # it counts as not answered; the tier's monitor has been told
        finally:
            self._auditor.record(case, label, self._clock.utc_s())
            self._tell_void(serving)
            self._leave(serving)

    def _known(self, label: str) -> str:
        return label if label in self._labels else UNKNOWN

    def _tell_void(self, serving: Serving) -> None:
        """Let results and the decision log say what the certificate has become."""
        if self._auditor.void and serving is self._serving and serving.certificate is not None:
            serving.certificate = {**serving.certificate, "state": "void"}
