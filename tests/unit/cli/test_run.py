"""A run as people read it."""

from dataclasses import replace

import pytest

from edgewise.cli.run import show_summary
from edgewise.records import (
    BundleSummary,
    Candidate,
    CertificateSummary,
    Fidelity,
    MonthlyUsd,
    PlanSummary,
    ProfileSummary,
    Quality,
    RunSummary,
    SourceSummary,
)

KEPT = Candidate(
    recipe=("cut 1", "int8-dynamic"),
    runtime="onnxruntime",
    size_bytes=2_000_000,
    p50_ms=3.0,
    peak_memory_bytes=64 * 2**20,
    fidelity=Fidelity(
        reference="float32",
        n=60,
        metric=0.9,
        metric_low=0.8,
        metric_high=0.95,
        reference_metric=0.91,
        agreement=0.98,
    ),
    kept=True,
)
OUT = Candidate(
    recipe=("float32",), runtime="onnxruntime", size_bytes=8_000_000, kept=False, why=("too large",)
)
RUN = RunSummary(
    name="tiny",
    out="runs/tiny",
    bundle=BundleSummary(
        path="runs/tiny/bundle",
        sha256="ab",
        size_bytes=2_000_000,
        runtime="onnxruntime",
        recipe=("cut 1", "int8-dynamic"),
    ),
    source=SourceSummary(path="model", sha256="cd", size_bytes=8_000_000),
    profile=ProfileSummary(p50_ms=3, p95_ms=5, peak_memory_bytes=64 * 2**20, cold_start_ms=200),
    quality=Quality(metric="accuracy", edge=0.9, cloud=0.95, hybrid=0.94, source=0.91, n=100),
    certificate=CertificateSummary(
        state="certified",
        loss="net",
        alpha=0.02,
        delta=0.05,
        n=1000,
        threshold=0.8,
        deferral_rate=0.25,
        bound=0.015,
    ),
    plan=PlanSummary(
        recommendation="Run hybrid.",
        feasible=True,
        monthly_usd=MonthlyUsd(edge=200, cloud=2000, hybrid=700),
        break_even_requests_per_month=133_333,
        reasons=("edge: quality binds",),
    ),
    candidates=(KEPT, OUT),
    done=("optimize",),
)


def shown(run: RunSummary, capsys: pytest.CaptureFixture[str]) -> list[str]:
    show_summary(run)
    return capsys.readouterr().out.splitlines()


def test_a_run_is_read_from_its_recommendation_to_its_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = shown(RUN, capsys)

    assert lines[1] == "Run hybrid."
    assert lines[-1] == "runs/tiny/report.html"
    whole = "\n".join(lines)
    assert "25% of the source (cut 1 → int8-dynamic)" in whole
    assert (
        "edge 90.0%, source 91.0%, cloud 95.0%, hybrid 94.0% (accuracy on 100 test rows)" in whole
    )
    assert "certified: net loss ≤ 2.0% at 95% confidence (n = 1000), deferring 25.0%" in whole
    assert "edge 200 USD, cloud 2,000 USD, hybrid 700 USD" in whole
    assert "             edge: quality binds" in lines


def test_each_candidate_is_a_row_that_says_why_it_is_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = shown(RUN, capsys)

    kept = next(line for line in lines if line.startswith("cut 1 → int8-dynamic"))
    out = next(line for line in lines if line.startswith("float32"))
    assert kept.split()[-3:] == ["90.0%", "98.0%", "kept"]
    assert out.count("–") == 4
    assert out.endswith("too large")


def test_a_run_with_nothing_to_do_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(replace(RUN, done=()), capsys)

    assert lines[0] == "nothing changed, nothing done: runs/tiny is up to date"


def test_without_a_certificate_its_reasons_stand_there(capsys: pytest.CaptureFixture[str]) -> None:
    none = replace(
        RUN.certificate, state="uncertified", threshold=None, reasons=("10 labels are too few",)
    )

    lines = shown(replace(RUN, certificate=none), capsys)

    at = lines.index("certificate  uncertified")
    assert lines[at + 1].strip() == "10 labels are too few"


def test_without_a_cloud_only_the_edge_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    alone = replace(
        RUN,
        quality=replace(RUN.quality, cloud=None, hybrid=None),
        plan=replace(RUN.plan, monthly_usd=MonthlyUsd(edge=200, cloud=None, hybrid=None)),
    )

    lines = shown(alone, capsys)

    assert "quality      edge 90.0%, source 91.0% (accuracy on 100 test rows)" in lines
    assert "a month      edge 200 USD" in lines
