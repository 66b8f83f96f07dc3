"""Which tiers a request may ask, which of them can answer, and which it should not ask first.

Pure: no clock, no chance, no I/O. `decide` asks it.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from edgewise.errors import UsageError
from edgewise.records import (
    Action,
    Attempt,
    Hedge,
    OnVoid,
    Outcome,
    Policy,
    Reason,
    RequestFacts,
    Step,
    SystemState,
    TierKind,
    TierPolicy,
    TierState,
)

Left: TypeAlias = tuple[list[TierPolicy], list[TierPolicy], list[Reason]]

_STORING_MS = 20.0
"""What is kept of a deadline to store the request on the disk, should no answer come."""
_BYTES_PER_TOKEN = 4  # about: the facts know the most that tokens can be, which is the bytes
# A member that is looked up on its enumeration costs a call of Python's: what most decisions ask
# for is looked up once.
_ANSWERED, _ASK, _DEVICE = Outcome.ANSWERED, Action.ASK, TierKind.DEVICE
_ANSWER = Action.ANSWER
_NO_TIME_MS = 0.001  # less than any call takes; what rounding leaves of a deadline is no time


def expected_ms(
    tier: TierPolicy, state: TierState | None, input_length: int, input_bytes: int = 0
) -> tuple[float, float]:
    """Give the expected p50 and p95 of one answer of a tier, in milliseconds."""
    if state is None:
        p50_ms, p95_ms = tier.rtt_p50_ms, tier.rtt_p95_ms
    else:
        sending_ms = state.ms_per_byte * input_bytes
        p50_ms, p95_ms = state.rtt_p50_ms + sending_ms, state.rtt_p95_ms + sending_ms
    latency = tier.latency
    if not latency:
        return p50_ms, p95_ms
    for limit in latency:
        if input_length <= limit.up_to_length:
            break
    return p50_ms + limit.p50_ms, p95_ms + limit.p95_ms


def first_able(
    tiers: Iterable[TierPolicy], states: Mapping[str, TierState], input_bytes: int
) -> str | None:
    """Give the first tier that can be asked; else the first that may be able to after a while.

    `None` where the input is too large for all of them.
    """
    fits = [tier.name for tier in tiers if input_bytes <= tier.max_input_bytes]
    able = (name for name in fits if _out(states[name]) is None)
    return next(able, fits[0] if fits else None)


def askable(states: dict[str, TierState], racing: Mapping[str, float]) -> dict[str, TierState]:
    """Show tiers that work on a request as such that can be asked: its own call fills them.

    What they have worked on it already, they take less from here on.

    Parameters
    ----------
    racing
        For how many milliseconds each of them has been working.
    """
    for name, worked_ms in racing.items():
        state = states[name]
        states[name] = replace(
            state,
            circuit_open=False,
            rest_ms=0.0,
            busy=False,
            budget_left=True,
            rtt_p50_ms=state.rtt_p50_ms - worked_ms,
            rtt_p95_ms=state.rtt_p95_ms - worked_ms,
        )
    return states


def heard_of(attempts: Sequence[Attempt], racing: Container[str]) -> Sequence[Attempt]:
    """Give the attempts whose tier has said its last word: one that is asked again may answer."""
    return [one for one in attempts if one.tier not in racing]


class Candidates:
    """One request in the middle of its decision; lives for one call of `decide`."""

    __slots__ = (
        "_expected",
        "_left",
        "allowed",
        "attempts",
        "facts",
        "forced",
        "lineup",
        "may",
        "policy",
        "privacy",
        "ranks",
        "remaining_ms",
        "states",
        "system",
    )

    def __init__(
        self,
        policy: Policy,
        facts: RequestFacts,
        states: Mapping[str, TierState],
        attempts: Sequence[Attempt],
        elapsed_ms: float,
        system: SystemState,
    ) -> None:
        self.policy = policy
        self.facts = facts
        self.states = states
        self.attempts = attempts
        self.system = system
        self.lineup = lineup = policy.lineup
        self.ranks = lineup.ranks
        deadline_ms = policy.deadline_ms if facts.deadline_ms is None else facts.deadline_ms
        self.remaining_ms = None if deadline_ms is None else deadline_ms - elapsed_ms
        self._expected: dict[str, tuple[float, float]] = {}
        self._left: Left | None = None

    def limit(
        self, allowed: tuple[str, ...], privacy: tuple[Reason, ...], forced: str | None
    ) -> None:
        """Say which tiers may be asked. Called once, before anything else."""
        self.allowed, self.privacy, self.forced = allowed, privacy, forced
        self.may = self.policy.tiers
        if forced is not None:
            self.may = (self.lineup.by_name[forced],)
        elif len(allowed) < len(self.may):
            self.may = tuple(tier for tier in self.may if tier.name in allowed)

    @property
    def last_rank(self) -> int:
        """Give the rank of the farthest tiers."""
        return self.lineup.last_rank

    def rank(self, name: str) -> int:
        """Give a tier's rank.

        Raises
        ------
        UsageError
            When the policy has no such tier.
        """
        rank = self.ranks.get(name)
        if rank is None:
            what = f"an attempt names the unknown tier `{name}`"
            raise UsageError(what, where="attempts", hint="use the same policy")
        return rank

    def out(self, tier: TierPolicy) -> Reason | None:
        """Say why a tier can't be asked at all; `None` when it can."""
        if self.facts.input_bytes > tier.max_input_bytes:
            return Reason.TOO_LARGE
        state = self.states.get(tier.name)
        return None if state is None else _out(state)

    def expected(self, tier: TierPolicy) -> tuple[float, float]:
        """Give the expected p50 and p95 of one answer, in milliseconds."""
        found = self._expected.get(tier.name)
        if found is None:
            facts, state = self.facts, self.states.get(tier.name)
            found = expected_ms(tier, state, facts.input_length, facts.input_bytes)
            self._expected[tier.name] = found
        return found

    def out_of_time(self) -> bool:
        """Say whether the deadline has passed."""
        return self.remaining_ms is not None and self.remaining_ms <= _NO_TIME_MS

    def in_time(self, tier: TierPolicy, pause_ms: float = 0.0) -> bool:
        """Say whether a tier would answer in time, more likely than not, after a pause."""
        remaining_ms = self.remaining_ms
        return remaining_ms is None or self.expected(tier)[0] + pause_ms <= remaining_ms

    def left(self) -> Left:
        """Give tiers not tried yet that can be asked, those of them in time, and the others' why.

        Both lists run from near to far, equal tiers by their load.
        """
        if self._left is None:
            self._left = self._look()
        return self._left

    def _look(self) -> Left:
        tried = [attempt.tier for attempt in self.attempts]
        remaining_ms = self.remaining_ms
        usable: list[TierPolicy] = []
        timely: list[TierPolicy] = []
        reasons: list[Reason] = []
        grouped = 0
        for tier in self.may:
            if tier.name in tried:
                continue
            why = self.out(tier)
            if why is not None:
                reasons.append(why)
                continue
            if tier.group:
                grouped += 1
            usable.append(tier)
            if remaining_ms is None or self.expected(tier)[0] <= remaining_ms:
                timely.append(tier)
            else:
                reasons.append(Reason.DEADLINE_TOO_SHORT)
        if grouped > 1:
            usable.sort(key=self._load)
            timely = usable if len(timely) == len(usable) else sorted(timely, key=self._load)
        return usable, timely, reasons

    def unwanted(self, tier: TierPolicy, timely: Sequence[TierPolicy]) -> Reason | None:
        """Say why a tier that can be asked should not be the first; `None` when it may."""
        if tier.latency_limit_ms is not None and self.expected(tier)[1] > tier.latency_limit_ms:
            return Reason.EDGE_TOO_SLOW
        if self.ranks[tier.name] == self.last_rank:
            return None
        if self.system.certificate_void and self.policy.on_void is OnVoid.CLOUD_ONLY:
            return Reason.CERTIFICATE_VOID
        if self.policy.device and tier.kind is _DEVICE and self._device_is_against():
            return Reason.DEVICE_STATE
        if self.facts.gain is not None and self._worth_sending(tier, timely):
            return Reason.PRE_ROUTED
        return None

    def ask(self, tier: TierPolicy, *reasons: Reason, pause_ms: float = 0.0) -> Step:
        """Give the step that asks a tier; the pause is the longest, and random where retried."""
        timeout_ms = self.remaining_ms
        if timeout_ms is not None:
            if self.may_wait(-1):
                timeout_ms = max(timeout_ms - _STORING_MS, timeout_ms / 2)
            timeout_ms = self._leave_time(tier, timeout_ms)
        if self.facts.redacted and tier.kind is not _DEVICE:
            reasons = (*reasons, Reason.REDACTED)
        state = self.states.get(tier.name)
        rest_ms = 0.0 if state is None or not pause_ms else state.rest_ms
        return Step(
            action=_ASK,
            tier=tier.name,
            allowed=self.allowed,
            reasons=(*self.privacy, *reasons),
            timeout_ms=timeout_ms,
            pause_ms=rest_ms,
            jitter_ms=pause_ms - rest_ms if pause_ms else 0.0,
            hedge=None if self.policy.hedge is None else self._hedge(tier, timeout_ms),
        )

    def answer(self, tier: str, *reasons: Reason) -> Step:
        """Give the step that ends with a tier's answer."""
        return Step(
            action=_ANSWER,
            tier=tier,
            allowed=self.allowed,
            reasons=(*self.privacy, *reasons),
        )

    def give_up(self, *reasons: Reason) -> Step:
        """Give the step that ends without an answer, now or for good."""
        if self.may_wait(-1):
            return self.queue(*reasons)
        return Step(
            action=Action.GIVE_UP,
            tier=None,
            allowed=self.allowed,
            reasons=(*self.privacy, *reasons, Reason.NO_TIER_LEFT),
        )

    def may_wait(self, rank: int) -> bool:
        """Say whether the request may be stored for a tier that is farther than a rank.

        What is stored may be sent twice: the answer to the first time can get lost.
        """
        if not (self.facts.allow_late and self.facts.idempotent and self.system.queue_open):
            return False
        return any(
            tier.kind is not _DEVICE
            and self.ranks[tier.name] > rank
            and self.facts.input_bytes <= tier.max_input_bytes
            for tier in self.may
        )

    def queue(self, *reasons: Reason) -> Step:
        """Give the step that stores the request for later."""
        return Step(
            action=Action.QUEUE,
            tier=None,
            allowed=self.allowed,
            reasons=(*self.privacy, *reasons, Reason.QUEUED),
        )

    def _load(self, tier: TierPolicy) -> tuple[int, float]:
        """Order equal tiers by the time that a call more would take there."""
        if not tier.group:
            return self.ranks[tier.name], 0.0
        state = self.states.get(tier.name)
        waiting = 1 if state is None else 1 + state.in_flight
        arriving = 1.0 if state is None else max(0.05, 1.0 - state.loss_share)
        return self.ranks[tier.name], waiting * max(self.expected(tier)[0], 1.0) / arriving

    def _device_is_against(self) -> bool:
        return any(rule.holds(self.system.device) for rule in self.policy.device)

    def _worth_sending(self, near: TierPolicy, timely: Sequence[TierPolicy]) -> bool:
        rules, gain = self.policy.preroute, self.facts.gain
        if rules is None or gain is None:
            return False
        far = None
        for one in timely:
            if self.ranks[one.name] == self.last_rank:
                far = one
                break
        if far is None:
            return False
        if rules.usd_per_quality is not None:
            facts = self.facts
            usd = far.usd(facts.input_tokens // _BYTES_PER_TOKEN, facts.output_tokens)
            gain -= usd / rules.usd_per_quality
        if rules.late_ms_per_quality is not None:
            later_ms = self.expected(far)[0] - self.expected(near)[0]
            gain -= max(0.0, later_ms) / rules.late_ms_per_quality
        return gain >= rules.min_gain

    def _hedge(self, tier: TierPolicy, timeout_ms: float | None) -> Hedge | None:
        rules = self.policy.hedge
        free = self.facts.idempotent and self.forced is None and self.system.hedges_left
        if rules is None or not free:
            return None
        after_ms = max(rules.least_ms, self.expected(tier)[1])
        if timeout_ms is not None and after_ms >= timeout_ms:
            return None
        rank = self.ranks[tier.name]
        best: str | None = None
        least = math.inf
        for one in self.left()[1]:
            # An equal tier first, then a farther one, the nearest of them.
            away = abs(self.ranks[one.name] - rank - 0.25)
            if away < least and one is not tier and self.in_time(one, after_ms):
                best, least = one.name, away
        return None if best is None else Hedge(tier=best, after_ms=after_ms)

    def _leave_time(self, tier: TierPolicy, remaining_ms: float) -> float:
        """Keep enough of the deadline for a nearer tier to answer should this one hang."""
        if self.attempts and any(one.outcome is _ANSWERED for one in self.attempts):
            return remaining_ms
        rank = self.ranks[tier.name]
        usable, _, _ = self.left()
        for nearer in usable:
            if self.ranks[nearer.name] >= rank:
                break
            kept_ms = remaining_ms - self.expected(nearer)[1]
            if kept_ms >= self.expected(tier)[1] and kept_ms > 0.0:
                return kept_ms
        return remaining_ms


def _out(state: TierState) -> Reason | None:
    if not state.ready:
        return Reason.NOT_LOADED
    if state.circuit_open:
        return Reason.CIRCUIT_OPEN
    if state.rest_ms > 0.0:
        return Reason.TOLD_TO_WAIT
    if state.busy:
        return Reason.BUSY
    return None if state.budget_left else Reason.BUDGET_SPENT
