"""What placement decides over: workloads, models, tiers, device classes and their pools."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from edgewise.errors import InvalidRecord
from edgewise.records.cuts import CutProfile
from edgewise.records.plan import Origin
from edgewise.records.policy import TierKind

HOURS_PER_MONTH = 730.0
DAY_S = 86_400.0
PEAK_OVER_MEAN = 4.0
"""Assumed where a workload gives no peak."""
_MOST = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementWorkload:
    """One stream of requests and what it asks for. A limit that is `None` is not asked."""

    name: str
    requests_per_month: float
    peak_per_s: float | None = None
    """Requests a second in the busiest hour; `None`: four times the mean, assumed."""
    arrival_cv2: float = 1.0
    """Squared coefficient of variation of the gaps between requests; 1 is Poisson."""
    latency_p95_ms: float | None = None
    quality_floor: float | None = None
    """Held by the lower end of a model's interval."""
    kinds: tuple[TierKind, ...] = ()
    """Kinds of tier that may see its requests; empty: all."""
    regions: tuple[str, ...] = ()
    """Regions that may see its requests; empty: all. A tier without a region is in none."""
    deadline_s: float | None = None
    """How late an answer may be; from a day on machines are sized for the mean, not the peak."""
    availability: float | None = None
    """Share of the time in which it must be served, reached by tiers that stand in."""
    needs: int = 1
    """Of the ways that stand in for each other, how many must be up to carry the peak."""
    budget_usd_per_month: float | None = None
    """Of its requests and their energy, without machines that it shares."""
    splittable: bool = True
    """Whether its traffic may go several ways at once."""
    request_bytes: int = 0
    """What a request sends to a tier that has a bandwidth."""

    def __post_init__(self) -> None:
        _amounts(self, "requests_per_month", "request_bytes")
        _amounts(self, "budget_usd_per_month")
        _amounts(self, "peak_per_s", "latency_p95_ms", "deadline_s", above=True)
        _shares(self, "quality_floor", "availability")
        if self.availability == 1.0:
            hint = "give a share below 1, such as 0.999"
            raise InvalidRecord("nothing is always up: 1.0", where=_at(self), hint=hint)
        if not (1.0 <= self.arrival_cv2 <= _MOST and 1 <= self.needs <= 8):
            what = f"arrival_cv2 is {self.arrival_cv2} and needs is {self.needs}"
            hint = "give arrival_cv2 of at least 1 (1 is Poisson) and needs from 1 to 8"
            raise InvalidRecord(what, where=_at(self), hint=hint)

    @property
    def mean_per_s(self) -> float:
        """Requests a second over the month."""
        return self.requests_per_month / (HOURS_PER_MONTH * 3600.0)

    @property
    def is_planned_at_mean(self) -> bool:
        """Whether answers may be so late that machines are sized for the mean."""
        return self.deadline_s is not None and self.deadline_s >= DAY_S

    @property
    def planned_per_s(self) -> float:
        """Requests a second that machines are sized for."""
        if self.is_planned_at_mean:
            return self.mean_per_s
        return self.mean_per_s * PEAK_OVER_MEAN if self.peak_per_s is None else self.peak_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementTier:
    """A place that can answer, up independently of the others."""

    name: str
    kind: TierKind
    region: str = ""
    availability: float = 1.0
    """Share of the time in which it can be reached and answers."""
    rtt_p95_ms: float = 0.0
    uplink_bytes_per_s: float | None = None
    """What the slow end of its links carries; `None`: what is sent takes no time."""
    usd_per_month: float = 0.0
    """Once anything runs there, such as a contract or a room."""

    def __post_init__(self) -> None:
        _amounts(self, "rtt_p95_ms", "usd_per_month")
        _amounts(self, "uplink_bytes_per_s", above=True)
        _shares(self, "availability")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceClass:
    """A kind of machine."""

    name: str
    memory_bytes: int | None = None
    storage_bytes: int | None = None
    servers: int = 1
    """Requests that one machine works on at once."""
    usd: float = 0.0
    lifetime_months: float = 36.0
    usd_per_month: float = 0.0
    """Rent, support and updates of one."""
    watts: float = 0.0
    """Drawn by one that waits; what a request adds stands in the model's profile."""

    def __post_init__(self) -> None:
        _amounts(self, "usd", "usd_per_month", "watts")
        _amounts(self, "memory_bytes", "storage_bytes", "servers", "lifetime_months", above=True)

    @property
    def bought_usd(self) -> float:
        """What one costs a month that is not owned: written off and run, without its power."""
        return self.usd / self.lifetime_months + self.usd_per_month

    def power_usd(self, usd_per_kwh: float) -> float:
        """Give what one draws a month, owned or not."""
        return self.watts / 1000.0 * HOURS_PER_MONTH * usd_per_kwh


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Machines of one class at one tier; each holds every model that is placed on the pool."""

    tier: str
    device_class: str
    max_units: int | None = None
    """`None`: elastic, paid by the request, without a queue."""
    min_units: int = 1
    """Fewest machines where the pool is used, such as one in each shop."""
    owned_units: int = 0
    """Machines that are paid for already, but for their power."""
    usd_per_month: float = 0.0
    """Once the pool is used, beside its machines."""

    def __post_init__(self) -> None:
        _amounts(self, "owned_units", "usd_per_month")
        _amounts(self, "min_units", "max_units", above=True)
        if self.max_units is not None and self.max_units < self.min_units:
            what = f"min_units is {self.min_units} and max_units is {self.max_units}"
            raise InvalidRecord(what, where=f"Pool {self.name}", hint="give min_units <= max_units")

    @property
    def name(self) -> str:
        """`tier/device class`."""
        return f"{self.tier}/{self.device_class}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementModel:
    """A bundle, or the head or tail of one that is cut."""

    name: str
    size_bytes: int = 0

    def __post_init__(self) -> None:
        _amounts(self, "size_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProfile:
    """What a model takes on a class of device."""

    model: str
    device_class: str
    mean_ms: float
    p95_ms: float
    service_cv2: float = 1.0
    """Squared coefficient of variation of its service time."""
    peak_memory_bytes: int = 0
    memory_origin: Origin = Origin.ASSUMED
    joules: float = 0.0
    """Of one inference, above what the waiting machine draws."""
    usd_per_request: float = 0.0

    def __post_init__(self) -> None:
        _amounts(self, "service_cv2", "peak_memory_bytes", "joules", "usd_per_request")
        _amounts(self, "mean_ms", "p95_ms", above=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuality:
    """How well a model does a workload, with its interval."""

    workload: str
    model: str
    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        _interval(self, self.value, self.low, self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A share of a workload's requests goes on from a near model to a far one.

    A deferral hands over the unsure ones; a cut model hands over all, as activations.
    """

    workload: str
    near: str
    far: str
    share: float
    value: float
    low: float
    high: float
    sent_bytes: int | None = None
    """What is sent on; `None`: the request."""

    def __post_init__(self) -> None:
        _interval(self, self.value, self.low, self.high)
        _amounts(self, "sent_bytes")
        _shares(self, "share")


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPoint:
    """A place where a model can be cut: what runs before it, what is sent, what runs after."""

    name: str
    activation_bytes: int
    before_ms: float
    """Mean time of the head on the near device."""
    after_ms: float
    """Mean time of the tail on the far device."""

    def __post_init__(self) -> None:
        _amounts(self, "activation_bytes")
        _amounts(self, "before_ms", "after_ms", above=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCuts:
    """Where a model may be cut for a workload: its head on a class near, its tail far.

    Either points, or what `edgewise cuts` measured on a machine of one class or of both.
    """

    workload: str
    model: str
    near: str
    far: str
    points: tuple[CutPoint, ...] = ()
    near_measured: CutProfile | None = None
    far_measured: CutProfile | None = None

    def __post_init__(self) -> None:
        near, far = self.near_measured, self.far_measured
        if near is None or far is None:
            return
        if near.model_sha256 != far.model_sha256:
            what = "the cuts near are of another file than those far"
            hint = "measure the same ONNX file on both"
            raise InvalidRecord(what, where=f"cuts of model {self.model}", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxationPrices:
    """What it costs, in points, to give way by the whole of a limit; `None`: it is never relaxed.

    A latency of 100 ms relaxed to 140 ms costs 0.4 times its price. For `availability` the limit is
    the downtime: from 0.999 to 0.998 is once the limit.
    """

    quality: float | None = 1.0
    latency: float | None = 1.0
    kinds: float | None = None
    regions: float | None = None
    availability: float | None = 1.0
    workload_budget: float | None = 1.0
    memory: float | None = 1.0
    storage: float | None = 1.0
    units: float | None = 1.0
    budget: float | None = 1.0
    energy: float | None = 1.0

    def __post_init__(self) -> None:
        _amounts(self, *self.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementProblem:
    """Everything that placement decides over; `placement.yaml` as a record."""

    name: str
    workloads: tuple[PlacementWorkload, ...]
    tiers: tuple[PlacementTier, ...]
    device_classes: tuple[DeviceClass, ...]
    pools: tuple[Pool, ...]
    models: tuple[PlacementModel, ...]
    profiles: tuple[ModelProfile, ...]
    qualities: tuple[ModelQuality, ...] = ()
    handovers: tuple[Handover, ...] = ()
    cuts: tuple[ModelCuts, ...] = ()
    budget_usd_per_month: float | None = None
    joules_per_month: float | None = None
    """Most that the inferences of a month may use, above what waiting machines draw."""
    usd_per_kwh: float = 0.15
    utilizations: tuple[float, ...] = (0.05, 0.3, 0.5, 0.7, 0.85)
    """How full machines may be run; a pool is run at one of these or below."""
    prices: RelaxationPrices = field(default_factory=RelaxationPrices)

    def __post_init__(self) -> None:
        _amounts(self, "budget_usd_per_month", "joules_per_month", "usd_per_kwh")
        if not self.utilizations or not all(0.0 < one < 1.0 for one in self.utilizations):
            what = f"not shares between 0 and 1: {list(self.utilizations)}"
            raise InvalidRecord(
                what, where=f"{self.name}.utilizations", hint="at 1 a queue grows without end"
            )
        self._check_names()

    def _check_names(self) -> None:
        workloads = _once("workload", (one.name for one in self.workloads))
        tiers = _once("tier", (one.name for one in self.tiers))
        classes = _once("device class", (one.name for one in self.device_classes))
        models = _once("model", (one.name for one in self.models))
        _once("pool", (one.name for one in self.pools))
        _once("profile", (f"{one.model} on {one.device_class}" for one in self.profiles))
        _once("quality", (f"{one.model} for {one.workload}" for one in self.qualities))
        _once(
            "handover",
            (f"{h.near} to {h.far} for {h.workload} at {h.share}" for h in self.handovers),
        )
        for pool in self.pools:
            _known("tier", pool.tier, tiers, f"pool {pool.name}")
            _known("device class", pool.device_class, classes, f"pool {pool.name}")
        for profile in self.profiles:
            _known("model", profile.model, models, f"profile on {profile.device_class}")
            _known(
                "device class", profile.device_class, classes, f"profile of model {profile.model}"
            )
        for quality in self.qualities:
            _known("workload", quality.workload, workloads, f"quality of model {quality.model}")
            _known("model", quality.model, models, f"quality for workload {quality.workload}")
        for one in self.handovers:
            _known("workload", one.workload, workloads, "handover")
            _known("model", one.near, models, f"handover of workload {one.workload}")
            _known("model", one.far, models, f"handover of workload {one.workload}")
        self._check_cuts()

    def _check_cuts(self) -> None:
        profiles = {(one.model, one.device_class) for one in self.profiles}
        qualities = {(one.workload, one.model) for one in self.qualities}
        for cuts in self.cuts:
            where = f"cuts of model {cuts.model} for workload {cuts.workload}"
            absent = [at for at in (cuts.near, cuts.far) if (cuts.model, at) not in profiles]
            if absent:
                what = f"the whole model has no profile on {absent[0]}"
                raise InvalidRecord(what, where=where, hint="profile it there: the ends are rivals")
            if (cuts.workload, cuts.model) not in qualities:
                what, hint = "the whole model has no quality", "a cut model has that of the whole"
                raise InvalidRecord(what, where=where, hint=hint)
            _once("cut", (f"{one.name} of {cuts.model}" for one in cuts.points))


def _at(record: object) -> str:
    kind, name = type(record).__name__, getattr(record, "name", "")
    return f"{kind} {name}" if name else kind


def _amounts(record: object, *names: str, above: bool = False) -> None:
    """Hold numbers, where they are given, to 0 or more; with `above`, to more than 0."""
    for name in names:
        value = getattr(record, name)
        if value is None or (0 <= value <= _MOST and not (above and value == 0)):
            continue
        what = f"no amount{' above 0' if above else ''}: {value}"
        hint = f"give a finite number {'above' if above else 'of at least'} 0"
        raise InvalidRecord(what, where=f"{_at(record)}.{name}", hint=hint)


def _shares(record: object, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if value is not None and not 0.0 <= value <= 1.0:
            raise InvalidRecord(
                f"no share: {value}", where=f"{_at(record)}.{name}", hint="give 0 to 1"
            )


def _interval(record: object, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and 0.0 <= low <= value <= high <= 1.0):
        what = f"quality {value} with interval {low} to {high}"
        hint = "give 0 <= low <= value <= high <= 1"
        raise InvalidRecord(what, where=type(record).__name__, hint=hint)


def _once(what: str, names: Iterable[str]) -> set[str]:
    counted = Counter(names)
    twice = next((name for name, count in counted.items() if count > 1), None)
    if twice is not None:
        raise InvalidRecord(
            f"{what} given twice: {twice}", where="PlacementProblem", hint="remove one of them"
        )
    return set(counted)


def _known(what: str, name: str, names: set[str], where: str) -> None:
    if name not in names:
        hint = f"{what} names: {', '.join(sorted(names)) or 'none'}"
        raise InvalidRecord(f"unknown {what}: {name}", where=where, hint=hint)
