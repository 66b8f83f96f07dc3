"""A state machine of an engine over faulty tiers: any order of requests, faults, time and restarts.

It keeps an account of its own: which tiers may see a request follows from how the request was made.
A subclass says what the tiers are and how time passes.
"""

import asyncio
import itertools
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edgewise.errors import EdgewiseError, TierUnavailable
from edgewise.records import (
    BudgetRules,
    HedgeRules,
    OfflineRules,
    Policy,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    ProbeRules,
    SpendingLimit,
    TierKind,
    TierPolicy,
)
from edgewise.route import HybridInferenceEngine
from edgewise.route.tiers import TierModel
from edgewise.testing.far_end import LABELS
from edgewise.testing.fault import CALM, EVERY_FAULT, Fault
from edgewise.testing.route import ListSink

PRICES_USD = {"edge": 0.0, "site": 0.25, "cloud": 0.5}
MONTH_USD = 10.0
_NEAR = frozenset({"edge", "site"})
_ACTIONS = (PrivacyAction.KEEP, PrivacyAction.REDACT, PrivacyAction.REFUSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as the machine made it."""

    note: str
    """A word that no other request has."""
    address: str
    """An e-mail address that no other request has; empty where it holds none."""
    may_see: frozenset[str]
    may_see_address: frozenset[str]
    idempotent: bool


def machine_policy(folder: Path, action: PrivacyAction, **changes: Any) -> Policy:
    """Give three tiers with prices, privacy rules, a budget and a queue."""
    kinds = {"edge": TierKind.DEVICE, "site": TierKind.SITE, "cloud": TierKind.CLOUD}
    policy = Policy(
        task="text-classification",
        labels=LABELS,
        tiers=tuple(
            TierPolicy(
                name=name,
                kind=kind,
                threshold=0.8,
                rtt_p50_ms=0.0 if name == "edge" else 10.0,
                rtt_p95_ms=0.0 if name == "edge" else 40.0,
                usd_per_request=PRICES_USD[name],
                max_in_flight=None if name == "edge" else 8,
            )
            for name, kind in kinds.items()
        ),
        privacy=PrivacyRules(
            detect=("email",),
            actions=PrivacyActions(by_kind={"email": action}),
            residency={"eu": ("edge", "site")},
        ),
        budget=BudgetRules(
            path=str(folder / "budget"), total=SpendingLimit(usd_per_month=MONTH_USD)
        ),
        offline=OfflineRules(path=str(folder / "queue")),
    )
    return replace(policy, **changes)


requests = st.fixed_dictionaries(
    {
        "private": st.sampled_from([False, False, True]),
        "address": st.sampled_from([False, False, True]),
        "region": st.sampled_from([None, None, "eu", "EU ", "us"]),
        "force": st.sampled_from([None, None, None, "edge", "site", "cloud"]),
        "deadline_ms": st.sampled_from([30.0, 120.0, 400.0]),
        "idempotent": st.booleans(),
        "allow_late": st.booleans(),
        "leave_s": st.sampled_from([None, None, None, 0.005, 0.06, 0.2]),
    }
)


class FaultMachine(RuleBasedStateMachine):
    """Rules and invariants; a subclass gives `open_world`, `set_fault`, `found` and `passes`."""

    tiers: Mapping[str, TierModel]
    runner: asyncio.Runner
    clock: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory(prefix="edgewise-")
        self.folder = Path(self.place.name)
        self.sink = ListSink()
        self.sent: list[Sent] = []
        self.asked = 0
        self.queued: set[str] = set()
        self.gone = 0
        self.collected: Counter[str] = Counter()
        self.action = PrivacyAction.KEEP
        self.policy = machine_policy(self.folder, self.action)
        self._numbers = itertools.count(1)
        self.open_world()
        self.engine = self.runner.run(self._open())

    def open_world(self) -> None:
        """Make `tiers` and `runner`."""
        raise NotImplementedError

    def set_fault(self, tier: str, fault: Fault) -> None:
        """Make the way to a remote tier bad, or well."""
        raise NotImplementedError

    def found(self, tier: str, words: Sequence[str]) -> list[str]:
        """Tell which words came to a tier."""
        raise NotImplementedError

    def arrived(self, tier: str) -> Mapping[str, int]:
        """Tell how often each request came to a tier."""
        raise NotImplementedError

    def served(self, tier: str) -> Mapping[str, int]:
        """Tell how often each request was worked on by a tier."""
        raise NotImplementedError

    @rule(some=st.lists(requests, min_size=1, max_size=4))
    def send(self, some: list[dict[str, Any]]) -> None:
        """Ask for some at once; a few callers go away before they have their answer."""
        self.runner.run(self._send(some))

    @rule(tier=st.sampled_from(["site", "cloud"]), fault=st.sampled_from([CALM, *EVERY_FAULT]))
    def change_fault(self, tier: str, fault: Fault) -> None:
        """Change how a tier's network or server is."""
        self.set_fault(tier, fault)

    @rule(down=st.booleans())
    def cut_all(self, down: bool) -> None:  # noqa: FBT001 - hypothesis draws it
        """Take every network away, or give all back."""
        for tier in ("site", "cloud"):
            self.set_fault(tier, EVERY_FAULT[3] if down else CALM)

    @rule(duration_s=st.sampled_from([0.02, 0.2, 1.1]))
    def pass_time(self, duration_s: float) -> None:
        """Let time pass: probes, late answers and circuits go on."""
        self.runner.run(asyncio.sleep(duration_s))

    @rule(action=st.sampled_from(_ACTIONS), hedged=st.booleans(), probed=st.booleans())
    def swap(self, action: PrivacyAction, hedged: bool, probed: bool) -> None:  # noqa: FBT001 - drawn
        """Put another policy in service."""
        self.action = action
        self.policy = machine_policy(
            self.folder,
            action,
            hedge=HedgeRules(share=1.0) if hedged else None,
            probe=ProbeRules(open_s=0.1, timeout_ms=100.0) if probed else None,
        )
        self.runner.run(self._swap())

    @rule()
    def restart(self) -> None:
        """Close the engine and open another on the same files."""
        self.runner.run(self._close())
        self.engine = self.runner.run(self._open())

    @rule()
    def collect(self) -> None:
        """Take the late answers that are there."""
        self.runner.run(self._collect())

    @invariant()
    def nothing_private_came_to_a_tier_that_may_not_see_it(self) -> None:
        """Compare every byte that came with what may."""
        for tier in self.tiers:
            notes = [one.note for one in self.sent if tier not in one.may_see]
            hidden = [
                one.address for one in self.sent if one.address and tier not in one.may_see_address
            ]
            assert self.found(tier, [*notes, *hidden]) == []

    @invariant()
    def each_request_has_one_decision(self) -> None:
        """Count decisions: none for what still waits."""
        logged = Counter(one.request_id for one in self.sink.decisions)
        assert all(times == 1 for times in logged.values())
        known = len(logged) + sum(name not in logged for name in self.queued)
        # A caller that went away may have left its request in the queue.
        assert known <= self.asked <= known + self.gone

    @invariant()
    def late_answers_come_once(self) -> None:
        """Count late answers."""
        assert all(times == 1 for times in self.collected.values())

    @invariant()
    def the_budget_holds(self) -> None:
        """Hold what tiers may charge for against the limit, and against what was logged."""
        served = {tier: self.served(tier) for tier in PRICES_USD}
        total = sum(PRICES_USD[tier] * sum(times.values()) for tier, times in served.items())
        assert total <= MONTH_USD + 1e-9
        for one in self.sink.decisions:
            if one.facts.deadline_ms is None:
                continue  # it was queued: of its calls only the last is logged
            charged = sum(PRICES_USD[tier] * served[tier].get(one.request_id, 0) for tier in served)
            assert one.cost_usd >= charged - 1e-9, one

    @invariant()
    def what_must_not_be_repeated_is_not(self) -> None:
        """Count what came to each tier."""
        once = [one.request_id for one in self.sink.decisions if not one.facts.idempotent]
        for tier in PRICES_USD:
            arrived = self.arrived(tier)
            assert all(arrived.get(name, 0) <= 1 for name in once)

    def teardown(self) -> None:
        """Make all well, let the queue empty itself, and see that nothing is left."""
        for tier in ("site", "cloud"):
            self.set_fault(tier, CALM)
        self.runner.run(self._settle())
        self.runner.run(self._close())
        self.nothing_private_came_to_a_tier_that_may_not_see_it()
        self.each_request_has_one_decision()
        assert len(self.sink.decisions) == self.asked
        self.runner.close()
        self.place.cleanup()

    async def _open(self) -> HybridInferenceEngine:
        return HybridInferenceEngine(
            policy=self.policy, tiers=self.tiers, decision_log=self.sink, clock=self.clock
        )

    async def _swap(self) -> None:
        await self.engine.swap_policy(self.policy, tiers=self.tiers)

    async def _close(self) -> None:
        await self.engine.aclose()
        left = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        assert left == [], left

    async def _send(self, some: list[dict[str, Any]]) -> None:
        asking = []
        for one in some:
            asking.append(asyncio.create_task(self._ask(one)))
            self.asked += 1
        loop = asyncio.get_running_loop()
        for task, one in zip(asking, some, strict=True):
            if one["leave_s"] is not None:
                loop.call_later(one["leave_s"], task.cancel)
        ends = await asyncio.gather(*asking, return_exceptions=True)
        self.gone += sum(isinstance(one, asyncio.CancelledError) for one in ends)
        defects = [
            one
            for one in ends
            if isinstance(one, BaseException) and not isinstance(one, asyncio.CancelledError)
        ]
        if defects:
            raise defects[0]

    async def _ask(self, asked: dict[str, Any]) -> None:
        number = next(self._numbers)
        note, address = f"note{number:06d}x", ""
        if asked["address"]:
            address = f"name{number:06d}x@example.org"
        one: dict[str, Any] = {"text": f"{note} {address}".strip()}
        if asked["private"]:
            one["privacy_flag"] = True
        if asked["region"]:
            one["region"] = asked["region"]
        self.sent.append(self._sent(note, address, asked))
        try:
            result = await self.engine.predict(
                one,
                asked["force"],
                asked["deadline_ms"],
                idempotent=asked["idempotent"],
                allow_late=asked["allow_late"],
            )
        except EdgewiseError:
            return
        if result.location == "queued":
            self.queued.add(result.request_id)

    def _sent(self, note: str, address: str, asked: dict[str, Any]) -> Sent:
        """Say who may see a request, by the policy of this moment."""
        may = frozenset(PRICES_USD)
        if asked["private"]:
            may &= {"edge"}
        if asked["region"] and asked["region"].strip().lower() == "eu":
            may &= _NEAR
        if address and self.action is not PrivacyAction.REDACT:
            may &= {"edge"} if self.action is PrivacyAction.KEEP else set()
        return Sent(
            note=note,
            address=address,
            may_see=may,
            may_see_address=may & {"edge"},
            idempotent=asked["idempotent"],
        )

    async def _collect(self) -> None:
        for name in (self.queued | set(self.engine.late_answers())) - set(self.collected):
            try:
                if await self.engine.late_answer(name) is not None:
                    self.collected[name] += 1
            except TierUnavailable:
                assert [one.request_id for one in self.sink.decisions].count(name) == 1
                self.collected[name] += 1

    async def _settle(self) -> None:
        """Give money and time until nothing waits any more."""
        more = BudgetRules(path=str(self.folder / "budget"), total=SpendingLimit())
        self.policy = replace(self.policy, budget=more)
        await self._swap()
        for _ in range(400):
            await self._collect()
            if len(self.sink.decisions) == self.asked and self.queued <= set(self.collected):
                return
            await asyncio.sleep(0.5)
        raise AssertionError(f"never answered: {self.queued - set(self.collected)}")
