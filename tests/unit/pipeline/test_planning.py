"""A run's plan replays the workload's trace once, with what was measured."""

from dataclasses import replace
from pathlib import Path

import plan_numbers
import pytest
from plan_numbers import basis

from edgewise.errors import InvalidData
from edgewise.pipeline.cache import Cache
from edgewise.pipeline.planning import check_trace, plan_measured
from edgewise.records import (
    DataSpec,
    LatencyBucket,
    ModelSpec,
    ProjectSpec,
    Task,
)

KNOWN = replace(plan_numbers.KNOWN, p95_ms=10, edge_loss=0.0)
PROFILE = replace(
    plan_numbers.PROFILE,
    p95_ms=10,
    p99_ms=10,
    buckets=(
        LatencyBucket(above_length=0, up_to_length=10, n=25, p50_ms=5, p95_ms=5, p99_ms=5),
        LatencyBucket(above_length=10, up_to_length=99, n=25, p50_ms=50, p95_ms=50, p99_ms=50),
    ),
)


def project(folder: Path, trace: str | None) -> ProjectSpec:
    given = basis()
    return ProjectSpec(
        name="tiny",
        task=Task.TEXT_CLASSIFICATION,
        model=ModelSpec(source=Path("model")),
        data=DataSpec(train=Path("a"), calibration=Path("b"), test=Path("c")),
        cloud=given.cloud,
        workload=given.workload,
        trace=None if trace is None else folder / trace,
        path=folder / "edgewise.yaml",
    )


def test_the_profile_gives_the_times_by_length_and_the_replay_is_kept(tmp_path: Path) -> None:
    rows = "".join(f"{n},{10 if n % 2 else 20},1\n" for n in range(100))
    (tmp_path / "r.csv").write_text(f"t_s,input_tokens,output_tokens\n{rows}")
    spec, first, later = project(tmp_path, "r.csv"), Cache(tmp_path / "c"), Cache(tmp_path / "c")

    found = plan_measured(spec, PROFILE, KNOWN, first)
    same = plan_measured(spec, PROFILE, KNOWN, later)
    slower = plan_measured(spec, replace(PROFILE, buckets=()), KNOWN, later)

    edge = dict(found.latency[0].points)
    assert [edge[0.25], edge[0.75]] == pytest.approx([5.0, 50.0])
    assert same == found
    assert (first.done, later.cached, later.done) == (["replay"], ["replay"], ["replay"])
    assert dict(slower.latency[0].points)[0.75] == pytest.approx(10.0)


def test_a_replay_says_how_far_the_profiles_lognormals_are_off(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("t_s,input_tokens,output_tokens\n0,1,1\n1,1,1\n")
    spread = replace(
        PROFILE, p50_ms=10, p95_ms=20, buckets=(), latency_quantiles=((0.9, 10.0), (0.95, 20.0))
    )

    found = plan_measured(project(tmp_path, "r.csv"), spread, KNOWN, Cache(tmp_path / "c"))

    words = (
        "edge: latencies are lognormal with the measured p50 and p95, off by up to 40.0% of the "
    )
    assert any(one.source.startswith(words) for one in found.figures)


def test_without_a_trace_nothing_is_replayed(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c")

    found = plan_measured(project(tmp_path, None), PROFILE, KNOWN, cache)

    assert (found.replay, cache.done) == (None, [])
    check_trace(project(tmp_path, None))


def test_a_trace_that_can_not_be_is_told_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("t_s,input_tokens,output_tokens\n1,1,1\n0,1,1\n")

    with pytest.raises(InvalidData) as caught:
        check_trace(project(tmp_path, "r.csv"))

    assert caught.value.where == f"{tmp_path / 'r.csv'}:3"
    assert caught.value.what.startswith("out of order")
    assert caught.value.hint == "sort the rows by t_s"
