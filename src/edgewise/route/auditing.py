"""Hands answered requests to an auditor, and asks the farthest tier in the background.

A background call is a request of its own, forced to that tier: the decision gives it the privacy
set of the one that it audits, and circuit, bulkhead and budget hold for it. It is not retried or
raced, nobody waits for it, and it ends with the engine.

Requests of which something would have to be hidden first are left alone: no certificate speaks of
them, and a judge, where there is one, is given what the farthest tier may be given and no more.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from edgewise.errors import EdgewiseError, UsageError
from edgewise.records import (
    Action,
    Answered,
    AuditCase,
    AuditState,
    Outcome,
    Policy,
    Prediction,
    Reason,
    SystemState,
)
from edgewise.route.breaker import CircuitState
from edgewise.route.calling import most_usd_of
from edgewise.route.carrying import Carrier
from edgewise.route.clock import Clock
from edgewise.route.judging import CUT_OFF, Judge, Judging, Qualities
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

    def begin(self, policy: Policy, *, judged: bool = False) -> None:
        """Audit by a policy from now on; `judged` where qualities will be told."""

    def consider(self, one: Answered, now_s: float) -> AuditCase | None:
        """Count an answered request; gives the case where the farthest tier is to be asked.

        With a judge also where it has answered, and only the judge is to be asked.
        """

    def record(
        self,
        case: AuditCase,
        far_label: str | None,
        now_s: float,
        qualities: Qualities | None = None,
        fault: str = "",
    ) -> AuditState:
        """Take what the farthest tier answered, `None` where it did not, and what the judge said.

        Parameters
        ----------
        qualities
            Of the nearest and the farthest tier's answer; `None` where no judge said so.
        fault
            How the judge failed, where it did.
        """


class Auditing:
    """The engine's door to its auditor. Made and closed by the engine, on its event loop.

    Parameters
    ----------
    leave
        Called when a background call under a policy has ended.
    judge
        Says how good answers are. Where a policy has no labels, nothing else can tell.
    """

    def __init__(
        self,
        auditor: Auditor,
        carrier: Carrier,
        clock: Clock,
        leave: Leave,
        judge: Judge | None = None,
    ) -> None:
        self._auditor = auditor
        self._judging = None if judge is None else Judging(judge)
        self._leave = leave
        self._carrier = carrier
        self._clock = clock
        self._serving: Serving | None = None
        self._changing = False
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
        # What ends meanwhile is not counted, and is decided by what was known before.
        before, self._serving, self._changing = self._serving, None, True
        try:
            self._auditor.begin(serving.policy, judged=self._judging is not None)
        except BaseException:
            self._serving = before
            raise
        finally:
            self._changing = False
        tiers = serving.policy.tiers
        self._ranks = serving.policy.lineup.ranks
        self._edge, self._far = tiers[0].name, tiers[-1].name
        self._far_rank = self._ranks[self._far]
        self._labels = frozenset(serving.policy.labels)
        # Without labels an answer is text of its own, which no file of samples may hold.
        tells = bool(self._labels) or self._judging is not None
        audited = len(tiers) > 1 and tells and serving.policy.audit is not None
        self._serving = serving if audited else None
        self._tell_void(serving)

    def system(self, calm: SystemState) -> SystemState:
        """Give what holds for all tiers, with what the audit found; the same where it is so."""
        void, threshold = self._auditor.void, self._auditor.threshold
        if self._changing:
            return calm
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
        if run.facts.redacted:
            return  # certificates are of rows that hold nothing to hide
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
        confidence = next(
            one.confidence
            for one in run.attempts
            if one.tier == self._edge and one.outcome is Outcome.ANSWERED
        )
        answered = Answered(
            request_id=run.facts.request_id,
            kept=kept,
            confidence=confidence or 0.0,
            edge_label=self._known(edge.label),
            far_label=far_label,
            usd_per_request=most_usd_of(serving.by_name[self._far], run.facts),
        )
        case = self._auditor.consider(answered, self._clock.utc_s())
        if case is not None:
            serving.in_flight += 1
            task = asyncio.get_running_loop().create_task(self._look_into(run, case))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Cancel what is under way; it counts as not answered."""
        loop = asyncio.get_running_loop()
        own = [one for one in self._tasks if one.get_loop() is loop]
        for one in own:
            one.cancel()
        await asyncio.gather(*own, return_exceptions=True)
        if self._judging is not None:
            await self._judging.aclose()

    async def _look_into(self, run: Run, case: AuditCase) -> None:
        """Find out what the farthest tier answers, and how good both answers are."""
        serving, rules = run.serving, run.serving.policy.audit
        timeout_ms = None if rules is None else rules.timeout_ms
        label = case.answered.far_label
        qualities, fault = None, ""
        try:
            last = run.steps[-1].tier or ""
            far = await self._ask(run, timeout_ms) if label is None else run.answers[last]
            if far is not None:
                label = self._known(far.label)
            edge = serving.policy.tiers[0].name
            if far is not None and self._judging is not None and edge not in run.cut_off:
                fault = CUT_OFF  # unless the judge is heard to its end
                qualities, fault = await self._judging.qualities(
                    run.one, run.answers[edge], far, timeout_ms or 0.0
                )
        finally:
            self._auditor.record(case, label, self._clock.utc_s(), qualities, fault)
            self._tell_void(serving)
            self._leave(serving)

    async def _ask(self, run: Run, timeout_ms: float | None) -> Prediction | None:
        """Ask the farthest tier what it would have answered; `None` where it does not answer."""
        facts = replace(
            run.facts,
            request_id=f"{run.facts.request_id}-audit",
            force_location=run.serving.policy.tiers[-1].name,
            deadline_ms=timeout_ms,
            allow_late=False,
            idempotent=False,
        )
        asked = Run(run.serving, facts, run.one, self._clock.now_s())
        try:
            await self._carrier.carry(asked)
        except EdgewiseError:
            return None  # it counts as not answered; the tier's monitor has been told
        step = asked.steps[-1]
        if step.action is not Action.ANSWER or step.tier is None:
            return None
        return asked.answers[step.tier]

    def _known(self, label: str) -> str:
        return label if label in self._labels else UNKNOWN

    def _tell_void(self, serving: Serving) -> None:
        """Let results and the decision log say what the certificate has become."""
        if self._auditor.void and serving is self._serving and serving.certificate is not None:
            serving.certificate = {**serving.certificate, "state": "void"}


def audit_with(
    auditor: Auditor | None, judge: Judge | None, carrier: Carrier, clock: Clock, leave: Leave
) -> Auditing | None:
    """Give the door to an auditor; `None` without one.

    Raises
    ------
    UsageError
        When there is a judge and no auditor who would hear it.
    """
    if auditor is not None:
        return Auditing(auditor, carrier, clock, leave, judge)
    if judge is not None:
        hint = "give `auditor` too, such as `edgewise.observe.Auditor`"
        raise UsageError("a judge without an auditor", where="judge", hint=hint)
    return None
