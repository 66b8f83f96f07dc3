"""What a bundle says of itself, and how a candidate for it did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Task(Enum):
    """What a model is for."""

    TEXT_CLASSIFICATION = "text-classification"
    IMAGE_CLASSIFICATION = "image-classification"
    FEATURE_EXTRACTION = "feature-extraction"
    """Text becomes a vector; there are no labels."""
    TEXT_GENERATION = "text-generation"
    """Messages become text; its models are behind endpoints, and there is no bundle."""

    @property
    def takes_text(self) -> bool:
        """Whether the input is text, and the bundle has a tokenizer."""
        return self is not Task.IMAGE_CLASSIFICATION


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """How pixels become the input: values scaled to 0..1, then normalized by channel."""

    height: int
    width: int
    channels: int = 3
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    channels_first: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """What the gate measured of a candidate against its reference on held-out data."""

    reference: str
    """`float form` for a quantized model, `source` for a cut one."""
    n: int
    metric: float | None = None
    """`None` where there are no labels, as with embeddings."""
    metric_low: float | None = None
    metric_high: float | None = None
    """95 % interval of the metric."""
    reference_metric: float | None = None
    agreement: float | None = None
    cosine: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleManifest:
    """`manifest.json` of a bundle: what is in it, by which recipe, from which source."""

    name: str
    task: Task
    labels: tuple[str, ...]
    files: Mapping[str, str]
    """SHA-256 in hex by file name; every file of the bundle but the manifest."""
    model: str = "model.onnx"
    runtime: str = "onnxruntime"
    threads: int = 1
    """What one answer is computed by where the caller does not say."""
    recipe: tuple[str, ...] = ()
    """The passes in order, such as `cut:2`, `head:logistic`, `int8-dynamic`."""
    source_sha256: str = ""
    source_size_bytes: int = 0
    tokenizer: str | None = None
    max_length: int = 128
    """Longest input in tokens; longer text is cut there."""
    image: ImageInput | None = None
    fidelity: Fidelity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One recipe that `optimize` tried, what it measured, and whether it may ship."""

    recipe: tuple[str, ...]
    runtime: str
    size_bytes: int
    kept: bool
    p50_ms: float | None = None
    """`None` where the candidate was out before it was timed."""
    p95_ms: float | None = None
    peak_memory_bytes: int | None = None
    fidelity: Fidelity | None = None
    threads: int = 1
    why: tuple[str, ...] = field(default=())
    """Reasons for being out; for the chosen one, why it was chosen."""
