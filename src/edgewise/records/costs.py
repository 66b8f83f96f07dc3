"""What a plan is made of: more prices than the workload's own, and how sure each number is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from edgewise.errors import InvalidRecord


class Shape(Enum):
    """Of a distribution: two numbers give a lognormal, or a normal where one is not above 0."""

    TRIANGULAR = "triangular"
    LOGNORMAL = "lognormal"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """What is known of a number that nobody knows: `{low, mode, high}` or `{p5, p95}`.

    Made by `spec` or by the plan itself, from a count of rows; read by the plan.
    """

    shape: Shape
    low: float
    """The least of a triangular one, else the 5th percentile."""
    high: float
    """The most of a triangular one, else the 95th percentile."""
    mode: float | None = None
    """Of a triangular one alone."""

    def __post_init__(self) -> None:
        ends = (self.low, self.high) if self.mode is None else (self.low, self.mode, self.high)
        if not all(map(math.isfinite, ends)) or list(ends) != sorted(ends):
            hint = "give low ≤ mode ≤ high, or p5 ≤ p95"
            raise InvalidRecord(f"not in order: {ends}", where="Distribution", hint=hint)
        if (self.mode is not None) is not (self.shape is Shape.TRIANGULAR):
            what = f"a {self.shape.value} distribution of {len(ends)} numbers"
            hint = "three make a triangular one, two a lognormal or a normal one"
            raise InvalidRecord(what, where="Distribution", hint=hint)
        if self.shape is Shape.LOGNORMAL and self.low <= 0:
            hint = "give p5 above 0"
            raise InvalidRecord(f"p5 is {self.low:g}", where="Distribution", hint=hint)

    @property
    def centre(self) -> float:
        """What stands for it where one number is needed: the mode, or the median."""
        if self.mode is not None:
            return self.mode
        if self.shape is Shape.LOGNORMAL:
            return self.low * math.sqrt(self.high / self.low)
        return self.low / 2 + self.high / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeDiscount:
    """Requests of a month beyond a count are cheaper by a share; those before it are not."""

    from_requests: float
    share: float

    def __post_init__(self) -> None:
        if not (self.from_requests >= 0 and 0 <= self.share <= 1):
            what = f"{self.share:g} off from {self.from_requests:g} requests on"
            hint = "give a count ≥ 0 and a share in 0..1"
            raise InvalidRecord(what, where="VolumeDiscount", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeCosts:
    """What own devices cost beside the workload's own keys."""

    share: float = 1.0
    """Of a device's price and power, that this workload uses."""
    spares: float = 0.0
    """Devices kept in reserve, as a share of those at work."""
    lifetime_months: float | None = None
    """`None`: the horizon."""
    joules_per_request: float | None = None
    """Beyond `workload.watts`; `None`: the profile's less these, where it was measured."""
    grams_per_kwh: float | None = None
    """CO2 equivalents."""
    updates_per_month: float = 0.0
    usd_per_update: float = 0.0
    """Of one device."""
    up_gb_per_device_month: float = 0.0
    down_gb_per_device_month: float = 0.0
    usd_per_gb: float = 0.0
    """Of the devices' link, both ways."""
    device: str = ""
    """An item of the price tables, for the device's price."""
    country: str = ""
    """An item of the price tables, for the carbon of a kWh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudCosts:
    """What the cloud bills beside its price of a request."""

    input_tokens: float = 0.0
    """Of a request."""
    cached_share: float = 0.0
    """Of the input tokens."""
    output_tokens: float = 0.0
    usd_per_million_input_tokens: float = 0.0
    usd_per_million_cached_tokens: float | None = None
    """`None`: as any input token."""
    usd_per_million_output_tokens: float = 0.0
    usd_per_gpu_hour: float = 0.0
    gpu_s_per_request: float = 0.0
    peak_ratio: float = 1.0
    """Requests a second of the busiest hour over the mean, of a daily wave."""
    arrival_cv2: float = 1.0
    """Squared coefficient of variation of the gaps between requests; 1 is Poisson."""
    min_servers: float = 1.0
    up_kb_per_request: float = 0.0
    down_kb_per_request: float = 0.0
    usd_per_egress_gb: float = 0.0
    minimum_usd_per_month: float = 0.0
    discounts: tuple[VolumeDiscount, ...] = ()
    joules_per_request: float | None = None
    grams_per_kwh: float | None = None
    model: str = ""
    """An item of the price tables, for tokens."""
    instance: str = ""
    """An item of the price tables, for an hour of a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What stands in for a measurement until there is one."""

    p50_ms: float | None = None
    p95_ms: float | None = None
    peak_memory_bytes: int | None = None
    size_bytes: int | None = None
    deferral_share: float | None = None
    edge_quality_loss: float | None = None
    hybrid_quality_loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """What people have to look after; `None`: the plan's own count."""

    artifact_kinds: float | None = None
    rollouts_per_month: float | None = None
    on_call_surface: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """`costs` of `edgewise.yaml`, and every number of the file that is a distribution."""

    discount_rate_per_year: float = 0.0
    growth_per_month: float = 0.0
    edge: EdgeCosts = field(default_factory=EdgeCosts)
    cloud: CloudCosts = field(default_factory=CloudCosts)
    assume: Assumptions = field(default_factory=Assumptions)
    upkeep: Mapping[str, Upkeep] = field(default_factory=dict)
    """By option."""
    uncertain: Mapping[str, Distribution] = field(default_factory=dict)
    """By the number's place in the file, such as `workload.device_usd`."""
