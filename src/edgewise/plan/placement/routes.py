"""The ways that a workload's requests may go: a model on a pool, or one that hands over."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from edgewise.plan.placement.queueing import bucket, residual_ms, wait_p95_ms
from edgewise.records import (
    DeviceClass,
    Handover,
    Limit,
    ModelProfile,
    PlacementModel,
    PlacementProblem,
    PlacementTier,
    PlacementWorkload,
    Pool,
    TierKind,
)

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A model on a pool that a route's requests reach. Made by `Book`."""

    pool: str
    tier: str
    model: str
    busy: float
    """Servers kept busy when all of the workload's traffic goes this way."""
    residual_ms: float
    memory_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way for a workload. Made by `Book`, read by the programme."""

    workload: str
    legs: tuple[Leg, ...]
    far_share: float
    quality_low: float | None
    usd_per_request: float
    joules_per_request: float
    base_ms: float
    """The p95 without queues: service and network of every leg, added."""

    @property
    def tiers(self) -> frozenset[str]:
        """Tiers that must be up for it."""
        return frozenset(leg.tier for leg in self.legs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How a pool is run: no fuller, and no longer in service, than this."""

    utilization: float
    residual_ms: float
    wait_ms: float


class Book:
    """A problem looked up by name. Made for one problem; holds nothing that changes."""

    def __init__(self, problem: PlacementProblem) -> None:
        self.problem = problem
        self.workloads: Mapping[str, PlacementWorkload] = {w.name: w for w in problem.workloads}
        self.tiers: Mapping[str, PlacementTier] = {t.name: t for t in problem.tiers}
        self.classes: Mapping[str, DeviceClass] = {c.name: c for c in problem.device_classes}
        self.pools: Mapping[str, Pool] = {p.name: p for p in problem.pools}
        self.models: Mapping[str, PlacementModel] = {m.name: m for m in problem.models}
        self._profiles = {(p.model, p.device_class): p for p in problem.profiles}

    def machine(self, pool: str) -> DeviceClass:
        """Give the class of a pool's machines."""
        return self.classes[self.pools[pool].device_class]

    def tier_of(self, pool: str) -> PlacementTier:
        """Give the tier that a pool stands at."""
        return self.tiers[self.pools[pool].tier]

    def profile(self, model: str, pool: str) -> ModelProfile:
        """Give what a model takes on a pool's machines."""
        return self._profiles[model, self.pools[pool].device_class]

    def is_managed(self, pool: str) -> bool:
        """Say whether using a pool is a decision: it has machines, or costs that come once."""
        one = self.pools[pool]
        return (
            one.max_units is not None
            or one.usd_per_month > 0.0
            or self.tier_of(pool).usd_per_month > 0.0
        )

    def pays_energy(self, pool: str) -> bool:
        """Say whether a request's energy is paid for beside its price: not in an elastic cloud."""
        elastic = self.pools[pool].max_units is None
        return not (elastic and self.tier_of(pool).kind is TierKind.CLOUD)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """Every way that has a profile, whether it keeps to the limits or not."""
        singles = [
            self._route(quality.workload, (quality.model,), (pool.name,), quality.low)
            for quality in self.problem.qualities
            for pool in self.problem.pools
            if (quality.model, pool.device_class) in self._profiles
        ]
        pairs = [
            self._route(one.workload, (one.near, one.far), (near.name, far.name), one.low, one)
            for one in self.problem.handovers
            for near in self.problem.pools
            if (one.near, near.device_class) in self._profiles
            for far in self.problem.pools
            if (one.far, far.device_class) in self._profiles and far.name != near.name
        ]
        return tuple(singles + pairs)

    def _route(
        self,
        workload: str,
        models: tuple[str, ...],
        pools: tuple[str, ...],
        low: float,
        handover: Handover | None = None,
    ) -> Route:
        work = self.workloads[workload]
        shares = (1.0,) if handover is None else (1.0, handover.share)
        legs, usd, joules, paid, base = [], 0.0, 0.0, 0.0, 0.0
        sent, at = work.request_bytes, ""
        for model, pool, share in zip(models, pools, shares, strict=True):
            profile, tier = self.profile(model, pool), self.tier_of(pool)
            legs.append(self._leg(work, profile, pool, share))
            joules += share * profile.joules
            paid += share * profile.joules * self.pays_energy(pool)
            usd += share * profile.usd_per_request
            base += profile.p95_ms + (0.0 if tier.name == at else network_ms(tier, sent))
            at = tier.name
            if handover is not None and handover.sent_bytes is not None:
                sent = handover.sent_bytes
        return Route(
            workload=workload,
            legs=tuple(legs),
            far_share=0.0 if handover is None else handover.share,
            quality_low=low,
            usd_per_request=usd + paid / JOULES_PER_KWH * self.problem.usd_per_kwh,
            joules_per_request=joules,
            base_ms=base,
        )

    def _leg(self, work: PlacementWorkload, profile: ModelProfile, pool: str, share: float) -> Leg:
        elastic = self.pools[pool].max_units is None
        residual = residual_ms(profile.mean_ms, work.arrival_cv2, profile.service_cv2)
        return Leg(
            pool=pool,
            tier=self.pools[pool].tier,
            model=profile.model,
            busy=0.0 if elastic else work.planned_per_s * share * profile.mean_ms / 1000.0,
            residual_ms=0.0 if elastic else bucket(residual),
            memory_bytes=profile.peak_memory_bytes,
            size_bytes=self.models[profile.model].size_bytes,
        )

    def levels(self, pool: str, routes: Iterable[Route]) -> tuple[Level, ...]:
        """Give the ways to run a pool that has machines; none for an elastic one."""
        if self.pools[pool].max_units is None:
            return ()
        servers = self.machine(pool).servers
        found = {leg.residual_ms for route in routes for leg in route.legs if leg.pool == pool}
        return tuple(
            Level(utilization=full, residual_ms=left, wait_ms=wait_p95_ms(full, servers, left))
            for left in sorted(found)
            for full in sorted(set(self.problem.utilizations))
        )

    def least_ms(self, route: Route) -> float:
        """Give the lowest p95 that a route can be planned for."""
        full = min(self.problem.utilizations)
        return route.base_ms + sum(
            wait_p95_ms(full, self.machine(leg.pool).servers, leg.residual_ms)
            for leg in route.legs
            if self.pools[leg.pool].max_units is not None
        )

    def broken(self, route: Route) -> tuple[tuple[Limit, str], ...]:
        """Give the limits that a route can't keep to, whatever else is decided."""
        work = self.workloads[route.workload]
        found: list[tuple[Limit, str]] = []
        if work.quality_floor is not None and (route.quality_low or 0.0) < work.quality_floor:
            found.append((Limit.QUALITY, work.name))
        limit = latency_limit_ms(work)
        if limit is not None and self.least_ms(route) > limit:
            found.append((Limit.LATENCY, work.name))
        tiers = [self.tier_of(leg.pool) for leg in route.legs]
        if work.kinds and any(tier.kind not in work.kinds for tier in tiers):
            found.append((Limit.KINDS, work.name))
        if work.regions and any(tier.region not in work.regions for tier in tiers):
            found.append((Limit.REGIONS, work.name))
        for leg in route.legs:
            machine = self.machine(leg.pool)
            if machine.memory_bytes is not None and leg.memory_bytes > machine.memory_bytes:
                found.append((Limit.MEMORY, machine.name))
            if machine.storage_bytes is not None and leg.size_bytes > machine.storage_bytes:
                found.append((Limit.STORAGE, machine.name))
        return tuple(found)


def network_ms(tier: PlacementTier, sent_bytes: int) -> float:
    """Give the p95 of the way to a tier and back: round trip, and what is sent over its uplink."""
    if tier.uplink_bytes_per_s is None:
        return tier.rtt_p95_ms
    return tier.rtt_p95_ms + sent_bytes / tier.uplink_bytes_per_s * 1000.0


def latency_limit_ms(work: PlacementWorkload) -> float | None:
    """Give the limit of a workload's p95: what it asks, or its deadline where that is sooner."""
    asked = [work.latency_p95_ms, None if work.deadline_s is None else work.deadline_s * 1000.0]
    given = [one for one in asked if one is not None]
    return min(given) if given else None
