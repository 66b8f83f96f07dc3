"""What a bundle costs on a target, measured."""

from dataclasses import dataclass

NOT_MEASURED = "not measured"
LATENCY_SHARES = (0.01, 0.025, *(twentieth / 20 for twentieth in range(1, 20)), 0.975, 0.99)
"""Shares of the answers whose latency is kept, or drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The machine that something was measured on."""

    cpu: str
    cpu_features: tuple[str, ...]
    cores: int
    memory_bytes: int
    threads: int
    runtime: str
    runtime_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyBucket:
    """Latency of inputs whose length is in `(above_length, up_to_length]`; one input at a time."""

    above_length: int
    up_to_length: int
    n: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLatency:
    """Latency of whole batches of one size, in the order of the inputs."""

    size: int
    n: int
    """Batches timed."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    requests_per_s: float
    """Inputs answered a second, over all batches of this size."""
    peak_memory_bytes: int
    """VmHWM when this size was done; sizes run from small to large in one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLimit:
    """Whether a fresh process answered within a limit of resident memory."""

    limit_bytes: int
    fits: bool
    how: str
    """What held the process to the limit."""
    happened: str
    peak_memory_bytes: int
    """The most that was resident, up to the end of the process or of its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What one request takes of the machine's energy, where the machine can tell."""

    joules_per_request: float | None = None
    origin: str = NOT_MEASURED
    """`measured` or `not measured`."""
    how: str = "nobody asked the machine"
    """The counter that was read, or why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What `profile` measured of one bundle. Latencies include tokenizing."""

    bundle_sha256: str
    target: Target
    n: int
    cold_start_ms: float
    """From the start of a fresh process to its first answer."""
    load_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    buckets: tuple[LatencyBucket, ...]
    peak_memory_bytes: int
    """VmHWM of a fresh process that loaded the bundle and answered."""
    size_bytes: int
    origin: str = "measured"
    inputs: str = "given"
    """`given`, or `generated` of random words or pixels."""
    requests_per_s: float | None = None
    """Inputs answered a second, one at a time."""
    batches: tuple[BatchLatency, ...] = ()
    compressed_size_bytes: int | None = None
    """All files as one stream through gzip at level 6; `None` where nobody asked."""
    memory_limit: MemoryLimit | None = None
    energy: Energy = Energy()
    latency_quantiles: tuple[tuple[float, float], ...] = ()
    """(share of the answers, ms that they are within) at `LATENCY_SHARES`; empty in old files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One bundle of a comparison. A ratio above 1 is slower than the first."""

    bundle: str
    """Its directory, as it was given."""
    bundle_sha256: str
    runtime: str
    threads: int
    p50_ms: float
    p95_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    """Interval of the ratio, by resampling sittings and their rounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Bundles timed in turn on the same inputs; only the ratios carry over to another hour."""

    target: Target
    """With the first one's runtime and threads."""
    sittings: int
    """How often every bundle got a fresh process."""
    rounds: int
    """Of all sittings together."""
    inputs_per_round: int
    confidence: float
    """Of the intervals."""
    contenders: tuple[Contender, ...]
    inputs: str = "given"
    """`given` or `generated`."""
    origin: str = "measured"
