"""The JSON that `edgewise optimize` prints: its keys are a promise."""

import json
from dataclasses import replace
from pathlib import Path

from edgewise.records import (
    Candidate,
    Fidelity,
    OptimizeSummary,
    SkippedRuntime,
    Target,
    Task,
    decode,
    encode,
    row_of,
)

GOLDEN = Path(__file__).parents[2] / "golden/optimize/candidates.json"
KEPT = Candidate(
    recipe=("cut:2", "int8-dynamic"),
    runtime="openvino",
    threads=2,
    size_bytes=1000,
    kept=True,
    p50_ms=1.5,
    p95_ms=2.5,
    peak_memory_bytes=4096,
    fidelity=Fidelity(
        reference="float form",
        n=50,
        metric=0.9,
        metric_low=0.8,
        metric_high=0.95,
        reference_metric=0.91,
        agreement=0.98,
        cosine=0.997,
    ),
    why=("chosen: the fastest",),
)
OUT = Candidate(
    recipe=("int4-weights",), runtime="onnxruntime", size_bytes=0, kept=False, why=("no weights",)
)
SUMMARY = OptimizeSummary(
    name="tiny",
    task=Task.TEXT_CLASSIFICATION,
    out="best",
    source="model",
    source_sha256="aa",
    source_size_bytes=4000,
    data_sha256="bb",
    held_out=50,
    target=Target(
        cpu="cpu",
        cpu_features=("avx2",),
        cores=2,
        memory_bytes=8,
        threads=2,
        runtime="onnxruntime",
        runtime_version="1.0",
    ),
    candidates=(row_of(KEPT), row_of(OUT)),
    chosen=row_of(KEPT),
    pareto=(0,),
    skipped_runtimes=(SkippedRuntime(runtime="litert", why="not installed", command="pip"),),
    bundle_sha256="cc",
)


def test_the_json_is_the_one_that_is_promised() -> None:
    assert encode(SUMMARY) == json.loads(GOLDEN.read_text("utf-8"))


def test_a_row_has_exactly_the_keys_that_scripts_read() -> None:
    row = encode(SUMMARY)["candidates"][1]

    measured = ("p50_ms", "p95_ms", "peak_memory_bytes", "cosine", "agreement", "metric")
    assert all(row[key] is None for key in measured)
    assert set(row) - set(measured) == {"recipe", "runtime", "threads", "size_bytes", "kept", "why"}


def test_what_is_written_is_read_back_also_without_a_choice() -> None:
    refused = replace(SUMMARY, chosen=None, bundle_sha256=None, pareto=())

    for one in (SUMMARY, refused):
        assert decode(OptimizeSummary, json.loads(json.dumps(encode(one)))) == one


def test_a_gate_of_an_older_manifest_still_loads() -> None:
    old = {
        "schema_version": 1,
        "reference": "source",
        "n": 5,
        "metric": 0.5,
        "metric_low": 0.1,
        "metric_high": 0.9,
        "reference_metric": 0.6,
    }

    assert decode(Fidelity, old).metric == 0.5
