"""The page of candidates: whole, self-contained, and true to the numbers."""

import csv
import html
import io
import re
from dataclasses import replace

from edgewise.records import (
    CandidateRow,
    Certificate,
    CertificateState,
    Loss,
    OptimizeSummary,
    SkippedRuntime,
    Target,
    Task,
)
from edgewise.report import render_calibration, render_candidates
from edgewise.report.candidates import quality_by_latency

SLOW = CandidateRow(
    recipe=("float32",),
    runtime="onnxruntime",
    threads=1,
    size_bytes=4000,
    p50_ms=8.0,
    p95_ms=9.0,
    peak_memory_bytes=4096,
    cosine=None,
    agreement=None,
    metric=0.9,
    kept=True,
    why=(),
)
FAST = replace(SLOW, recipe=("int8-dynamic",), size_bytes=1000, p95_ms=3.0, metric=0.89)
OUT = replace(
    SLOW, recipe=("<int4>",), p50_ms=None, p95_ms=None, peak_memory_bytes=None, kept=False
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
        cpu_features=(),
        cores=2,
        memory_bytes=8,
        threads=1,
        runtime="onnxruntime",
        runtime_version="1.0",
    ),
    candidates=(SLOW, FAST, OUT),
    chosen=FAST,
    pareto=(0, 1),
    skipped_runtimes=(),
    bundle_sha256="cc",
)


def test_a_measured_candidate_is_a_dot_whose_area_is_its_bytes() -> None:
    radii = [float(found) for found in re.findall(r'r="([0-9.]+)"', quality_by_latency(SUMMARY))]

    # A quarter of the bytes is half the radius; the one that was out has no dot.
    assert radii == [18.0, 9.0]


def test_the_front_joins_those_that_none_beats_from_fast_to_slow() -> None:
    drawn = quality_by_latency(SUMMARY)

    (line,) = re.findall(r'<polyline[^>]* points="([^"]*)"', drawn)
    xs = [float(point.split(",")[0]) for point in line.split()]
    assert len(xs) == 2
    assert xs == sorted(xs)


def test_the_page_needs_nothing_from_outside_and_escapes_what_it_shows() -> None:
    page = render_candidates(SUMMARY)

    assert "http" not in page.replace("http-equiv", "")
    assert "&lt;int4&gt;" in page
    assert "<int4>" not in page
    assert "25% of the source" in page


def test_a_page_without_a_choice_or_a_measured_candidate_says_so() -> None:
    page = render_candidates(replace(SUMMARY, candidates=(OUT,), chosen=None, pareto=()))

    assert "nothing may ship" in page
    assert "<svg" not in page


def test_the_tables_of_the_page_copy_as_csv() -> None:
    skipped = SkippedRuntime(runtime="litert", why="not installed", command="pip install litert")

    page = render_candidates(replace(SUMMARY, skipped_runtimes=(skipped,)))

    first, second = (
        list(csv.reader(io.StringIO(html.unescape(text))))
        for text in re.findall(r'<pre class="csv">(.*?)</pre>', page, re.DOTALL)
    )
    assert [len(row) for row in first] == [12] * (1 + len(SUMMARY.candidates))
    assert [row[10] for row in first[1:]] == ["●", "●", ""]
    assert [row[11].split(";")[0] for row in first[1:]] == ["kept", "kept", "out"]
    assert second == [["runtime", "why", "mend"], ["litert", "not installed", "pip install litert"]]
    assert page.count("<summary>as CSV</summary>") == 2


def test_what_a_threshold_would_cost_copies_as_csv() -> None:
    certificate = Certificate(
        state=CertificateState.UNCERTIFIED,
        loss=Loss.NET,
        alpha=0.02,
        delta=0.05,
        n=100,
        threshold=None,
        deferral_rate=1.0,
        bound=None,
        reasons=("no threshold holds",),
        bundle_sha256="aa",
        calibration_sha256="bb",
    )

    page = render_calibration("tiny", certificate, [(0.0, 0.04, 0.09), (0.5, 0.001, 0.0234)])

    (copied,) = re.findall(r'<pre class="csv">(.*?)</pre>', page, re.DOTALL)
    assert list(csv.reader(io.StringIO(html.unescape(copied)))) == [
        ["share sent to the cloud", "net loss seen", "limit of the net loss"],
        ["0.00%", "4.000%", "9.000%"],
        ["50.00%", "0.100%", "2.340%"],
    ]
