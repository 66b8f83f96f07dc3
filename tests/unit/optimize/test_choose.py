"""Which candidate ships, and what a target's limits say of one."""

from dataclasses import replace

import pytest

from edgewise.optimize.choose import choose, over_limits, over_storage
from edgewise.records import Candidate, EdgeTier, Fidelity, Objective

MIB = 2**20


def candidate(
    name: str, metric: float = 0.9, p50_ms: float | None = 10.0, *, kept: bool = True
) -> Candidate:
    fidelity = Fidelity(
        reference="float32",
        n=100,
        metric=metric,
        metric_low=0.0,
        metric_high=1.0,
        reference_metric=0.9,
    )
    return Candidate(
        recipe=(name,),
        runtime="onnxruntime",
        size_bytes=10 * MIB,
        kept=kept,
        p50_ms=p50_ms,
        p95_ms=20.0,
        peak_memory_bytes=100 * MIB,
        fidelity=fidelity,
    )


def test_the_fastest_within_a_standard_error_of_the_best_is_chosen() -> None:
    # One standard error of 0.90 on 100 rows is sqrt(0.9 * 0.1 / 100) = 3 points.
    best, near, far = candidate("best"), candidate("near", 0.88, 5.0), candidate("far", 0.86, 1.0)

    chosen, marked = choose([best, near, far])

    assert chosen == 1
    assert marked[1].why == (
        "chosen: the fastest within one standard error (3.0%) of the best kept (90.0%)",
    )
    assert (marked[0], marked[2]) == (best, far)


def test_what_is_out_is_not_chosen_however_good() -> None:
    chosen, _ = choose([candidate("out", 0.99, 1.0, kept=False), candidate("in")])

    assert chosen == 1


def test_one_that_was_not_timed_is_chosen_last() -> None:
    chosen, _ = choose([candidate("untimed", p50_ms=None), candidate("slow", p50_ms=500.0)])

    assert chosen == 1


@pytest.mark.parametrize("all_of_them", [[], [candidate("out", kept=False)]])
def test_where_nothing_is_kept_nothing_is_chosen(all_of_them: list[Candidate]) -> None:
    assert choose(all_of_them) == (None, tuple(all_of_them))


def test_a_bundle_that_fits_exceeds_nothing() -> None:
    edge = EdgeTier(memory_bytes=100 * MIB, storage_bytes=10 * MIB)

    assert over_limits(candidate("one"), edge, Objective(latency_p95_ms=20.0)) == ()
    assert over_limits(candidate("one"), EdgeTier(), Objective()) == ()


def test_each_limit_that_is_exceeded_is_said_with_both_numbers() -> None:
    edge = EdgeTier(memory_bytes=64 * MIB, storage_bytes=8 * MIB)

    storage, memory, latency = over_limits(candidate("one"), edge, Objective(latency_p95_ms=15.0))

    assert storage == "10.0 MiB on disk, and storage is 8.0 MiB"
    assert memory == "peaks at 100.0 MiB, and memory is 64.0 MiB"
    assert latency == "p95 is 20 ms, and 15 ms is asked"


def test_storage_binds_before_anything_is_measured() -> None:
    assert over_storage(10, EdgeTier(storage_bytes=10)) == ()
    assert len(over_storage(11, EdgeTier(storage_bytes=10))) == 1


def test_without_labels_the_fastest_that_is_kept_is_chosen() -> None:
    def encoder(name: str, p50_ms: float, *, kept: bool = True) -> Candidate:
        found = Fidelity(reference="source", n=100, cosine=0.995)
        return replace(candidate(name, p50_ms=p50_ms, kept=kept), fidelity=found)

    chosen, marked = choose([encoder("a", 9.0), encoder("b", 5.0), encoder("c", 1.0, kept=False)])

    assert chosen == 1
    assert marked[1].why == ("chosen: the fastest of those that keep to the source",)
