"""The options of a plan, replayed: held to traces whose times are summed by hand."""

from dataclasses import replace
from pathlib import Path

import plan_numbers
import pytest
from plan_numbers import basis

from edgewise.plan import plan_from
from edgewise.records import (
    LATENCY_SHARES,
    Autoscaling,
    CloudTier,
    Costs,
    EdgeCosts,
    EdgeTier,
    PlanBasis,
    QueueRules,
    ServiceFormula,
    TierKind,
    TraceReplay,
    Workload,
)
from edgewise.simulate import replay_options

HEADER = "t_s,input_tokens,output_tokens"
KNOWN = replace(
    plan_numbers.KNOWN,
    p95_ms=10,
    peak_memory_bytes=None,
    size_bytes=None,
    edge_loss=None,
    hybrid_loss=None,
)
UNKNOWN = replace(KNOWN, p50_ms=None, p95_ms=None)
FAR = CloudTier(usd_per_request=0.002, rtt_p50_ms=100.0, rtt_p95_ms=100.0)


def written(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    path = folder / "requests.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def one_device(**changes: object) -> PlanBasis:
    return replace(replace(basis(devices=1), cloud=FAR), **changes)  # type: ignore[arg-type]


def quantile_ms(replay: TraceReplay, option: str, share: float) -> float | None:
    found = replay.of(option)
    assert found is not None
    return found.within_ms(share)


def test_requests_that_come_together_wait_for_the_only_device(tmp_path: Path) -> None:
    # Each minute four at once: they end after 10, 20, 30 and 40 ms.
    trace = written(tmp_path, [f"{minute * 60},1,1" for minute in range(50) for _ in range(4)])

    found = replay_options(one_device(), KNOWN, trace)

    assert [one.option for one in found.options] == ["edge", "cloud", "hybrid"]
    assert quantile_ms(found, "edge", 0.5) == pytest.approx(25.0)
    assert quantile_ms(found, "edge", 0.95) == pytest.approx(40.0)
    assert quantile_ms(found, "cloud", 0.99) == pytest.approx(100.0)
    edge = found.of("edge")
    assert edge is not None
    assert [share for share, _ in edge.points] == list(LATENCY_SHARES)
    # 199 gaps, 49 of them of a minute: mean 14.77 s, so E[g²] / E[g]² - 1 = 199 / 49 - 1.
    assert found.gap_cv2 == pytest.approx(199 / 49 - 1)
    assert (found.trace, found.requests, found.span_s) == ("requests.csv", 200, 2940.0)
    assert found.per_s == pytest.approx(199 / 2940)


def test_a_fleet_takes_as_many_at_once_as_it_has_devices(tmp_path: Path) -> None:
    trace = written(tmp_path, ["0,1,1"] * 4)
    fleet = replace(one_device(), workload=replace(basis().workload, devices=4))

    found = replay_options(fleet, KNOWN, trace)

    edge = found.of("edge")
    assert edge is not None
    assert edge.within_ms(0.99) == pytest.approx(10.0)
    assert edge.assumed[-1] == (
        "edge: the next free device takes a request, for want of a column `device`"
    )
    assert (found.per_s, found.gap_cv2) == (None, None)


def test_a_device_that_the_trace_names_answers_its_own_requests(tmp_path: Path) -> None:
    rows = ["0,1,1,a", "0,1,1,a", "0,1,1,b", "0,1,1,b"]
    trace = written(tmp_path, rows, f"{HEADER},device")
    fleet = replace(one_device(), workload=replace(basis().workload, devices=4))

    found = replay_options(fleet, KNOWN, trace)

    edge = found.of("edge")
    assert edge is not None
    assert edge.within_ms(0.99) == pytest.approx(20.0)
    assert not any("device" in words for words in edge.assumed)


def test_a_device_that_is_brought_more_than_it_can_do_is_warned_of(tmp_path: Path) -> None:
    # A second of work each half second for the one, none for the others.
    rows = [f"{half / 2},1,1,busy" for half in range(41)] + ["20,1,1,b", "20,1,1,c"]
    trace = written(tmp_path, rows, f"{HEADER},device")
    slow = EdgeTier(service=ServiceFormula(base_ms=1000.0))
    fleet = one_device(edge=slow, workload=replace(basis().workload, devices=3))
    calm = replace(fleet, edge=EdgeTier(service=ServiceFormula(base_ms=400.0)))

    found = replay_options(fleet, KNOWN, trace)

    # 40 s of 41 in 20 s: the last request's second has all the time to come.
    words = "the busiest device is brought 2 times what its servers can do, and its line grows"
    assert found.warnings == (words,)
    assert f"requests.csv: {words}" in plan_from(fleet, replace(KNOWN, replay=found)).warnings
    assert replay_options(calm, KNOWN, trace).warnings == ()


def test_more_devices_than_are_paid_for_are_warned_of(tmp_path: Path) -> None:
    trace = written(tmp_path, ["0,1,1,a", "1,1,1,b", "2,1,1,a"], f"{HEADER},device")
    two = replace(one_device(), workload=replace(one_device().workload, devices=2))

    assert replay_options(one_device(), KNOWN, trace).warnings == (
        "2 devices, and workload.devices is 1",
    )
    assert replay_options(two, KNOWN, trace).warnings == ()
    site = replace(one_device(), edge=EdgeTier(kind=TierKind.SITE))
    assert replay_options(site, KNOWN, trace).warnings == ()


def test_the_hybrid_defers_its_share_and_keeps_what_is_private(tmp_path: Path) -> None:
    rows = [f"{second},1,1,{second % 2}" for second in range(4000)]
    trace = written(tmp_path, rows, f"{HEADER},privacy")
    half = replace(KNOWN, deferral_share=0.5, deferral_curve=((1.0, 0.0), (0.1, 0.0)))

    found = replay_options(one_device(), half, trace)

    # A quarter is deferred: half of that half which may leave.
    assert quantile_ms(found, "hybrid", 0.7) == pytest.approx(10.0)
    assert quantile_ms(found, "hybrid", 0.8) == pytest.approx(110.0)
    assert quantile_ms(found, "hybrid at 100%", 0.6) == pytest.approx(110.0)
    assert quantile_ms(found, "hybrid at 10%", 0.9) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("kind", "feasible"), [(TierKind.DEVICE, ["edge", "hybrid"]), (TierKind.SITE, [])]
)
def test_private_requests_of_a_trace_are_answered_on_the_device_alone(
    tmp_path: Path, kind: TierKind, feasible: list[str]
) -> None:
    rows = [f"{second},1,1,{int(second % 4 == 0)}" for second in range(400)]
    trace = written(tmp_path, rows, f"{HEADER},privacy")
    given = replace(one_device(), edge=EdgeTier(kind=kind))

    replay = replay_options(given, KNOWN, trace)
    plan = plan_from(given, replace(KNOWN, replay=replay))

    assert replay.private_share == 0.25
    assert [one.name for one in plan.options if one.feasible] == feasible
    words = "privacy binds: 0.25 of the requests of requests.csv may not leave the device"
    assert {words} == {one.reasons[-1] for one in plan.options if not one.feasible}


def test_a_tier_that_is_brought_too_much_is_named(tmp_path: Path) -> None:
    trace = written(tmp_path, [f"{n / 200:.3f},1,1" for n in range(2001)])
    slow = replace(FAR, servers=1, service=ServiceFormula(base_ms=1.0, per_output_token_ms=9.0))

    found = replay_options(replace(one_device(), cloud=slow), KNOWN, trace)

    unstable = {one.option: dict(one.unstable) for one in found.options}
    assert unstable["edge"] == {"edge": pytest.approx(2.0, rel=0.01)}
    assert unstable["cloud"] == {"cloud": pytest.approx(2.0, rel=0.01)}
    assert list(unstable["hybrid"]) == ["edge"]


def test_devices_that_are_one_pool_keep_each_ones_servers_and_places_to_wait(
    tmp_path: Path,
) -> None:
    # Each minute four at once, for two devices.
    trace = written(tmp_path, [f"{minute * 60},1,1" for minute in range(50) for _ in range(4)])
    one_waits = EdgeTier(queue=QueueRules(most_waiting=1))
    two_run = EdgeTier(queue=QueueRules(autoscaling=Autoscaling(least=2, most=2)))

    waited = replay_options(one_device(workload=Workload(devices=2), edge=one_waits), KNOWN, trace)
    scaled = replay_options(one_device(workload=Workload(devices=2), edge=two_run), KNOWN, trace)

    # Two begin at once and two wait for their end; where each device has two servers, nobody does.
    assert quantile_ms(waited, "edge", 0.5) == pytest.approx(15.0)
    assert quantile_ms(scaled, "edge", 0.99) == pytest.approx(10.0)


def test_a_formula_stands_for_times_that_nobody_measured(tmp_path: Path) -> None:
    trace = written(tmp_path, ["0,100,1", "5,100,1"])
    by_tokens = EdgeTier(service=ServiceFormula(per_input_token_ms=0.5))

    found = replay_options(one_device(edge=by_tokens), UNKNOWN, trace)

    assert quantile_ms(found, "edge", 0.5) == pytest.approx(50.0)
    assert found.input_tokens == 100.0
    assert found.output_tokens == 1.0


def test_where_no_time_is_known_the_trace_alone_is_told(tmp_path: Path) -> None:
    trace = written(tmp_path, ["0,1,1", "5,1,1"])

    found = replay_options(one_device(cloud=None), UNKNOWN, trace)
    far = replay_options(one_device(), UNKNOWN, trace)

    assert (found.options, found.requests, found.per_s) == ((), 2, 0.2)
    assert [one.option for one in far.options] == ["cloud"]


def test_the_busiest_hour_is_found_wherever_its_quarters_lie(tmp_path: Path) -> None:
    # 4 hours of a request a minute, and 240 more between 1:45 and 2:45.
    calm = [minute * 60.0 for minute in range(241)]
    busy = [6300.0 + n * 15 for n in range(240)]
    trace = written(tmp_path, [f"{at},1,1" for at in sorted(calm + busy)])
    short = tmp_path / "short.csv"
    short.write_text(f"{HEADER}\n0,1,1\n7000,1,1\n")

    found = replay_options(one_device(), KNOWN, trace)

    assert found.peak_ratio == pytest.approx(300 / (481 / 4))
    assert replay_options(one_device(), KNOWN, short).peak_ratio is None


def test_the_same_trace_gives_the_same_replay(tmp_path: Path) -> None:
    trace = written(tmp_path, [f"{n},1,1" for n in range(200)])
    varied = replace(KNOWN, p95_ms=30)

    assert replay_options(one_device(), varied, trace) == replay_options(
        one_device(), varied, trace
    )


@pytest.mark.parametrize(("devices", "share", "said"), [(1, 0.25, True), (4, 0.25, False)])
def test_a_device_of_which_the_workload_has_a_share_is_said_to_be_taken_whole(
    tmp_path: Path, devices: int, share: float, said: bool
) -> None:
    shared = replace(basis(Costs(edge=EdgeCosts(share=share)), devices=devices), cloud=FAR)
    words = "edge: a device is there for this workload alone, not for 0.25 of its time"
    pooled = written(tmp_path, ["0,1,1", "1,1,1"])

    one_pool = replay_options(shared, KNOWN, pooled).of("edge")
    by_device = written(tmp_path, ["0,1,1,a", "1,1,1,a"], f"{HEADER},device")
    each = replay_options(shared, KNOWN, by_device).of("edge")

    assert one_pool is not None
    assert each is not None
    assert (words in one_pool.assumed) is said
    assert words in each.assumed


def test_a_share_of_a_fleet_that_is_a_whole_number_of_devices_is_that_many(tmp_path: Path) -> None:
    # 0.29 of 100 is 28.999999999999996 in binary fractions.
    shared = replace(basis(Costs(edge=EdgeCosts(share=0.29)), devices=100), cloud=FAR)

    found = replay_options(shared, KNOWN, written(tmp_path, ["0,1,1"] * 29))

    assert quantile_ms(found, "edge", 0.99) == pytest.approx(10.0)
