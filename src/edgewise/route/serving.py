"""One policy in service: its tiers, what is known of each, and who still uses it.

A policy is exchanged as a whole. Requests that began under the old one end under it, and its tiers
are closed when the last of them has.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from edgewise.records import Input, Policy, TierPolicy, TierState, digest
from edgewise.route.budget import Budget
from edgewise.route.clock import Clock
from edgewise.route.loading import LoadingTier
from edgewise.route.monitor import TierMonitor
from edgewise.route.opening import Setup, check_exchange, open_tiers
from edgewise.route.tiers import LocalTier, TierModel


class Serving:
    """A policy, its tiers and their monitors. Made by the engine, used from its event loop.

    Parameters
    ----------
    before
        What served until now: what is known of tiers that stay the same is kept.
    """

    def __init__(
        self,
        policy: Policy,
        tiers: Mapping[str, TierModel],
        before: "Serving | None" = None,
        *,
        clock: Clock,
    ) -> None:
        self.policy = policy
        self.gain = _gain(policy)
        self.budget = _budget(policy, before, clock)  # a file: nothing may fail after it
        self.version = digest(policy)
        self.tiers = dict(tiers)
        self.by_name = {tier.name: tier for tier in policy.tiers}
        self.monitors = {tier.name: self._monitor(tier, before) for tier in policy.tiers}
        self.certificate = _certificate(policy)
        self.warnings: tuple[str, ...] = ()
        self.in_flight = 0
        self._watched = [(name, self.monitors[name], tier) for name, tier in self.tiers.items()]
        self._local = next(
            (one for one in self.tiers.values() if isinstance(one, LocalTier | LoadingTier)), None
        )

    def states(self, now_s: float) -> dict[str, TierState]:
        """Give each tier as the decision sees it."""
        for _, monitor, tier in self._watched:
            monitor.ready = tier.ready
        return {name: monitor.state(now_s) for name, monitor in self.monitors.items()}

    def length(self, one: Input) -> int | None:
        """Count an input's tokens or pixels, where a model is there that can."""
        return None if self._local is None else self._local.length(one)

    async def aclose(self, keep: "Serving | None" = None) -> None:
        """Close the tiers, but those that another serves with."""
        kept = [] if keep is None else list(keep.tiers.values())
        for tier in self.tiers.values():
            if not any(tier is other for other in kept):
                await tier.aclose()
        if self.budget is not None and (keep is None or keep.budget is not self.budget):
            await asyncio.to_thread(self.budget.close)

    async def aclose_remote(self) -> None:
        """Close what the current event loop holds of tiers beyond this process."""
        for tier in self.tiers.values():
            if tier.remote:
                await tier.aclose()

    def _monitor(self, tier: TierPolicy, before: "Serving | None") -> TierMonitor:
        model = self.tiers.get(tier.name)
        known = None if before is None else before.monitors.get(tier.name)
        if (
            before is not None
            and known is not None
            and (tier.name in before.tiers) is (model is not None)
            and before.policy.breaker == self.policy.breaker
            and before.policy.retry == self.policy.retry
            and _same_place(before.by_name[tier.name], tier)
        ):
            return known
        return TierMonitor(
            tier,
            self.policy,
            remote=model is not None and model.remote,
            ready=model is not None and model.ready,
        )


def serve_first(setup: Setup, clock: Clock, given: Mapping[str, TierModel] | None) -> Serving:
    """Open what is to serve from the beginning; as `serve_next` where anything fails."""
    policy, tiers = open_tiers(setup, clock, given)
    try:
        return Serving(policy, tiers, clock=clock)
    except BaseException:
        _close_at_once(tiers if given is None else {}, None)
        raise


@contextlib.contextmanager
def closed_on_failure(serving: Serving, *, own: bool) -> Iterator[None]:
    """Close what serves where the block fails, and nobody gets an engine to close.

    Parameters
    ----------
    own
        Whether its tiers were opened here; the application's own stay open.
    """
    try:
        yield
    except BaseException:
        _close_at_once(serving.tiers if own else {}, serving.budget)
        raise


async def serve_next(
    before: Serving,
    setup: Setup,
    given: Mapping[str, TierModel] | None,
    begin: Callable[[Serving], None] | None,
    *,
    clock: Clock,
) -> Serving:
    """Open what is to serve after another; where anything fails, what was opened is closed again.

    In threads: a bundle takes its time, and another process may hold a file for a moment.

    Parameters
    ----------
    given
        As `open_tiers`; the application's own tiers stay open when this fails.
    begin
        Called at last, in a thread.

    Raises
    ------
    EdgewiseError
        What is wrong with the policy, its bundle or its files.
    """
    if _has_edge(before):  # it answers private requests, which must not wait for the next one
        setup = replace(setup, wait_for_edge=True)
    policy, tiers = await asyncio.to_thread(open_tiers, setup, clock, given)
    made: Serving | None = None
    try:
        check_exchange(before.policy, policy)
        made = await asyncio.to_thread(Serving, policy, tiers, before, clock=clock)
        if begin is not None:
            await asyncio.to_thread(begin, made)
    except BaseException:
        budget = None if made is None or made.budget is before.budget else made.budget
        await _close(tiers if given is None else {}, budget)
        raise
    return made


async def _close(tiers: Mapping[str, TierModel], budget: Budget | None) -> None:
    for tier in tiers.values():
        await tier.aclose()
    if budget is not None:
        await asyncio.to_thread(budget.close)


def _close_at_once(tiers: Mapping[str, TierModel], budget: Budget | None) -> None:
    """Close in a thread of its own: here an event loop may run, or none."""
    thread = threading.Thread(target=lambda: asyncio.run(_close(tiers, budget)), name="closing")
    thread.start()
    thread.join()


def _budget(policy: Policy, before: Serving | None, clock: Clock) -> Budget | None:
    if policy.budget is None:
        return None
    if before is not None and before.budget is not None and before.budget.rules == policy.budget:
        return before.budget
    return Budget(policy.budget, clock=clock)


def _gain(policy: Policy) -> Callable[[str], float] | None:
    rules = policy.preroute
    if rules is None or rules.weights is None:
        return None
    from edgewise.preroute import PreRouter  # noqa: PLC0415 - numpy, where it is needed

    return PreRouter(rules.weights).gain_of


def _has_edge(serving: Serving) -> bool:
    local = [one for one in serving.tiers.values() if isinstance(one, LocalTier | LoadingTier)]
    return any(one.ready for one in local)


def _same_place(one: TierPolicy, other: TierPolicy) -> bool:
    return (one.endpoint, one.rtt_p50_ms, one.rtt_p95_ms, one.max_in_flight) == (
        other.endpoint,
        other.rtt_p50_ms,
        other.rtt_p95_ms,
        other.max_in_flight,
    )


def _certificate(policy: Policy) -> dict[str, Any] | None:
    one = policy.certificate
    if one is None:
        return None
    return {
        "state": one.state.value,
        "threshold": one.threshold,
        "loss": one.loss.value,
        "alpha": one.alpha,
        "delta": one.delta,
        "bound": one.bound,
    }
