"""Samples to percentiles and buckets; inputs to a file; the probe's last words to an error."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import (
    EdgewiseError,
    IntegrityError,
    InvalidData,
    InvalidModel,
    MissingExtra,
    UsageError,
)
from edgewise.profile import measure
from edgewise.profile.measure import batch_latency, buckets, percentile
from edgewise.profile.spawn import ended_early, understand, write_inputs
from edgewise.records import Input

TIMES = st.floats(0.001, 1e6)
SAMPLES = st.lists(st.tuples(st.integers(0, 3000), TIMES), min_size=1, max_size=200)


@given(st.lists(TIMES, min_size=1), st.floats(0, 1))
def test_a_percentile_is_the_one_that_numpy_gives(times: list[float], share: float) -> None:
    ordered = sorted(times)

    assert percentile(ordered, share) == pytest.approx(np.quantile(times, share), rel=1e-9)


def test_percentiles_by_hand() -> None:
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([1.0, 2.0, 3.0, 4.0, 5.0], 0.5) == 3.0
    assert percentile([0.0, 10.0], 0.95) == pytest.approx(9.5)


def test_samples_are_grouped_in_powers_of_two() -> None:
    samples = [(length, float(length)) for length in range(1, 41)]

    found = [(b.above_length, b.up_to_length, b.n) for b in buckets(samples)]

    assert found == [(0, 8, 8), (8, 16, 8), (16, 32, 16), (32, 40, 8)]


def test_a_group_of_few_joins_the_next_longer_one() -> None:
    samples = [(4, 1.0)] * 4 + [(12, 3.0)] * 6

    (only,) = buckets(samples)

    assert (only.above_length, only.up_to_length, only.n) == (0, 12, 10)
    assert only.p50_ms == 3.0


def test_the_longest_few_stand_alone_so_their_latency_is_not_hidden() -> None:
    short, long = buckets([(4, 1.0)] * 100 + [(300, 50.0)])

    assert (short.up_to_length, short.p95_ms) == (8, 1.0)
    assert (long.above_length, long.up_to_length, long.n, long.p95_ms) == (8, 300, 1, 50.0)


def test_images_of_one_size_are_one_bucket() -> None:
    (only,) = buckets([(784, 2.0)] * 10)

    assert (only.above_length, only.up_to_length, only.n) == (0, 784, 10)


@given(SAMPLES)
def test_buckets_join_up_and_hold_every_sample(samples: list[tuple[int, float]]) -> None:
    found = buckets(samples)

    assert found[0].above_length == 0
    assert found[-1].up_to_length == max(1, *(length for length, _ in samples))
    assert [b.up_to_length for b in found[:-1]] == [b.above_length for b in found[1:]]
    assert sum(b.n for b in found) == len(samples)
    assert all(b.p50_ms <= b.p95_ms <= b.p99_ms for b in found)


def test_arrays_and_bytes_travel_as_files(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    inputs: list[Input] = [
        {"image": pixels},
        {"image": b"\x89PNG"},
        {"image": Path("a.png"), "text": "é"},
    ]

    array, encoded, path = json.loads(write_inputs(tmp_path, inputs).read_text(encoding="utf-8"))

    assert np.array_equal(np.load(array["image"]), pixels)
    assert Path(encoded["image"]).read_bytes() == b"\x89PNG"
    assert path == {"image": "a.png", "text": "é"}


def test_an_input_that_can_not_travel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        write_inputs(tmp_path, [{"text": object()}])

    assert caught.value.what.startswith("an input can't be handed to another process: ")
    assert caught.value.where == "profile"
    assert caught.value.hint == "give text, numbers, paths, arrays"


def test_nothing_can_not_be_measured(tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        measure(tmp_path, [])

    assert caught.value.what == "no inputs to measure with"
    assert caught.value.where == "profile"
    assert caught.value.hint == "give some examples"


def test_no_repeats_measure_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        measure(tmp_path, [{"text": "a"}], repeats=0)

    assert caught.value.what == "repeats is 0"
    assert caught.value.where == "profile"
    assert caught.value.hint == "give at least 1"


@pytest.mark.parametrize("kind", [IntegrityError, InvalidModel, MissingExtra])
def test_the_childs_error_is_passed_on(kind: type[EdgewiseError]) -> None:
    error = {"what": "it broke", "where": "a file", "hint": "mend it"}

    with pytest.raises(kind) as caught:
        understand(json.dumps({"error": error, "kind": kind.__name__}) + "\n")

    assert type(caught.value) is kind
    assert (caught.value.what, caught.value.where, caught.value.hint) == (
        "it broke",
        "a file",
        "mend it",
    )


@pytest.mark.parametrize(
    ("code", "trouble", "what"),
    [
        (-9, "", "the model's process ended early (killed by signal 9)"),
        (0, "", "the model's process ended early (exit code 0)"),
        (
            1,
            "Traceback\nMemoryError\n",
            "the model's process ended early (exit code 1): MemoryError",
        ),
    ],
)
def test_a_process_that_ends_early_is_the_models_fault(code: int, trouble: str, what: str) -> None:
    failure = ended_early(code, trouble, "bundle")

    assert isinstance(failure, InvalidModel)
    assert failure.what == what
    assert failure.where == "bundle"
    assert failure.hint == "is there enough memory for this model?"


def test_a_batch_counts_as_many_requests_as_it_holds() -> None:
    found = batch_latency(8, [30.0, 10.0, 20.0, 40.0], 5)

    assert (found.size, found.n, found.p50_ms, found.peak_memory_bytes) == (8, 4, 25.0, 5)
    assert found.requests_per_s == pytest.approx(32 / 0.1)


def test_a_batch_of_none_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        measure(tmp_path, [{"text": "a"}], batches=[8, 0])

    assert caught.value.what == "a batch of 0"
    assert caught.value.where == "batches"
    assert caught.value.hint == "give sizes of at least 1, such as 1,8,32"
