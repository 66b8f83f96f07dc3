"""Samples to percentiles and buckets; inputs to a file; the probe's last words to an error."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import EdgewiseError, IntegrityError, InvalidData, InvalidModel, MissingExtra
from edgewise.profile import measure
from edgewise.profile.measure import buckets, percentile, understand, write_inputs
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


def message(kind: str) -> list[str]:
    error = {"what": "it broke", "where": "a file", "hint": "mend it"}
    return [json.dumps({"error": error, "kind": kind}) + "\n"]


@pytest.mark.parametrize("kind", [IntegrityError, InvalidModel, MissingExtra])
def test_the_probes_error_is_passed_on(kind: type[EdgewiseError]) -> None:
    with pytest.raises(kind) as caught:
        understand(message(kind.__name__), 1, "", "bundle")

    assert type(caught.value) is kind
    assert (caught.value.what, caught.value.where, caught.value.hint) == (
        "it broke",
        "a file",
        "mend it",
    )


@pytest.mark.parametrize(
    ("lines", "code", "trouble", "what"),
    [
        ([], -9, "", "the model's process ended early (killed by signal 9)"),
        (['{"first": true}\n'], 0, "", "the model's process ended early (exit code 0)"),
        (['{"first": true}\n', '{"load'], -11, "", "ended early (killed by signal 11)"),
        ([""], 1, "Traceback\nMemoryError\n", "ended early (exit code 1): MemoryError"),
    ],
)
def test_a_process_that_ends_early_is_the_models_fault(
    lines: list[str], code: int, trouble: str, what: str
) -> None:
    with pytest.raises(InvalidModel) as caught:
        understand(lines, code, trouble, "bundle")

    assert what in caught.value.what
    assert caught.value.where == "bundle"
    assert caught.value.hint == "is there enough memory for this model?"
