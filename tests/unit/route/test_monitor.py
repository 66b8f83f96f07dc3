"""The passive view of a tier and its link, on a virtual clock."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.records import BreakerRules, Policy, RetryRules, TierKind, TierPolicy
from edgewise.route.allowance import Allowance
from edgewise.route.breaker import CircuitState
from edgewise.route.link import LinkEstimate
from edgewise.route.monitor import TierMonitor

CLOUD = TierPolicy(
    name="cloud", kind=TierKind.CLOUD, rtt_p50_ms=60.0, rtt_p95_ms=180.0, max_in_flight=2
)
POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(CLOUD,),
    breaker=BreakerRules(window=4, minimum_calls=2, failure_share=0.5, open_s=2.0),
    retry=RetryRules(share=0.5, burst=1.0),
)


def watch(*, remote: bool = True) -> TierMonitor:
    return TierMonitor(CLOUD, POLICY, remote=remote)


def test_the_policys_latencies_hold_until_enough_were_seen() -> None:
    link = LinkEstimate(60.0, 180.0)

    for latency_ms in (1.0, 2.0, 3.0, 4.0):
        link.add(latency_ms, 0.0)
    before = (link.p50_ms, link.p95_ms)
    link.add(5.0, 0.0)

    assert before == (60.0, 180.0)
    assert (link.p50_ms, link.p95_ms) == (3.0, 5.0)


def test_what_was_seen_is_forgotten_after_a_minute() -> None:
    link = LinkEstimate(60.0, 180.0)
    for _ in range(5):
        link.add(900.0, 0.0)
    link.arrived(whole=False)

    link.forget(60.0)
    then = (link.p50_ms, link.loss_share)
    link.forget(60.1)

    assert then[0] == 900.0
    assert math.isclose(then[1], 0.1)
    assert (link.p50_ms, link.p95_ms, link.loss_share) == (60.0, 180.0, 0.0)


def test_a_timeout_counts_only_where_it_tells_of_a_slower_tier() -> None:
    link = LinkEstimate(60.0, 180.0)
    for _ in range(5):
        link.add(50.0, 0.0, censored=True)
    short = link.p50_ms
    for _ in range(5):
        link.add(500.0, 0.0, censored=True)

    assert (short, link.p50_ms) == (60.0, 500.0)


@given(st.floats(1.0, 500.0), st.floats(0.0001, 1.0), st.permutations(range(1, 41)))
def test_bandwidth_is_read_from_inputs_of_different_sizes(
    rtt_ms: float, ms_per_byte: float, sizes: list[int]
) -> None:
    link = LinkEstimate(60.0, 180.0)

    for size in sizes:
        link.add(rtt_ms + ms_per_byte * 1000 * size, 0.0, sent_bytes=1000 * size)

    assert math.isclose(link.ms_per_byte, ms_per_byte, rel_tol=1e-6)
    assert math.isclose(link.p50_ms, rtt_ms, rel_tol=1e-3, abs_tol=0.01)


def test_what_can_not_be_told_from_noise_is_no_bandwidth() -> None:
    alike, noisy, falling = (LinkEstimate(60.0, 180.0) for _ in range(3))

    for index in range(20):
        alike.add(50.0 + index, 0.0, sent_bytes=100)
        noisy.add((10.0, 90.0)[index % 2], 0.0, sent_bytes=100 * index)
        falling.add(100.0 - index, 0.0, sent_bytes=100 * index)

    assert (alike.ms_per_byte, noisy.ms_per_byte, falling.ms_per_byte) == (0.0, 0.0, 0.0)


def test_a_monitor_tells_what_its_calls_told() -> None:
    monitor = watch()

    first = monitor.state(0.0)
    for _ in range(5):
        monitor.answered(monitor.begin(0.0), 10.0, 0.0)
    seen = monitor.state(0.0)
    for _ in range(4):
        monitor.failed(monitor.begin(0.0), 0.0)

    assert (first.rtt_p50_ms, first.rtt_p95_ms, first.ready) == (60.0, 180.0, True)
    assert (seen.rtt_p50_ms, seen.circuit_open, seen.loss_share) == (10.0, False, 0.0)
    assert monitor.state(0.0) is monitor.state(0.0)
    assert monitor.state(0.0).circuit_open
    assert monitor.circuit(0.0) is CircuitState.OPEN
    assert monitor.state(0.0).loss_share > 0.1


def fail_slowly(monitor: TierMonitor, times: int, latency_ms: float, at_s: float) -> None:
    for call in [monitor.begin(at_s) for _ in range(times)]:
        monitor.timed_out(call, latency_ms, 180.0, at_s + latency_ms / 1000)


def test_an_outage_does_not_make_the_link_look_slow_afterwards() -> None:
    monitor = watch()

    fail_slowly(monitor, 50, 600.0, 0.0)

    assert monitor.state(0.7).circuit_open
    assert monitor.state(2.7).rtt_p50_ms == 60.0


def test_a_tier_that_looks_slow_is_tried_by_one_request_after_a_second() -> None:
    monitor = watch()
    for _ in range(9):
        monitor.answered(monitor.begin(0.0), 900.0, 0.0)

    soon, then = monitor.state(0.9).rtt_p50_ms, monitor.state(1.0).rtt_p50_ms
    trial = monitor.begin(1.0)
    beside = monitor.state(1.0).rtt_p50_ms
    monitor.answered(trial, 40.0, 1.04)

    assert (soon, then, beside) == (900.0, 60.0, 900.0)
    assert monitor.state(1.04).rtt_p50_ms == 60.0


def test_a_tier_that_is_slow_is_tried_less_and_less() -> None:
    monitor = watch()
    for _ in range(9):
        monitor.answered(monitor.begin(0.0), 900.0, 0.0)

    monitor.answered(monitor.begin(1.0), 950.0, 1.95)
    tried_s = [s for s in (2.5, 3.9, 4.0) if monitor.state(s).rtt_p50_ms == 60.0]
    monitor.abandoned(monitor.begin(4.0), 300.0, 4.3)

    assert tried_s == [4.0]
    assert (monitor.state(8.2).rtt_p50_ms, monitor.state(8.3).rtt_p50_ms) == (900.0, 60.0)


def test_inputs_of_one_packet_say_nothing_of_bandwidth() -> None:
    link = LinkEstimate(60.0, 180.0)

    for index in range(40):
        link.add(5.0 if index < 20 else 250.0, 0.0, sent_bytes=7 if index < 20 else 8)

    assert link.ms_per_byte == 0.0


def test_a_tier_that_asks_for_a_year_is_tried_in_five_minutes() -> None:
    monitor = watch()

    monitor.failed(monitor.begin(0.0), 0.0, retry_after_s=3e7)

    assert monitor.state(299.0).rest_ms == 1000.0
    assert monitor.state(300.0).rest_ms == 0.0


def test_as_many_calls_as_the_tier_takes_make_it_busy() -> None:
    monitor = watch()

    calls = [monitor.begin(0.0), monitor.begin(0.0)]
    full = monitor.state(0.0)
    monitor.abandoned(calls[0], 1.0, 0.0)

    assert (full.busy, full.in_flight) == (True, 2)
    assert (monitor.state(0.0).busy, monitor.state(0.0).in_flight) == (False, 1)


def test_a_tier_is_left_alone_as_long_as_it_asked() -> None:
    monitor = watch()

    for _ in range(4):
        monitor.failed(monitor.begin(10.0), 10.0, retry_after_s=3.0)

    assert not monitor.state(10.0).circuit_open
    assert monitor.state(10.0).rest_ms == 3000.0
    assert monitor.state(12.5).rest_ms == 500.0
    assert monitor.state(13.0).rest_ms == 0.0


@pytest.mark.parametrize("told_s", [(3.0, 0.5), (0.5, 3.0)])
def test_of_calls_that_were_under_way_together_the_longest_rest_holds(
    told_s: tuple[float, float],
) -> None:
    monitor = watch()

    for call, rest_s in zip([monitor.begin(9.0), monitor.begin(9.0)], told_s, strict=True):
        monitor.failed(call, 10.0, retry_after_s=rest_s)

    assert monitor.state(10.0).rest_ms == 3000.0
    assert not monitor.takes(12.9)
    assert monitor.takes(13.0)


def test_retries_are_a_share_of_the_calls() -> None:
    monitor = watch()

    before = monitor.state(0.0).retries_left
    taken = [monitor.take_retry(), monitor.take_retry()]
    monitor.abandoned(monitor.begin(0.0, retry=True), 1.0, 0.0)
    spent = monitor.state(0.0).retries_left
    for _ in range(2):
        monitor.abandoned(monitor.begin(0.0), 1.0, 0.0)

    assert taken == [True, False]
    assert (before, spent, monitor.state(0.0).retries_left) == (True, False, True)


def test_a_call_may_begin_where_there_is_place_and_the_tier_is_not_left_alone() -> None:
    full, resting, shut = watch(), watch(), watch()

    for _ in range(2):
        full.begin(0.0)
    resting.failed(resting.begin(0.0), 0.0, retry_after_s=3.0)
    for _ in range(2):
        shut.failed(shut.begin(0.0), 0.0)

    assert [one.takes(0.0) for one in (full, resting, shut, watch())] == [False, False, False, True]
    assert [one.takes(3.0) for one in (full, resting, shut)] == [False, True, True]


@given(st.lists(st.booleans(), max_size=200), st.floats(0.01, 0.5), st.floats(1.0, 10.0))
def test_an_allowance_is_never_exceeded(turns: list[bool], share: float, burst: float) -> None:
    allowance = Allowance(share=share, burst=burst)
    calls = taken = 0

    for wants in turns:
        calls += 1
        allowance.deposit()
        assert allowance.has_one == (allowance._left >= 1.0)
        taken += wants and allowance.withdraw()

    assert taken <= burst + share * calls + 1e-9


def test_a_local_tier_keeps_its_profile() -> None:
    monitor = watch(remote=False)

    for _ in range(5):
        monitor.answered(monitor.begin(0.0), 10.0, 0.0)
    for _ in range(3):
        monitor.timed_out(monitor.begin(0.0), 500.0, 0.0, 0.0)
    monitor.failed(monitor.begin(0.0), 0.0)
    monitor.abandoned(monitor.begin(0.0), 900.0, 0.0)

    assert monitor.state(0.0).rtt_p50_ms == 60.0
    assert monitor.state(0.0).loss_share == 0.0
    assert not monitor.state(0.0).circuit_open


def test_callers_in_a_hurry_do_not_open_a_circuit() -> None:
    hurried, patient = watch(), watch()

    for _ in range(3):
        hurried.timed_out(hurried.begin(0.0), 20.0, 180.0, 0.0)
        patient.timed_out(patient.begin(0.0), 200.0, 180.0, 0.0)

    assert not hurried.state(0.0).circuit_open
    assert patient.state(0.0).circuit_open


def test_an_abandoned_call_tells_only_that_it_was_longer() -> None:
    monitor = watch()

    for _ in range(5):
        monitor.abandoned(monitor.begin(0.0), 500.0, 0.0)

    assert not monitor.state(0.0).circuit_open
    assert monitor.state(0.0).rtt_p50_ms == 500.0


def test_a_probe_that_comes_back_closes_the_circuit() -> None:
    monitor = watch()
    for _ in range(4):
        monitor.failed(monitor.begin(0.0), 0.0)

    monitor.probed(None, 1.0)
    still = monitor.state(1.0).circuit_open
    monitor.probed(20.0, 1.5)

    assert (still, monitor.state(1.5).circuit_open, monitor.last_call_s) == (True, False, 1.5)


def test_quick_probes_make_no_answers_quick_and_slow_ones_are_believed() -> None:
    slow = TierPolicy(name="cloud", kind=TierKind.CLOUD, rtt_p50_ms=500.0, rtt_p95_ms=600.0)
    policy = Policy(task="text-classification", labels=(), tiers=(slow,))
    monitor = TierMonitor(slow, policy, remote=True)

    for turn in range(9):
        monitor.probed(5.0, float(turn))
    quick = monitor.state(9.0)
    for turn in range(5):
        monitor.probed(900.0, 10.0 + turn)

    assert (quick.rtt_p50_ms, quick.rtt_p95_ms) == (500.0, 600.0)
    assert monitor.state(14.5).rtt_p50_ms == 900.0


def test_a_probe_does_not_close_the_circuit_of_a_tier_that_says_itself_that_it_fails() -> None:
    monitor = watch()
    for _ in range(4):
        monitor.failed(monitor.begin(0.0), 0.0, spoke=True)

    monitor.probed(20.0, 0.5)
    still = monitor.state(0.5).circuit_open
    monitor.answered(monitor.begin(2.0), 20.0, 2.1)

    assert (still, monitor.state(2.1).circuit_open) == (True, False)
