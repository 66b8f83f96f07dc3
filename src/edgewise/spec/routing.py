"""The sections of `edgewise.yaml` on live traffic: routing, budget, offline."""

from typing import Annotated

from pydantic import Field, model_validator

from edgewise.spec.section import ApiKey, Finite, Positive, Section, Size, Usd

Count = Annotated[int, Field(gt=0)]


class Retry(Section):
    """When a tier that failed in passing is asked again."""

    most: int = Field(1, ge=0, description="of one request at one tier; 0: never")
    share: float = Field(0.1, ge=0, le=1, description="retries allowed per call")
    burst: Usd = Field(10.0, description="retries allowed when there were few calls")
    pause_ms: Usd = Field(50.0, description="longest wait before the first, doubled for each other")


class Breaker(Section):
    """When a tier's circuit opens."""

    window: int = Field(20, gt=0, description="most calls looked at")
    window_s: Positive = Field(30.0, description="calls that ended longer ago are not")
    minimum_calls: int = Field(5, gt=0, description="with fewer it stays closed")
    failure_share: float = Field(0.5, gt=0, le=1, description="of them that opens it")
    open_s: Positive = Field(1.0, description="then one call is let through")

    @model_validator(mode="after")
    def _can_open(self) -> "Breaker":
        if self.minimum_calls > self.window:
            raise ValueError("minimum_calls is above window, so it would never open")
        return self


class Hedge(Section):
    """When a second tier is raced."""

    share: float = Field(0.05, gt=0, le=1, description="hedges allowed per request")
    least_ms: Usd = Field(1.0, description="shortest time given to the first")


class Probe(Section):
    """How a tier without traffic is looked at."""

    idle_s: Positive = Field(30.0, description="without traffic for this long, a tier is probed")
    open_s: Positive = Field(0.5, description="how often while its circuit is open")
    timeout_ms: Positive = Field(1000.0, description="of a probe")


class PreRoute(Section):
    """When a text goes far without asking near."""

    weights: str = Field(description="JSON file of `PreRouter.weights`, written by `write_json`")
    min_gain: Finite = Field(description="send from this predicted gain in quality on")
    usd_per_quality: Positive | None = Field(
        None, description="what quality from 0 to 1 is worth; null counts no money"
    )
    late_ms_per_quality: Positive | None = Field(
        None, description="how much later it may be for that; null counts no time"
    )


class DeviceRule(Section):
    """While all conditions given hold, the edge is not the first choice."""

    name: str = Field(min_length=1, description="for you to tell it by")
    on_battery: bool | None = Field(None, description="true or false")
    battery_below: float | None = Field(None, gt=0, le=1, description="charge left, 0..1")
    throttled: bool | None = Field(None, description="slowed down by heat")
    load_above: Positive | None = Field(None, description="processes per core in the last minute")
    memory_free_below: Size | None = Field(None, description="such as 128MiB")
    requests_per_min_above: Usd | None = Field(None, description="of this engine")

    @model_validator(mode="after")
    def _has_a_condition(self) -> "DeviceRule":
        if self.model_fields_set <= {"name"}:
            raise ValueError("it has no condition")
        return self


class Routing(Section):
    """How live requests go their way."""

    deadline_ms: Positive | None = Field(None, description="of requests that bring none")
    retry: Retry = Field(default_factory=Retry, description="a tier that failed is asked again")
    breaker: Breaker = Field(default_factory=Breaker, description="a tier that fails is left alone")
    hedge: Hedge | None = Field(None, description="race a second tier when the first is late")
    probe: Probe | None = Field(None, description="look at tiers that have no traffic")
    preroute: PreRoute | None = Field(None, description="go far at once where that is worth it")
    device: list[DeviceRule] = Field(
        [], description="while all that a rule says holds, the edge is not the first choice"
    )

    @model_validator(mode="after")
    def _rules_have_names(self) -> "Routing":
        names = [rule.name for rule in self.device]
        if len(set(names)) != len(names):
            raise ValueError("two rules of `device` have the same name")
        return self


class Limit(Section):
    """The most to spend."""

    usd_per_day: Usd | None = Field(None, description="of UTC; null: no limit")
    usd_per_month: Usd | None = Field(None, description="of UTC; null: no limit")


class Budget(Limit):
    """What may be spent on calls."""

    path: str = Field(
        "state/budget", min_length=1, description="file that remembers, where the engine runs"
    )
    each_caller: Limit = Field(default_factory=Limit, description="of callers not named below")
    callers: dict[str, Limit] = Field({}, description="by name, instead of each_caller")

    @model_validator(mode="after")
    def _limits(self) -> "Budget":
        every = (self, self.each_caller, *self.callers.values())
        if all(one.usd_per_day is None and one.usd_per_month is None for one in every):
            raise ValueError("it limits nothing: give usd_per_day or usd_per_month")
        return self


class Offline(Section):
    """Requests that may wait for the network."""

    path: str = Field("state/queue", min_length=1, description="its file, where the engine runs")
    max_count: Count = Field(10_000, description="requests and untaken answers together")
    max_bytes: Size = Field(67_108_864, description="of them, such as 64MiB")
    max_answer_bytes: Size = Field(4_096, description="room kept for each answer")
    max_age_s: Positive = Field(86_400.0, description="then a request ends as expired")
    keep_answers_s: Positive = Field(604_800.0, description="then an untaken answer is dropped")
    max_tries: Count = Field(8, description="failures of the far tier, then it is given up")
    key: ApiKey | None = Field(None, description="{env: NAME} or {file: PATH}: seals the file")
