"""Why a profile is not good enough, and how small a bundle travels."""

import gzip
import random
from dataclasses import replace
from pathlib import Path

import pytest

from edgewise.profile import reasons_against
from edgewise.profile.size import compressed_size
from edgewise.records import MemoryLimit, Profile, Target

TARGET = Target(
    cpu="c",
    cpu_features=(),
    cores=1,
    memory_bytes=1,
    threads=1,
    runtime="onnxruntime",
    runtime_version="1",
)
PROFILE = Profile(
    bundle_sha256="ab",
    target=TARGET,
    n=1,
    cold_start_ms=1.0,
    load_ms=1.0,
    p50_ms=1.0,
    p95_ms=2.0,
    p99_ms=3.0,
    buckets=(),
    peak_memory_bytes=1,
    size_bytes=1,
)
HELD = MemoryLimit(
    limit_bytes=2**20, fits=True, how="watched", happened="answered", peak_memory_bytes=1
)


@pytest.mark.parametrize("latency_p95_ms", [None, 2.0, 5.0])
def test_nothing_speaks_against_what_holds(latency_p95_ms: float | None) -> None:
    assert reasons_against(PROFILE, latency_p95_ms) == ()
    assert reasons_against(replace(PROFILE, memory_limit=HELD), latency_p95_ms) == ()


def test_each_limit_that_is_broken_is_a_reason() -> None:
    broken = replace(HELD, fits=False, happened="ended while loading")

    memory, latency = reasons_against(replace(PROFILE, memory_limit=broken), 1.5)

    assert memory == "does not fit in 1.0 MiB: ended while loading"
    assert latency == "p95 is 2 ms, and at most 1.5 ms is wanted"


def test_zeros_travel_small_and_noise_does_not(tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(3_000_000)
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.bin").write_bytes(bytes(3_000_000))
    zeros = compressed_size(tmp_path)
    (tmp_path / "sub" / "b.bin").write_bytes(noise)

    assert zeros == pytest.approx(len(gzip.compress(bytes(3_000_000), 6)), abs=20)
    assert 3_000_000 < compressed_size(tmp_path) < 3_010_000
