"""The shape of `costs` in `edgewise.yaml`: what a plan prices beside the workload's own keys."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgewise.spec.section import Finite, InCurrency, Section, Size, Usd

Count = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Part = Annotated[float, Field(ge=0.0, le=1.0)]
Milliseconds = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class EdgeCosts(Section):
    """What own devices cost."""

    share: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0, description="of a device's price and power that this workload uses"
    )
    spares: Part = Field(0.0, description="devices in reserve, as a share of those at work")
    lifetime_months: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] | None = Field(
        None, description="of a device; default: the horizon"
    )
    joules_per_request: Count | None = Field(
        None, description="of an answer, beyond `watts`; default: the profile's, if measured"
    )
    grams_per_kwh: Count | None = Field(None, description="CO2 equivalents")
    updates_per_month: Count = Field(0.0, description="sent to each device")
    usd_per_update: Usd = Field(0.0, description="of one device")
    up_gb_per_device_month: Count = Field(0.0, description="sent by a device")
    down_gb_per_device_month: Count = Field(0.0, description="received by a device")
    usd_per_gb: Usd = Field(0.0, description="of the devices' link, both ways")
    device: str = Field("", description="its name in `edgewise prices`, for its price")
    country: str = Field("", description="its ISO code in `edgewise prices`, for grams_per_kwh")


class Discount(Section):
    """Off the cloud's price of requests and tokens."""

    from_requests: Count = Field(description="of a month; those before it are not cheaper")
    share: Part = Field(description="off the price")


class CloudCosts(Section):
    """What the cloud bills beside `tiers.cloud.usd_per_request`."""

    input_tokens: Count = Field(0.0, description="of a request")
    cached_share: Part = Field(0.0, description="of the input tokens")
    output_tokens: Count = Field(0.0, description="of a request")
    usd_per_million_input_tokens: Usd = Field(0.0, description="per million, not per token")
    usd_per_million_cached_tokens: Usd | None = Field(
        None, description="per million; default: as any input token"
    )
    usd_per_million_output_tokens: Usd = Field(0.0, description="per million, not per token")
    usd_per_gpu_hour: Usd = Field(0.0, description="of a server that is paid while it is on")
    gpu_s_per_request: Count = Field(0.0, description="seconds of a server for one request")
    peak_ratio: Annotated[float, Field(ge=1.0, le=2.0)] = Field(
        1.0, description="busiest hour over the mean, 1..2"
    )
    arrival_cv2: Count = Field(1.0, description="of the gaps between requests; 1 is Poisson")
    min_servers: Count = Field(1.0, description="that are always on; 0: none")
    up_kb_per_request: Count = Field(0.0, description="sent to the cloud")
    down_kb_per_request: Count = Field(0.0, description="received from the cloud")
    usd_per_egress_gb: Usd = Field(0.0, description="of what is received")
    minimum_usd_per_month: Usd = Field(0.0, description="least that is billed")
    discounts: list[Discount] = Field([], description="{from_requests, share} by volume")
    joules_per_request: Count | None = Field(None, description="of an answer, if known")
    grams_per_kwh: Count | None = Field(None, description="CO2 equivalents")
    model: str = Field("", description="its name in `edgewise prices`, for tokens")
    instance: str = Field("", description="its name in `edgewise prices`, for usd_per_gpu_hour")


class Assume(Section):
    """What stands in for a measurement until there is one."""

    p50_ms: Milliseconds | None = Field(None, description="of the edge")
    p95_ms: Milliseconds | None = Field(None, description="of the edge")
    peak_memory: Size | None = Field(None, description="of the edge, such as 256MiB")
    size: Size | None = Field(None, description="of the bundle, such as 16MiB")
    deferral_share: Part | None = Field(None, description="of the hybrid's requests")
    edge_quality_loss: Finite | None = Field(None, description="against the cloud")
    hybrid_quality_loss: Finite | None = Field(None, description="against the cloud")

    @model_validator(mode="after")
    def _ordered(self) -> "Assume":
        if self.p50_ms is not None and self.p95_ms is not None and self.p50_ms > self.p95_ms:
            raise ValueError("p50_ms is above p95_ms")
        return self


class Upkeep(Section):
    """What people look after, where the plan's own count is wrong."""

    artifact_kinds: Count | None = Field(None, description="kinds of things built and kept")
    rollouts_per_month: Count | None = Field(None, description="of any of them")
    on_call_surface: Count | None = Field(None, description="kinds of machines")


class Costs(InCurrency):
    """More for the plan. A number may be `{low, mode, high}` or `{p5, p95}`."""

    discount_rate_per_year: Annotated[float, Field(gt=-1.0, allow_inf_nan=False)] = Field(
        0.0, description="of money to come"
    )
    growth_per_month: Annotated[float, Field(gt=-1.0, le=1.0)] = Field(
        0.0, description="of the requests, as a share up to 1: 0.05 is 5 %"
    )
    edge: EdgeCosts = Field(default_factory=EdgeCosts, description="what own devices cost")
    cloud: CloudCosts = Field(default_factory=CloudCosts, description="what the cloud bills")
    assume: Assume = Field(default_factory=Assume, description="until it is measured")
    upkeep: dict[Literal["edge", "cloud", "hybrid"], Upkeep] = Field(
        {}, description="by option: {artifact_kinds, rollouts_per_month, on_call_surface}"
    )
