"""The shape of `edgewise.yaml`: every key with its type, default and meaning."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgewise.records.privacy import PersonalKind
from edgewise.spec.costs import Costs
from edgewise.spec.routing import Budget, Count, Offline, Routing
from edgewise.spec.section import ApiKey, Finite, Names, Section, Share, Size, Url, Usd
from edgewise.spec.serving import Queues, Servers, Times

DETECTORS = ("email", "phone", "card", "iban", "ip")
PRECISIONS = ("float32", "int8-dynamic")
TIER_NAME = r"^[a-z0-9][a-z0-9_-]*$"


class Image(Section):
    """How pixels become the model's input."""

    height: int = Field(gt=0, description="pixels")
    width: int = Field(gt=0, description="pixels")
    channels: Literal[1, 3] = Field(3, description="1 for grey, 3 for RGB")
    mean: list[Finite] = Field([0.485, 0.456, 0.406], description="subtracted by channel, of 0..1")
    std: list[Annotated[Finite, Field(gt=0.0)]] = Field(
        [0.229, 0.224, 0.225], description="divided by channel"
    )
    channels_first: bool = Field(default=True, description="(c, h, w) rather than (h, w, c)")


class Model(Section):
    """The source model."""

    source: str = Field(
        description="an ONNX file, a Hugging Face directory, or, run by torch: a TorchScript file "
        "(`.pt`), an exported program (`.pt2`) or `package.module:factory`"
    )
    labels: Names = Field(
        [], description="in the order of the outputs; default: the model's, else sorted from train"
    )
    tokenizer: str | None = Field(
        None, description="tokenizer.json, when it is not beside the model"
    )
    max_length: int = Field(128, gt=1, le=8192, description="tokens; longer text is cut there")
    image: Image | None = Field(None, description="for image classification: height, width, …")


class Columns(Section):
    """Names of columns in the split files."""

    text: str | None = Field(None, description="default: text")
    image: str | None = Field(
        None, description="holds a path, relative to the file; default: image"
    )
    label: str = Field("label", description="the right answer")
    group: str | None = Field(None, description="source of a row")
    cluster: str | None = Field(
        None, description="speaker, user or session of a row; kept whole, each counts the same"
    )


class Data(Section):
    """The three splits, CSV in UTF-8 with a header; they must not overlap."""

    train: str = Field(description="only what trains heads and calibrators of probability")
    calibration: str = Field(description="only for the certificate")
    test: str = Field(description="only for reporting")
    columns: Columns = Field(default_factory=Columns, description="names of columns")


class Edge(Section):
    """The device."""

    kind: Literal["device", "site"] = Field("device", description="device or site")
    memory: Size | None = Field(None, description="most that a process may take, such as 256MiB")
    storage: Size | None = Field(None, description="most that a bundle may take, such as 16MiB")
    threads: int = Field(1, gt=0, le=256, description="of the model")
    max_in_flight: Count | None = Field(None, description="most calls at once; null: no limit")
    service: Times = None
    servers: Servers = None
    queue: Queues = None


class Rtt(Section):
    """Round trip to the cloud."""

    p50: Finite = Field(60.0, gt=0, description="ms")
    p95: Finite = Field(180.0, gt=0, description="ms")

    @model_validator(mode="after")
    def _ordered(self) -> "Rtt":
        if self.p50 > self.p95:
            words = "p50 is above p95"
            for name in {"p50", "p95"} - self.model_fields_set:
                words += f": {name} is {getattr(self, name):g} by default, so give both"
            raise ValueError(words)
        return self


class Column(Section):
    """Answers that stand in the split files."""

    column: str = Field(description="its name")


class Cloud(Section):
    """The far tier."""

    kind: Literal["cloud", "site"] = Field("cloud", description="cloud or site")
    endpoint: Url | None = Field(None, description="URL; without one it is planned for, not called")
    equals: dict[Annotated[str, Field(pattern=TIER_NAME)], Url] = Field(
        {}, description="name: URL of tiers that share its load and stand in for it"
    )
    max_in_flight: Count | None = Field(
        None, description="most calls at once, each of them; null: no limit"
    )
    protocol: Literal["json", "oip", "openai"] = Field("oip", description="json, oip or openai")
    model: str = Field("", description="its name there")
    api_key: ApiKey | None = Field(None, description="{env: NAME} or {file: PATH}")
    usd_per_request: Usd = Field(0.0, description="price of a call")
    rtt_ms: Rtt = Field(default_factory=Rtt, description="until traffic is seen")
    answers: Literal["call", "assume_right"] | Column = Field(
        "call", description="call, assume_right or {column: NAME}"
    )
    budget_usd: Usd = Field(100.0, description="most that calling for answers may cost")
    service: Times = None
    servers: Servers = None
    queue: Queues = None


class Tiers(Section):
    """Where answers may come from."""

    edge: Edge = Field(default_factory=Edge, description="the nearest tier")
    cloud: Cloud | None = Field(None, description="the farthest tier; none: edge only")


class Objective(Section):
    """What the result must keep to."""

    latency_p95_ms: Finite | None = Field(None, gt=0, description="of an answer")
    max_quality_loss: Share = Field(0.02, description="against always asking the cloud (α)")
    confidence: Share = Field(0.95, description="of the certificate (1 − δ)")
    loss: Literal["net", "regret", "kept_error", "disagreement"] = Field(
        "net", description="net, regret, kept_error or disagreement"
    )


class Optimize(Section):
    """What may be tried."""

    recipes: list[str] = Field(
        [], description="passes tried on each cut, like `smooth,int8-dynamic`; default: the usual"
    )
    layers: list[Annotated[int, Field(gt=0)]] | None = Field(
        None, description="cuts to try; default: all"
    )
    min_agreement: Share = Field(0.96, description="of a quantized model with its float form")
    max_cut_loss: Share = Field(
        0.05, description="what a cut may lose when there is a cloud to defer to"
    )
    training_minutes: Annotated[float, Field(ge=0)] = Field(
        10.0, description="about what one training may take; 0: none that no recipe names"
    )
    calibration: Literal["auto", "temperature", "isotonic", "venn_abers"] = Field(
        "auto", description="auto, temperature, isotonic or venn_abers"
    )


class Privacy(Section):
    """What keeps a request on the device."""

    flag: str = Field("privacy_flag", description="key of an input that, when true, keeps it there")
    detect: list[PersonalKind] = Field([], description="kinds of personal data that keep it there")
    actions: dict[PersonalKind, Literal["keep", "redact", "refuse"]] = Field(
        {}, description="another action for a kind: redact, then send; or refuse"
    )
    residency_key: str = Field("region", description="key of an input that names its region")
    residency: dict[str, list[str]] = Field(
        {}, description="tiers that may see a region's requests"
    )

    @model_validator(mode="after")
    def _detected(self) -> "Privacy":
        for kind in self.actions:
            if kind not in self.detect:
                raise ValueError(f"`actions` names {kind}, which `detect` does not look for")
        return self


class Audit(Section):
    """How live answers are watched."""

    share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.02, description="of requests that may leave; those kept are asked of the cloud too"
    )
    usd_per_day: Usd | None = Field(None, description="most that asking may cost; none: no limit")
    on_void: Literal["defer_more", "cloud_only", "warn"] = Field(
        "defer_more", description="defer_more, cloud_only or warn"
    )


class Workload(Section):
    """How much is asked, by how many devices, and what they cost."""

    requests_per_month: float = Field(
        100_000, ge=0, allow_inf_nan=False, description="of all devices"
    )
    devices: int = Field(1, gt=0, description="how many")
    device_usd: Usd = Field(0.0, description="price of one")
    horizon_months: int = Field(24, gt=0, le=600, description="over which it is written off")
    usd_per_device_month: Usd = Field(0.0, description="support and updates")
    watts: Finite = Field(0.0, ge=0, description="of one, always on")
    usd_per_kwh: Usd = Field(0.15, description="price of energy")
    fixed_usd: Usd = Field(0.0, description="once, such as engineering")
    trace: str | None = Field(
        None, min_length=1, description="CSV of requests, as for `edgewise simulate`; replayed"
    )


class Project(Section):
    """A whole project."""

    name: str = Field(
        min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="letters, digits, . _ -"
    )
    task: Literal["text-classification", "image-classification"] = Field(
        description="text-classification or image-classification"
    )
    model: Model = Field(description="what to optimize")
    data: Data = Field(description="the three splits")
    tiers: Tiers = Field(default_factory=Tiers, description="where answers may come from")
    objective: Objective = Field(default_factory=Objective, description="what to keep to")
    optimize: Optimize = Field(default_factory=Optimize, description="what may be tried")
    privacy: Privacy = Field(default_factory=Privacy, description="what keeps a request near")
    routing: Routing = Field(default_factory=Routing, description="how live requests go their way")
    budget: Budget | None = Field(None, description="what calls of live requests may cost")
    offline: Offline | None = Field(None, description="requests that may wait for the network")
    audit: Audit | None = Field(None, description="watches the certificate; none: nobody does")
    workload: Workload = Field(default_factory=Workload, description="for the plan")
    costs: Costs = Field(
        default_factory=Costs, description="more for the plan; numbers may be distributions"
    )


class Sketch(Project):
    """A project of which the tiers alone matter: what is left out or half done is no mistake."""

    name: Any = None
    task: Any = None
    model: Any = None
    data: Any = None
