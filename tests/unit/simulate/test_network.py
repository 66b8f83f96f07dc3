"""Networks from files: round trips in their time, and bytes at the rate of the moment."""

from pathlib import Path

import numpy as np
import pytest

from edgewise.errors import InvalidData
from edgewise.records import Policy, TierKind, TierPolicy
from edgewise.simulate import Network, TraceBlock, read_network, scenario_of, simulate


def network(folder: Path, text: str) -> Network:
    path = folder / "network.csv"
    path.write_text(text)
    return read_network(path)


def test_round_trips_hold_until_the_next_and_begin_anew(tmp_path: Path) -> None:
    found = network(tmp_path, "t_s,rtt_ms\n10,50\n11,100\n")

    moments = np.array([0.0, 0.5, 1.0, 1.9, 2.0])
    assert found.rtt_s(moments, np.zeros(5)).tolist() == [0.05, 0.05, 0.1, 0.1, 0.05]
    assert not found.has_rates
    assert found.up_s(moments, np.ones(5)).tolist() == [0.0] * 5


def test_moments_on_the_clock_of_the_network_are_found_on_it(tmp_path: Path) -> None:
    found = network(
        tmp_path, "t_s,rtt_ms,up_mbps\n1700000001,50,8\n1700000002,100,0.8\n1700000003,20,80\n"
    )

    moments = 1_700_000_000 + np.array([1.0, 2.5, 3.0, 4.5])
    found = found.laid(float(moments[0]))
    assert found.rtt_s(moments, np.zeros(4)).tolist() == [0.05, 0.1, 0.02, 0.05]
    # 100 kB take 0.1 s at 8 Mbit/s, 1 s at 0.8 and 10 ms at 80.
    took = found.up_s(moments, np.full(4, 1e5)).tolist()
    assert took == pytest.approx([0.1, 0.505, 0.01, 0.1], abs=1e-6)


@pytest.mark.parametrize("deadline_ms", [None, 1000.0])
@pytest.mark.parametrize(
    ("moments_s", "round_trips_ms"),
    [((0.0, 11.0), [20.0, 100.0]), ((10.0, 11.0), [20.0, 50.0]), ((14.0, 15.0), [50.0, 100.0])],
)
def test_a_trace_is_on_the_clock_of_the_network_from_its_first_request_on_or_not(
    tmp_path: Path,
    deadline_ms: float | None,
    moments_s: tuple[float, ...],
    round_trips_ms: list[float],
) -> None:
    measured = network(tmp_path, "t_s,rtt_ms\n10,20\n11,50\n12,100\n")
    cloud = TierPolicy(name="cloud", kind=TierKind.CLOUD)
    policy = Policy(task="t", labels=(), tiers=(cloud,), deadline_ms=deadline_ms)
    block = TraceBlock(
        first=0, t_s=np.array(moments_s), input_tokens=np.ones(2), output_tokens=np.ones(2)
    )

    found = simulate(scenario_of(policy, network=measured), [block], shares=(0.0, 1.0))

    # One that begins before 10 s has the network's first second at 0, also at 11 s.
    assert [ms for _, ms in found.latency_curve] == pytest.approx(round_trips_ms)


@pytest.mark.parametrize("deadline_ms", [None, 1000.0])
def test_requests_at_another_rate_stay_on_the_clock_of_the_network(
    tmp_path: Path, deadline_ms: float | None
) -> None:
    measured = network(tmp_path, "t_s,rtt_ms\n1700000000,50\n1700000001,100\n1700000002,20\n")
    cloud = TierPolicy(name="cloud", kind=TierKind.CLOUD)
    policy = Policy(task="t", labels=(), tiers=(cloud,), deadline_ms=deadline_ms)
    blocks = [
        TraceBlock(
            first=place,
            t_s=np.array([1_700_000_000.0 + 2 * place]),
            input_tokens=np.ones(1),
            output_tokens=np.ones(1),
        )
        for place in range(2)
    ]

    found = simulate(scenario_of(policy, network=measured, rate=2.0), blocks, shares=(0.0, 1.0))

    # They come at 0 and 2 s, and twice as fast at 0 and 1: at the first two round trips.
    assert [ms for _, ms in found.latency_curve] == pytest.approx([50.0, 100.0], rel=1e-4)
    assert found.arrivals is not None
    assert found.arrivals.span_s == 1.0


def test_round_trips_without_times_are_drawn(tmp_path: Path) -> None:
    found = network(tmp_path, "rtt_ms\n50\n100\n")

    assert found.rtt_s(np.zeros(2), np.array([0.4, 0.6])).tolist() == [0.05, 0.1]


def test_bytes_take_the_time_that_the_rates_leave_them(tmp_path: Path) -> None:
    # 1 MB in the first second, nothing in the second, 2 MB in the third; then anew.
    found = network(tmp_path, "t_s,up_mbps,down_mbps\n0,8,0\n1,0,8\n2,16,8\n")

    at_s = np.array([0.0, 0.5, 0.5, 1.2, 2.5, 0.0])
    sent = np.array([500_000.0, 500_000.0, 1_500_000.0, 1.0, 1_500_000.0, 0.0])
    took = found.up_s(at_s, sent).tolist()

    assert took == pytest.approx([0.5, 0.5, 2.0, 0.8 + 0.5e-6, 1.0, 0.0])
    assert found.has_rates
    assert not found.has_rtt
    assert found.down_s(np.array([0.0]), np.array([1e6])).tolist() == pytest.approx([2.0])


def test_bytes_that_end_with_the_rates_do_not_wait_while_the_link_stands_still(
    tmp_path: Path,
) -> None:
    found = network(tmp_path, "t_s,up_mbps\n0,0\n1,8\n2,0\n")

    # A megabyte a second, from the first second to the second.
    took_s = found.up_s(np.array([0.0, 1.0, 2.5, 0.0]), np.array([1e6, 1e6, 2e6, 0.0]))

    assert took_s.tolist() == pytest.approx([2.0, 1.0, 5.5, 0.0])


def test_a_whole_period_may_pass(tmp_path: Path) -> None:
    found = network(tmp_path, "t_s,ul_kbps,dl_kbps\n0,8,8\n1,8,8\n")

    assert found.up_s(np.array([0.25]), np.array([5_250.0])).tolist() == pytest.approx([5.25])


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("t_s,delay\n0,1\n", ":1", "neither round trips nor rates are in it"),
        ("rtt_ms\n", "network.csv", "the network trace is empty"),
        ("rtt_ms\n5\n-1\n", ":3", "`rtt_ms` is no number from 0 on: `-1`"),
        ("rtt_ms\nfast\n", ":2", "`rtt_ms` is no number from 0 on: `fast`"),
        ("up_mbps\n5\n", ":1", "rates without `t_s`"),
        ("t_s,rtt_ms\n0,5\n1,5\n1,5\n", ":4", "`t_s` does not rise"),
        ("t_s,rtt_ms\n0,5\n\n\n1,5\n\n1,5\n", ":7", "`t_s` does not rise"),
        ("t_s,up_mbps\n0,0\n1,0\n", "network.csv", "a rate is 0 all the time"),
    ],
)
def test_a_mistake_in_a_network_is_named(tmp_path: Path, text: str, where: str, what: str) -> None:
    with pytest.raises(InvalidData) as caught:
        network(tmp_path, text)

    assert caught.value.what == what
    assert caught.value.where.endswith(where)
    assert caught.value.hint


def test_an_absent_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        read_network(tmp_path / "none.csv")

    assert caught.value.what.startswith("can't be read")
    assert caught.value.where.endswith("none.csv")
    assert caught.value.hint


def test_blanks_after_the_commas_of_a_header_are_no_part_of_names(tmp_path: Path) -> None:
    found = network(tmp_path, "rtt_ms, t_s, up_mbps\n50, 10, 8\n100, 11, 8\n")

    assert found.has_rates
    assert found.rtt_s(np.array([0.0, 1.0]), np.array([0.9, 0.0])).tolist() == [0.05, 0.1]
