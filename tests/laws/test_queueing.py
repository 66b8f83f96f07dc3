"""Laws of queues: what stations do is what the closed forms and the definitions say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.simulate.queueing import (
    erlang_b,
    erlang_c,
    md1_wait_s,
    mg1_wait_s,
    mmc_wait_s,
)
from edgewise.simulate.stations import EachDevice, ManyServers, OneServer, Unlimited, station_of

JOBS = st.lists(
    st.tuples(st.integers(0, 8).map(lambda k: k / 4), st.integers(0, 12).map(lambda k: k / 4)),
    min_size=1,
    max_size=40,
)
"""Gaps and service times in quarters, so that sums are exact and moments meet."""


def slowly(arrivals: list[float], services: list[float], servers: int) -> list[float]:
    """Each request, in file order, takes the server that is free first."""
    free = [-math.inf] * servers
    begins = []
    for arrival, takes in zip(arrivals, services, strict=True):
        which = min(range(servers), key=lambda one: free[one])
        begins.append(max(arrival, free[which]))
        free[which] = begins[-1] + takes
    return begins


@settings(max_examples=100, deadline=None)
@given(jobs=JOBS, servers=st.integers(1, 4), cut=st.integers(0, 40))
def test_a_station_serves_first_come_first_served_in_any_blocks(
    jobs: list[tuple[float, float]], servers: int, cut: int
) -> None:
    arrivals = np.cumsum([gap for gap, _ in jobs])
    services = np.array([takes for _, takes in jobs])

    station = station_of(servers)
    parts = [
        station.begin(arrivals[part], services[part], None)
        for part in (slice(0, cut), slice(cut, None))
    ]

    expected = slowly(arrivals.tolist(), services.tolist(), servers)
    assert np.concatenate(parts).tolist() == expected


@settings(max_examples=50, deadline=None)
@given(jobs=JOBS, servers=st.integers(1, 3))
def test_another_server_never_makes_a_request_begin_later(
    jobs: list[tuple[float, float]], servers: int
) -> None:
    arrivals = np.cumsum([gap for gap, _ in jobs])
    services = np.array([takes for _, takes in jobs])

    few = station_of(servers).begin(arrivals, services, None)
    more = station_of(servers + 1).begin(arrivals, services, None)
    enough = station_of(None).begin(arrivals, services, None)

    assert (more <= few).all()
    assert (enough == arrivals).all()


@settings(max_examples=50, deadline=None)
@given(jobs=JOBS, servers=st.integers(1, 2), seed=st.integers(0, 99))
def test_devices_do_not_wait_for_each_other(
    jobs: list[tuple[float, float]], servers: int, seed: int
) -> None:
    arrivals = np.cumsum([gap for gap, _ in jobs])
    services = np.array([takes for _, takes in jobs])
    devices = np.random.default_rng(seed).integers(0, 3, len(jobs))

    begins = EachDevice(servers).begin(arrivals, services, devices)

    for device in range(3):
        mine = devices == device
        expected = slowly(arrivals[mine].tolist(), services[mine].tolist(), servers)
        assert begins[mine].tolist() == expected


def test_stations_follow_from_the_number_of_servers() -> None:
    assert isinstance(station_of(None), Unlimited)
    assert isinstance(station_of(1), OneServer)
    assert isinstance(station_of(2), ManyServers)
    assert isinstance(station_of(None, each_device=True), EachDevice)


def test_erlangs_formulas_give_the_numbers_of_the_tables() -> None:
    assert erlang_b(2.0, 3) == pytest.approx(4 / 19)
    assert erlang_c(2.0, 3) == pytest.approx(4 / 9)
    assert erlang_c(3.0, 3) == 1.0
    assert mmc_wait_s(0.5, 1.0, 1) == pytest.approx(1.0)
    assert mmc_wait_s(2.0, 1.0, 3) == pytest.approx(4 / 9)
    assert mmc_wait_s(3.0, 1.0, 3) == math.inf


def test_one_servers_forms_agree() -> None:
    assert mg1_wait_s(0.5, 1.0, 1.0) == pytest.approx(mmc_wait_s(0.5, 1.0, 1))
    assert md1_wait_s(0.5, 1.0) == pytest.approx(0.5)
    assert mg1_wait_s(1.0, 1.0, 1.0) == math.inf
