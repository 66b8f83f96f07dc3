"""What a bundle costs on a target, measured."""

from dataclasses import dataclass


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
