"""Joules from counters, and why there are none."""

from pathlib import Path

import pytest

from edgewise.profile.energy import Counters, energy_of, joules_between, read_counters


def zone(root: Path, name: str, microjoules: int, reach: int = 1_000_000) -> None:
    (root / name).mkdir(exist_ok=True)
    (root / name / "energy_uj").write_text(f"{microjoules}\n")
    (root / name / "max_energy_range_uj").write_text(f"{reach}\n")


def test_packages_are_added_up_and_their_parts_are_not(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 100)
    zone(tmp_path, "intel-rapl:0:0", 7)
    zone(tmp_path, "intel-rapl:1", 500)
    before = read_counters(tmp_path)
    zone(tmp_path, "intel-rapl:0", 300_100)
    zone(tmp_path, "intel-rapl:0:0", 90_007)
    zone(tmp_path, "intel-rapl:1", 200_500)

    joules, how = joules_between(before, read_counters(tmp_path))

    assert joules == pytest.approx(0.5)
    assert how == "RAPL, 2 package(s), with all else that ran meanwhile"


def test_a_counter_that_started_again_is_followed(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 900_000)
    before = read_counters(tmp_path)
    zone(tmp_path, "intel-rapl:0", 100_000)

    assert joules_between(before, read_counters(tmp_path))[0] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "the machine shows no RAPL counters"), ("prose", "the RAPL counters can't be read")],
)
def test_a_machine_that_can_not_tell_says_why(
    tmp_path: Path, content: str | None, why: str
) -> None:
    if content is not None:
        zone(tmp_path, "intel-rapl:0", 1)
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text(content)

    joules, how = joules_between(read_counters(tmp_path), read_counters(tmp_path))

    assert joules is None
    assert why in how


def test_a_counter_that_stands_still_measured_nothing() -> None:
    still = Counters(microjoules={"intel-rapl:0": 5}, range_microjoules={"intel-rapl:0": 9})

    assert joules_between(still, still) == (None, "the RAPL counters did not move")


def test_energy_is_shared_among_requests_and_says_its_origin() -> None:
    told = energy_of(5.0, "RAPL", 200)
    silent = energy_of(None, "no counters", 200)

    assert (told.joules_per_request, told.origin, told.how) == (0.025, "measured", "RAPL")
    assert (silent.joules_per_request, silent.origin) == (None, "not measured")
    assert silent.how == "no counters"
