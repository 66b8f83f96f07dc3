"""A placement held against its problem by itself: no programme, no route of the planner's."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping

from edgewise.plan.placement.cutting import with_cuts
from edgewise.plan.placement.queueing import wait_p95_ms
from edgewise.records import (
    Assignment,
    ModelProfile,
    Placement,
    PlacementProblem,
    PlacementTier,
    PlacementWorkload,
    PoolUse,
    TierKind,
)

_ROUNDING = 1e-5


def check_placement(problem: PlacementProblem, placement: Placement) -> tuple[str, ...]:
    """Give what a placement breaks, in words; empty where it keeps to everything.

    It is worked out anew from the problem's numbers: traffic, quality, the p95 with the queues that
    the chosen traffic makes, where requests may go, memory, storage, machines, availability by
    going through which tiers are up, budgets, energy and the cost itself.
    """
    return tuple(_Check(with_cuts(problem), placement).run())


class _Check:
    def __init__(self, problem: PlacementProblem, placement: Placement) -> None:
        self._problem, self._placement = problem, placement
        self._pools = {pool.name: pool for pool in problem.pools}
        self._tiers = {tier.name: tier for tier in problem.tiers}
        self._classes = {one.name: one for one in problem.device_classes}
        self._profiles = {(one.model, one.device_class): one for one in problem.profiles}
        self._sizes = {model.name: model.size_bytes for model in problem.models}
        self._used = {use.pool: use for use in placement.pools}
        self._work = {work.name: work for work in problem.workloads}
        self._legs: Mapping[str, list[tuple[Assignment, str, float]]] = defaultdict(list)
        for one in placement.assignments:
            reaches = (1.0, one.far_share)
            for pool, model, reach in zip(one.pools, one.models, reaches, strict=False):
                self._legs[pool].append((one, model, reach))

    def run(self) -> Iterator[str]:
        absent = sorted(set(self._legs) - set(self._used))
        if absent:
            yield f"{absent[0]}: it is used, and not among the pools"
            return
        for work in self._problem.workloads:
            mine = [one for one in self._placement.assignments if one.workload == work.name]
            yield from self._traffic(work, mine)
            for one in mine:
                yield from self._way(work, one)
        for pool in self._legs:
            yield from self._pool(pool)
        yield from self._totals()

    def _traffic(self, work: PlacementWorkload, mine: list[Assignment]) -> Iterator[str]:
        total = sum(one.share for one in mine)
        if abs(total - 1.0) > _ROUNDING:
            yield f"{work.name}: shares sum to {total}"
        if not work.splittable and sum(one.share > 0 for one in mine) > 1:
            yield f"{work.name}: split"
        if any(one.reserved_share < one.share - _ROUNDING for one in mine):
            yield f"{work.name}: reserves less than its traffic"
        usd = sum(one.share * self._usd(work, one) for one in mine)
        if work.budget_usd_per_month is not None and _above(usd, work.budget_usd_per_month):
            yield f"{work.name}: costs {usd} a month"
        if work.availability is not None:
            yield from self._availability(work, mine)

    def _usd(self, work: PlacementWorkload, one: Assignment) -> float:
        per_kwh = self._problem.usd_per_kwh
        each = 0.0
        for name, (profile, reach) in zip(one.pools, self._reached(one), strict=True):
            pool = self._pools[name]
            in_price = pool.max_units is None and self._tiers[pool.tier].kind is TierKind.CLOUD
            energy = 0.0 if in_price else profile.joules / 3.6e6 * per_kwh
            each += reach * (profile.usd_per_request + energy)
        return work.requests_per_month * each

    def _reached(self, one: Assignment) -> Iterator[tuple[ModelProfile, float]]:
        for pool, model, reach in zip(one.pools, one.models, (1.0, one.far_share), strict=False):
            yield self._profiles[model, self._pools[pool].device_class], reach

    def _availability(self, work: PlacementWorkload, mine: list[Assignment]) -> Iterator[str]:
        assert work.availability is not None
        reserved: dict[frozenset[str], float] = defaultdict(float)
        for one in mine:
            reserved[frozenset(self._pools[pool].tier for pool in one.pools)] += one.reserved_share
        ready = [fate for fate, share in reserved.items() if share >= 1 / work.needs - _ROUNDING]
        names = sorted(self._tiers)
        total = 0.0
        for states in itertools.product((False, True), repeat=len(names)):
            up = {name for name, is_up in zip(names, states, strict=True) if is_up}
            weight = 1.0
            for name in names:
                share = self._tiers[name].availability
                weight *= share if name in up else 1.0 - share
            if sum(fate <= up for fate in ready) >= work.needs:
                total += weight
        if total < work.availability - 1e-9:
            yield f"{work.name}: available {total} of the time"

    def _way(self, work: PlacementWorkload, one: Assignment) -> Iterator[str]:
        tiers = [self._tiers[self._pools[pool].tier] for pool in one.pools]
        if work.kinds and not {tier.kind for tier in tiers} <= set(work.kinds):
            yield f"{work.name}: sent to a kind of tier that may not see it"
        if work.regions and not {tier.region for tier in tiers} <= set(work.regions):
            yield f"{work.name}: sent to a region that may not see it"
        low, sent_bytes = self._quality(work, one)
        if work.quality_floor is not None and low < work.quality_floor:
            yield f"{work.name}: quality may be as low as {low}"
        p95 = self._p95(one, tiers, (work.request_bytes, sent_bytes))
        limits = (work.latency_p95_ms, work.deadline_s and work.deadline_s * 1000.0)
        if any(limit is not None and _above(p95, limit) for limit in limits):
            yield f"{work.name}: p95 is {p95} ms"

    def _quality(self, work: PlacementWorkload, one: Assignment) -> tuple[float, int]:
        if len(one.models) == 1:
            lows = [
                quality.low
                for quality in self._problem.qualities
                if (quality.workload, quality.model) == (work.name, one.models[0])
            ]
            return lows[0], 0
        found = next(
            handover
            for handover in self._problem.handovers
            if (handover.workload, handover.near, handover.far, handover.share)
            == (work.name, *one.models, one.far_share)
        )
        sent = work.request_bytes if found.sent_bytes is None else found.sent_bytes
        return found.low, sent

    def _p95(
        self, one: Assignment, tiers: list[PlacementTier], sent_bytes: tuple[int, int]
    ) -> float:
        total, before = 0.0, ""
        for pool, model, tier, sent in zip(one.pools, one.models, tiers, sent_bytes, strict=False):
            profile = self._profiles[model, self._pools[pool].device_class]
            total += profile.p95_ms + self._wait(pool)
            if tier.name != before:
                total += tier.rtt_p95_ms
                if tier.uplink_bytes_per_s is not None:
                    total += 1000.0 * sent / tier.uplink_bytes_per_s
            before = tier.name
        return total

    def _wait(self, pool: str) -> float:
        """Give the p95 of the wait at the load that the placement reserves."""
        if self._pools[pool].max_units is None:
            return 0.0
        machine = self._classes[self._pools[pool].device_class]
        units = self._used[pool].units or 1
        longest = 0.0
        for one, model, _ in self._legs[pool]:
            profile = self._profiles[model, machine.name]
            spread = self._work[one.workload].arrival_cv2 + profile.service_cv2
            longest = max(longest, profile.mean_ms * spread / 2.0)
        full = min(self._busy(pool) / (units * machine.servers), 0.999999)
        return wait_p95_ms(full, machine.servers, longest)

    def _busy(self, pool: str) -> float:
        total = 0.0
        for one, model, reach in self._legs[pool]:
            mean_ms = self._profiles[model, self._pools[pool].device_class].mean_ms
            rate = self._work[one.workload].planned_per_s * one.reserved_share * reach
            total += rate * mean_ms / 1000.0
        return total

    def _pool(self, name: str) -> Iterator[str]:
        pool = self._pools[name]
        machine = self._classes[pool.device_class]
        models = {model for _, model, _ in self._legs[name]}
        memory = [self._profiles[model, machine.name].peak_memory_bytes for model in models]
        sizes = [self._sizes[model] for model in models]
        together = max if pool.max_units is None else sum
        if machine.memory_bytes is not None and together(memory) > machine.memory_bytes:
            yield f"{name}: memory of {together(memory)} bytes"
        if machine.storage_bytes is not None and together(sizes) > machine.storage_bytes:
            yield f"{name}: storage of {together(sizes)} bytes"
        if pool.max_units is None:
            return
        use = self._used[name]
        if use.units is None or not pool.min_units <= use.units <= pool.max_units:
            yield f"{name}: {use.units} machines"
        elif _above(
            self._busy(name), use.units * machine.servers * max(self._problem.utilizations)
        ):
            yield f"{name}: overloaded"

    def _totals(self) -> Iterator[str]:
        usd = joules = 0.0
        for one in self._placement.assignments:
            work = self._work[one.workload]
            usd += one.share * self._usd(work, one)
            joules += (
                one.share
                * work.requests_per_month
                * sum(reach * profile.joules for profile, reach in self._reached(one))
            )
        usd += sum(self._machines(self._used[pool]) for pool in self._legs)
        used = {self._pools[pool].tier for pool in self._legs}
        usd += sum(tier.usd_per_month for tier in self._problem.tiers if tier.name in used)
        told = self._placement.usd_per_month
        if told is None or _above(usd, told) or _above(told, usd):
            yield f"it costs {usd} a month, and {told} is said"
        budget, most = self._problem.budget_usd_per_month, self._problem.joules_per_month
        if budget is not None and _above(usd, budget):
            yield f"it costs {usd} a month of a budget of {budget}"
        if most is not None and _above(joules, most):
            yield f"it takes {joules} joules of {most}"

    def _machines(self, use: PoolUse) -> float:
        pool = self._pools[use.pool]
        machine = self._classes[pool.device_class]
        power = machine.watts / 1000.0 * 730.0 * self._problem.usd_per_kwh
        each = machine.usd / machine.lifetime_months + machine.usd_per_month
        units = use.units or 0
        return pool.usd_per_month + units * power + max(0, units - pool.owned_units) * each


def _above(value: float, limit: float) -> bool:
    return value > limit + _ROUNDING * max(1.0, abs(limit))
