"""An engine over a bad network: in time, none lost, none twice, and soon well again.

Between two network namespaces where that is allowed, else over a proxy on loopback; standard error
says which. How late a request may be allows for what the event loop lagged on a busy machine.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgewise.records import Policy
from edgewise.route import HybridInferenceEngine
from edgewise.testing.fault import CALM, EVERY_FAULT, Fault, FaultKind
from edgewise.testing.faults import (
    Account,
    Played,
    engine_for_faults,
    late_answers,
    mixed_requests,
    play,
    settle,
)
from edgewise.testing.network import Network, open_network
from edgewise.testing.route import ListSink

pytestmark = pytest.mark.integration
DEADLINES_MS = (150.0, 300.0, 600.0)
EVERY_S = 0.025


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with open_network() as opened, opened.near():
        yield opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    played: Played
    account: Account
    sink: ListSink


@asynccontextmanager
async def opened(
    network: Network, folder: Path, sink: ListSink, policy: Policy | None = None
) -> AsyncIterator[HybridInferenceEngine]:
    """Give an engine that has asked its tiers once; the network is well before and after."""
    await asyncio.to_thread(network.set, CALM)
    try:
        async with engine_for_faults(network, folder, sink, policy) as engine:
            await engine.predict({"text": "the first one"}, deadline_ms=10_000.0)
            sink.decisions.clear()
            yield engine
    finally:
        await asyncio.to_thread(network.set, CALM)


async def outcome_of(
    network: Network, folder: Path, changes: list[tuple[float, Fault]], for_s: float
) -> Outcome:
    sink = ListSink()
    async with opened(network, folder, sink) as engine:
        requests = mixed_requests(round(for_s / EVERY_S), DEADLINES_MS)
        played = await play(engine, network, requests, every_s=EVERY_S, changes=changes)
        await asyncio.to_thread(network.set, CALM)
        queued = [one.request_id for one in played.ends if one.location == "queued"]
        late = await late_answers(engine, queued, 20.0)
    return Outcome(played=played, account=settle(played, sink, network, late), sink=sink)


def assert_kept(outcome: Outcome) -> None:
    """Hold what happened against the promise."""
    played = outcome.played
    late = played.late(forgive_lag=True)
    assert late == [], (late, played.lag_ms())
    assert outcome.account == Account(lost=0, twice=0)
    assert played.mixed_up == 0
    assert all(one.location or one.error for one in played.ends)


@pytest.mark.slow
async def test_with_a_third_of_the_packets_lost_every_request_ends_in_time(
    network: Network, tmp_path: Path
) -> None:
    loss = Fault(kind=FaultKind.LOSS, amount=0.3)

    outcome = await outcome_of(network, tmp_path, [(0.5, loss), (8.5, CALM)], 11.0)

    assert_kept(outcome)
    assert outcome.played.recoveries_s()[-1] <= 2.0
    seen = outcome.played.locations()
    assert seen["cloud"] > 0
    assert seen["cloud_fallback"] > seen["edge"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.FAR_CUT, FaultKind.BLACK_HOLE])
async def test_with_a_link_down_half_of_the_time_every_request_ends_in_time(
    network: Network, tmp_path: Path, kind: FaultKind
) -> None:
    down = Fault(kind=kind)
    changes = [(3.0 * turn, down if turn % 2 else CALM) for turn in range(1, 5)]

    outcome = await outcome_of(network, tmp_path, changes, 15.0)

    assert_kept(outcome)
    assert len(outcome.played.recoveries_s()) == 2
    assert max(outcome.played.recoveries_s()) <= 2.0
    assert outcome.played.locations()["queued"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", EVERY_FAULT, ids=lambda one: one.kind.value)
async def test_under_each_fault_every_request_ends_in_time(
    network: Network, tmp_path: Path, fault: Fault
) -> None:
    outcome = await outcome_of(network, tmp_path, [(0.5, fault), (3.0, CALM)], 6.0)

    assert_kept(outcome)
    assert outcome.played.recoveries_s()[-1] <= 2.0


async def test_a_cut_and_a_return_in_short(network: Network, tmp_path: Path) -> None:
    down = Fault(kind=FaultKind.BLACK_HOLE)

    outcome = await outcome_of(network, tmp_path, [(0.3, down), (0.9, CALM)], 2.5)

    assert_kept(outcome)


async def test_a_caller_that_goes_away_frees_the_connection(
    network: Network, tmp_path: Path
) -> None:
    async with opened(network, tmp_path, ListSink()) as engine:
        idle = (await asyncio.to_thread(network.seen)).open
        await asyncio.to_thread(network.set, Fault(kind=FaultKind.HANG))
        asking = [
            asyncio.create_task(engine.predict({"text": "x"}, "cloud", idempotent=False))
            for _ in range(5)
        ]
        await until_open(network, 5)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

        await until_open(network, 0)
        assert idle == 1
        monitor = engine._serving.monitors["cloud"]
        assert monitor.state(0.0).in_flight == 0


async def until_open(network: Network, count: int) -> None:
    async with asyncio.timeout(10):
        while (await asyncio.to_thread(network.seen)).open != count:
            await asyncio.sleep(0.01)


async def test_connections_are_used_again(network: Network, tmp_path: Path) -> None:
    async with opened(network, tmp_path, ListSink()) as engine:
        before = (await asyncio.to_thread(network.seen)).connections
        for _ in range(20):
            await engine.predict({"text": "x"}, "cloud")
        await asyncio.to_thread(network.set, Fault(kind=FaultKind.TOO_MANY))
        await asyncio.gather(engine.predict({"text": "x"}), engine.predict({"text": "y"}))
        await asyncio.to_thread(network.set, CALM)
        after = (await asyncio.to_thread(network.seen)).connections

    assert after - before <= 1


async def test_the_deadline_travels_with_the_request(network: Network, tmp_path: Path) -> None:
    async with opened(network, tmp_path, ListSink()) as engine:
        result = await engine.predict({"text": "x"}, deadline_ms=800.0)
        told_ms = (await asyncio.to_thread(network.seen)).deadlines_ms[result.request_id]

    assert result.location == "cloud_fallback"
    assert 0.0 < told_ms < 800.0
    assert told_ms >= 800.0 - result.latency_ms


async def test_retry_after_is_obeyed(network: Network, tmp_path: Path) -> None:
    async with opened(network, tmp_path, ListSink()) as engine:
        await asyncio.to_thread(network.set, Fault(kind=FaultKind.TOO_MANY, amount=1.0))
        first = await engine.predict({"text": "x"})
        told = await asyncio.to_thread(network.seen)
        await asyncio.to_thread(network.set, CALM)
        rests = [await engine.predict({"text": "y"}) for _ in range(20)]
        then = await asyncio.to_thread(network.seen)
        async with asyncio.timeout(10):
            while (await engine.predict({"text": "z"})).location != "cloud_fallback":
                await asyncio.sleep(0.02)

    assert first.location == "edge_fallback"
    assert told.arrived[first.request_id] == 1
    assert all("told_to_wait" in one.reasons for one in rests)
    assert not set(then.arrived) & {one.request_id for one in rests}
