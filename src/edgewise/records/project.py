"""`edgewise.yaml` as a record. Made by `spec`, read by `pipeline`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from edgewise.records.api_key import ApiKey
from edgewise.records.audit import AuditRules
from edgewise.records.bundle import ImageInput, Task
from edgewise.records.certificate import CloudAnswers, Loss
from edgewise.records.costs import Costs
from edgewise.records.policy import PrivacyRules, Protocol, TierKind
from edgewise.records.routing import RoutingSpec
from edgewise.records.service import QueueRules, ServiceFormula


class CalibrationChoice(Enum):
    """Which map from raw confidence to probability to fit; `auto` takes the better Brier score."""

    AUTO = "auto"
    TEMPERATURE = "temperature"
    LOGISTIC = "logistic"
    ISOTONIC = "isotonic"
    VENN_ABERS = "venn_abers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the columns in the split files. `input` holds text, or an image's path."""

    input: str = "text"
    label: str = "label"
    group: str | None = None
    cluster: str | None = None
    """The speaker, user or session of a row: rows of one are not independent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """The three splits, absolute paths."""

    train: Path
    calibration: Path
    test: Path
    columns: Columns = field(default_factory=Columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """The source model: what `optimize.sources.open_source` opens; absolute path."""

    source: Path
    labels: tuple[str, ...] = ()
    """In the order of the model's outputs; empty: the model's own, else sorted from train."""
    tokenizer: Path | None = None
    """`tokenizer.json` for an ONNX text model whose folder has none."""
    max_length: int = 128
    image: ImageInput | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeTier:
    """The device."""

    kind: TierKind = TierKind.DEVICE
    memory_bytes: int | None = None
    storage_bytes: int | None = None
    threads: int = 1
    service: ServiceFormula | None = None
    servers: int | None = None
    queue: QueueRules | None = None
    max_in_flight: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudTier:
    """The far tier. With no endpoint it can be planned for, not called."""

    kind: TierKind = TierKind.CLOUD
    endpoint: str | None = None
    equals: Mapping[str, str] = field(default_factory=dict)
    """Name and endpoint of tiers that share its load and stand in for it."""
    max_in_flight: int | None = None
    """Of each of them."""
    protocol: Protocol = Protocol.OIP
    model: str = ""
    api_key: ApiKey | None = None
    usd_per_request: float = 0.0
    rtt_p50_ms: float = 60.0
    rtt_p95_ms: float = 180.0
    answers: CloudAnswers = CloudAnswers.CALL
    answers_column: str | None = None
    budget_usd: float = 100.0
    """Most that calling for the calibration's and the test's answers may cost."""
    service: ServiceFormula | None = None
    servers: int | None = None
    queue: QueueRules | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What the result must keep to."""

    latency_p95_ms: float | None = None
    max_quality_loss: float = 0.02
    confidence: float = 0.95
    loss: Loss = Loss.NET


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeSpec:
    """What `optimize` may try."""

    recipes: tuple[str, ...] = ()
    """Such as `prune-ffn:0.25,int8-dynamic`; empty: those usual for the task."""
    layers: tuple[int, ...] | None = None
    """Cuts to try; `None`: every one that the source has."""
    min_agreement: float = 0.96
    """Of a quantized model with its own float form."""
    min_cosine: float = 0.99
    """Of an encoder's embeddings with the source's, on average."""
    max_cut_loss: float = 0.05
    """Metric that a cut may lose against the source; the hybrid's promise is the certificate's."""
    training_minutes: float = 10.0
    """About what one training may take; 0: nothing is trained that no recipe asks for."""
    calibration: CalibrationChoice = CalibrationChoice.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """How much is asked, by how many devices, and what they cost."""

    requests_per_month: float = 100_000.0
    devices: int = 1
    device_usd: float = 0.0
    horizon_months: int = 24
    usd_per_device_month: float = 0.0
    watts: float = 0.0
    usd_per_kwh: float = 0.15
    fixed_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSpec:
    """A whole project, checked, with every default filled in."""

    name: str
    task: Task
    model: ModelSpec
    data: DataSpec
    edge: EdgeTier = field(default_factory=EdgeTier)
    cloud: CloudTier | None = None
    objective: Objective = field(default_factory=Objective)
    optimize: OptimizeSpec = field(default_factory=OptimizeSpec)
    privacy: PrivacyRules = field(default_factory=PrivacyRules)
    routing: RoutingSpec = field(default_factory=RoutingSpec)
    audit: AuditRules | None = None
    workload: Workload = field(default_factory=Workload)
    costs: Costs = field(default_factory=Costs)
    trace: Path | None = None
    """Requests of the workload, for the plan to replay; absolute path."""
    defaults: tuple[str, ...] = ()
    """Numbers that a plan shows and the file does not give, by their place in it."""
    path: Path = Path("edgewise.yaml")
    """The file it was read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSpec:
    """What a plan reads of a project that has nothing to build: one for text generation."""

    name: str
    edge: EdgeTier
    cloud: CloudTier | None
    objective: Objective
    privacy: PrivacyRules
    workload: Workload
    costs: Costs
    trace: Path | None
    defaults: tuple[str, ...]
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TiersSpec:
    """What a project file says of its tiers alone; the rest of the project may be absent."""

    edge: EdgeTier | None
    cloud: CloudTier | None
    privacy: PrivacyRules
    objective: Objective
    routing: RoutingSpec
    path: Path
    audit: AuditRules | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a split."""

    input: str
    """The text, or the image's absolute path."""
    label: str
    group: str | None = None
    cloud_answer: str | None = None
    content: str | None = None
    """SHA-256 in hex of an image's bytes."""
    cluster: str | None = None

    @property
    def identity(self) -> str:
        """What makes this input the same as another: the text, or the image's bytes."""
        return self.content or self.input


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One split file, read. `sha256` covers inputs, labels and groups in order."""

    name: str
    examples: tuple[Example, ...]
    sha256: str
    lines: tuple[int, ...] = ()
    """Of its file, where each example ends; empty where nobody noted them."""
