"""The shape of `placement.yaml`: every key with its type, default and meaning."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgewise.spec.section import InCurrency, Section, Size, Usd

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Quality01 = Annotated[float, Field(ge=0.0, le=1.0)]
Open = Annotated[float, Field(gt=0.0, lt=1.0)]
Kind = Literal["device", "site", "cloud"]


class Tier(Section):
    """A place that can answer."""

    kind: Kind = Field(description="device, site or cloud")
    region: str = Field("", description="where it stands, for residency")
    availability: Quality01 = Field(1.0, description="share of the time in which it answers")
    rtt_p95_ms: Amount = Field(0.0, description="round trip to it")
    uplink_bytes_per_s: Positive | None = Field(
        None, description="of the slow end of its links; none: sending takes no time"
    )
    usd_per_month: Usd = Field(0.0, description="once anything runs there")


class Machine(Section):
    """A class of device."""

    memory: Size | None = Field(None, description="of one machine, such as 8GiB")
    storage: Size | None = Field(None, description="of one machine, such as 32GiB")
    servers: Count = Field(1, description="requests that one machine works on at once")
    usd: Usd = Field(0.0, description="price of one")
    lifetime_months: Positive = Field(36.0, description="over which it is written off")
    usd_per_month: Usd = Field(0.0, description="rent, support and updates of one")
    watts: Amount = Field(0.0, description="drawn by one that waits")


class Machines(Section):
    """Machines of a class at a tier."""

    tier: str = Field(description="name of a tier")
    device_class: str = Field(description="name of a device class")
    max_units: Count | None = Field(
        None, description="most machines; none: elastic, paid by the request, without a queue"
    )
    min_units: Count = Field(1, description="fewest machines where any is used")
    owned_units: int = Field(0, ge=0, description="paid for already, but for their power")
    usd_per_month: Usd = Field(0.0, description="once any is used, beside the machines")


class OnDevice(Section):
    """What a model takes on a class of device."""

    mean_ms: Positive = Field(description="mean service time")
    p95_ms: Positive = Field(description="p95 of the service time")
    service_cv2: Amount = Field(1.0, description="variance over squared mean of the service time")
    memory: Size | None = Field(None, description="peak; none: assumed from the model's size")
    memory_origin: Literal["measured", "given", "assumed"] = Field(
        "given", description="measured, given or assumed"
    )
    joules: Amount = Field(0.0, description="of one inference")
    usd_per_request: Usd = Field(0.0, description="where it is paid by the request")


class PlacedModel(Section):
    """A model."""

    size: Size | None = Field(None, description="of its bundle, such as 23MB")
    profiles: dict[str, OnDevice] = Field({}, description="by device class")


class Interval(Section):
    """A quality with its interval."""

    value: Quality01 = Field(description="measured on the test split")
    low: Quality01 = Field(description="lower end of its interval")
    high: Quality01 = Field(description="upper end of its interval")

    @model_validator(mode="after")
    def _ordered(self) -> "Interval":
        if not self.low <= self.value <= self.high:
            raise ValueError("give low <= value <= high")
        return self


class HandedOver(Interval):
    """A near model that hands a share of the requests to a far one."""

    near: str = Field(description="name of a model")
    far: str = Field(description="name of a model")
    share: Quality01 = Field(description="of the requests that go on")
    sent: Size | None = Field(None, description="what is sent on; none: the request")


class Cut(Section):
    """A place to cut a model."""

    name: str = Field(description="of the layer, say")
    activation: Size = Field(description="what is sent there, such as 96kB")
    before_ms: Positive = Field(description="mean time of the head on the near device")
    after_ms: Positive = Field(description="mean time of the tail on the far device")


class MeasuredCuts(Section):
    """What `edgewise cuts` wrote; where one is left out, the other's shares are taken."""

    near: str | None = Field(None, description="file of the near device, beside this one")
    far: str | None = Field(None, description="file of the far device, beside this one")

    @model_validator(mode="after")
    def _at_least_one(self) -> "MeasuredCuts":
        if self.near is None and self.far is None:
            raise ValueError("give near, far or both")
        return self


class Cuts(Section):
    """Where a model may be cut in two."""

    model: str = Field(description="name of a model")
    near: str = Field(description="device class of the head")
    far: str = Field(description="device class of the tail")
    points: list[Cut] = Field([], description="places to cut")
    measured: MeasuredCuts | None = Field(None, description="files of `edgewise cuts`, instead")

    @model_validator(mode="after")
    def _one_of_both(self) -> "Cuts":
        if bool(self.points) == (self.measured is not None):
            raise ValueError("give either points or measured")
        return self


class PlacedWorkload(Section):
    """One stream of requests and what it asks for."""

    requests_per_month: Amount = Field(description="in all")
    peak_per_s: Positive | None = Field(
        None, description="in the busiest hour; none: four times the mean, assumed"
    )
    arrival_cv2: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = Field(
        1.0, description="of the gaps between requests: variance over squared mean; 1 is Poisson"
    )
    latency_p95_ms: Positive | None = Field(None, description="limit, network and queue included")
    quality_floor: Quality01 | None = Field(None, description="held by the interval's lower end")
    qualities: dict[str, Interval] = Field({}, description="by model")
    handovers: list[HandedOver] = Field([], description="near models that defer to far ones")
    cuts: list[Cuts] = Field([], description="models that may be cut in two")
    kinds: list[Kind] = Field([], description="tiers that may see its requests; none: all")
    regions: list[str] = Field([], description="regions that may see them; none: all")
    deadline_s: Positive | None = Field(
        None, description="how late an answer may be; from a day on the mean rate is planned for"
    )
    availability: Open | None = Field(None, description="share of the time it must be served")
    needs: Annotated[int, Field(ge=1, le=8)] = Field(
        1, description="ways that must be up at once, of those that stand in for each other"
    )
    budget_usd_per_month: Usd | None = Field(None, description="of its requests and their energy")
    splittable: bool = Field(default=True, description="whether it may go several ways at once")
    request: Size | None = Field(None, description="what a request sends, such as 200kB")


class Prices(Section):
    """Points for giving way by the whole of a limit; null: never."""

    quality: Amount | None = Field(1.0, description="of its floor")
    latency: Amount | None = Field(1.0, description="of its limit")
    kinds: Amount | None = Field(None, description="letting all kinds of tier see the requests")
    regions: Amount | None = Field(None, description="letting all regions see the requests")
    availability: Amount | None = Field(1.0, description="of the downtime")
    workload_budget: Amount | None = Field(1.0, description="of a workload's budget")
    memory: Amount | None = Field(1.0, description="of a machine's")
    storage: Amount | None = Field(1.0, description="of a machine's")
    units: Amount | None = Field(1.0, description="of a pool's machines")
    budget: Amount | None = Field(1.0, description="of the whole budget")
    energy: Amount | None = Field(1.0, description="of the whole energy")


class PlacementFile(InCurrency):
    """Many workloads over tiers and classes of device."""

    name: str = Field(min_length=1, description="of the plan")
    tiers: dict[str, Tier] = Field(min_length=1, description="by name, from near to far")
    device_classes: dict[str, Machine] = Field(min_length=1, description="by name")
    pools: list[Machines] = Field(min_length=1, description="what stands where")
    models: dict[str, PlacedModel] = Field(min_length=1, description="by name")
    workloads: dict[str, PlacedWorkload] = Field(min_length=1, description="by name")
    budget_usd_per_month: Usd | None = Field(None, description="of everything")
    energy_kwh_per_month: Amount | None = Field(None, description="of all inferences")
    usd_per_kwh: Usd = Field(0.15, description="price of energy")
    utilizations: list[Open] = Field(
        [0.05, 0.3, 0.5, 0.7, 0.85], min_length=1, description="how full machines may be planned"
    )
    prices: Prices = Field(default_factory=Prices, description="of giving way")
