"""The choice of runtime and threads, by races whose outcome is given."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_project import write_project

from edgewise.optimize.lanes import Lane, Race, choose_lane, thread_counts
from edgewise.optimize.workbench import Made, Workbench
from edgewise.profile import describe_target
from edgewise.records import (
    Comparison,
    Contender,
    DataSpec,
    EdgeTier,
    Input,
    LatencyBucket,
    ModelSpec,
    OptimizeSpec,
    Profile,
    ProjectSpec,
    Task,
    silent,
)
from edgewise.runtimes import read_manifest
from edgewise.spec import read_sample

MIB = 2**20


@pytest.mark.parametrize(
    ("most", "counts"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8))]
)
def test_powers_of_two_and_the_most_are_tried(most: int, counts: tuple[int, ...]) -> None:
    assert thread_counts(most) == counts


def bench_of(folder: Path, memory_bytes: int | None = None) -> Workbench:
    """Give a workbench of the tiny encoder whose probe finds 10 MiB a thread."""
    write_project(folder)
    _, data = read_sample(folder / "train.csv")
    path = folder / "train.csv"
    spec = ProjectSpec(
        name="tiny",
        task=Task.FEATURE_EXTRACTION,
        model=ModelSpec(source=folder / "model"),
        data=DataSpec(train=path, calibration=path, test=path),
        edge=EdgeTier(threads=2, memory_bytes=memory_bytes),
        optimize=OptimizeSpec(),
    )

    def probe(bundle: Path, inputs: Sequence[Input]) -> Profile:
        threads = read_manifest(bundle).threads
        return Profile(
            bundle_sha256="",
            target=describe_target(threads, "onnxruntime"),
            n=len(inputs),
            cold_start_ms=1.0,
            load_ms=1.0,
            p50_ms=4.0 / threads,
            p95_ms=8.0 / threads,
            p99_ms=9.0,
            buckets=tuple[LatencyBucket, ...](),
            peak_memory_bytes=10 * MIB * threads,
            size_bytes=1,
        )

    bench = Workbench(spec, data, folder / "work", probe=probe, workers=1, progress=silent)
    bench.train_heads((2,))
    return bench


def race_of(ratio: float, high: float, seen: list[Lane]) -> Race:
    """Give a race in which every lane with two threads has this ratio, and the others 1.5."""

    def race(lanes: Sequence[Lane], inputs: Sequence[Input]) -> Comparison:
        seen.extend(lanes)
        contenders = tuple(
            Contender(
                bundle=str(lane.bundle),
                bundle_sha256="",
                runtime=lane.runtime,
                threads=lane.threads,
                p50_ms=1.0,
                p95_ms=1.0,
                ratio=1.0 if lane == lanes[0] else ratio if lane.threads == 2 else 1.5,
                ratio_low=ratio,
                ratio_high=1.0 if lane == lanes[0] else high if lane.threads == 2 else 1.6,
            )
            for lane in lanes
        )
        return Comparison(
            target=describe_target(1, "onnxruntime"),
            sittings=1,
            rounds=1,
            inputs_per_round=len(inputs),
            confidence=0.95,
            contenders=contenders,
        )

    return race


def first_of(bench: Workbench) -> Made:
    return bench.measure(bench.make(2, ("int8-dynamic",)))


def test_a_faster_lane_takes_the_place_with_its_own_measured_figures(tmp_path: Path) -> None:
    bench, seen = bench_of(tmp_path), list[Lane]()
    made = first_of(bench)

    found = choose_lane(bench, [(made.path, made.candidate)], race_of(0.5, 0.6, seen))

    assert seen[0] == Lane(bundle=made.path, runtime="onnxruntime", threads=1)
    assert found.winner is not None
    assert (found.lane.threads, found.winner.threads) == (2, 2)
    assert (found.winner.p50_ms, found.winner.peak_memory_bytes) == (2.0, 20 * MIB)
    assert found.winner.why[0].startswith("2.00 times as fast as on onnxruntime with 1 thread(s)")
    manifest = read_manifest(found.lane.bundle)
    assert (manifest.runtime, manifest.threads) == (found.winner.runtime, 2)
    assert manifest.fidelity == found.winner.fidelity


def test_a_lane_whose_interval_reaches_one_does_not_take_the_place(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    made = first_of(bench)

    found = choose_lane(bench, [(made.path, made.candidate)], race_of(0.9, 1.0, []))

    assert found.winner is None
    assert found.lane == Lane(bundle=made.path, runtime="onnxruntime", threads=1)


def test_a_faster_lane_beyond_the_memory_is_out_with_the_reason(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, memory_bytes=15 * MIB)
    made = first_of(bench)

    found = choose_lane(bench, [(made.path, made.candidate)], race_of(0.5, 0.6, []))

    assert found.winner is None
    assert all(not one.kept for one in found.tried)
    assert found.tried[0].why == ("peaks at 20.0 MiB, and memory is 15.0 MiB",)


def test_a_runtime_that_does_not_read_the_form_is_skipped_with_the_reason(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    made = first_of(bench)

    found = choose_lane(bench, [(made.path, made.candidate)], race_of(1.5, 1.6, []))

    assert "litert" in [fit.runtime for fit in found.skipped]
    assert all(fit.why for fit in found.skipped)


def test_a_finalist_that_is_faster_in_turn_takes_the_place_of_the_first(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    first = first_of(bench)
    other = bench.measure(bench.make(2, ("smooth", "int8-dynamic")))
    quick = replace(other.candidate, threads=2)  # the race is told by the number of threads
    finalists = [(first.path, first.candidate), (other.path, quick)]

    found = choose_lane(bench, finalists, race_of(0.5, 0.6, []))
    stays = choose_lane(bench, finalists, race_of(0.5, 1.0, []))

    assert (found.finalist, found.winner) == (1, None)
    assert found.lane == Lane(bundle=other.path, runtime="onnxruntime", threads=2)
    assert (stays.finalist, stays.lane.bundle) == (0, first.path)
