"""A profile written before it told batches, limits and energy."""

from edgewise.records import Energy, Profile, decode

OLD = {
    "schema_version": 1,
    "bundle_sha256": "ab",
    "target": {
        "cpu": "c",
        "cpu_features": ["avx2"],
        "cores": 2,
        "memory_bytes": 8,
        "threads": 1,
        "runtime": "onnxruntime",
        "runtime_version": "1.20.0",
    },
    "n": 4,
    "cold_start_ms": 9.0,
    "load_ms": 5.0,
    "p50_ms": 1.0,
    "p95_ms": 2.0,
    "p99_ms": 3.0,
    "buckets": [],
    "peak_memory_bytes": 7,
    "size_bytes": 6,
    "origin": "measured",
}


def test_an_old_profile_loads_and_claims_nothing_that_was_not_measured() -> None:
    found = decode(Profile, OLD)

    assert (found.p50_ms, found.inputs) == (1.0, "given")
    assert (found.batches, found.memory_limit) == ((), None)
    assert (found.requests_per_s, found.compressed_size_bytes) == (None, None)
    assert found.energy == Energy()
    assert (found.energy.joules_per_request, found.energy.origin) == (None, "not measured")
