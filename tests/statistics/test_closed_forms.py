"""Queues against their closed forms, within the simulation's own 99 % interval."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from edgewise.records import (
    Policy,
    QueueRules,
    RetryRules,
    ServiceFormula,
    TierKind,
    TierPolicy,
)
from edgewise.simulate import AnswerTable, Scenario, TraceBlock, simulate
from edgewise.simulate.clockwork import Clockwork
from edgewise.simulate.queueing import erlang_b, md1_wait_s, mg1_wait_s, mmc_wait_s
from edgewise.simulate.servers import Job, Servers
from edgewise.simulate.stations import station_of
from edgewise.simulate.tally import TierTally

Floats = NDArray[np.float64]
_BATCHES = 40
_T99 = 2.708  # Student's t, 39 degrees of freedom, two-sided
SIZES = [40_000, pytest.param(1_000_000, marks=pytest.mark.slow)]
WARM_UP = 0.05


def interval(values: Floats) -> tuple[float, float]:
    """Give the 99 % interval of the mean by batch means, without the first of them."""
    kept = values[int(len(values) * WARM_UP) :]
    means = np.array([part.mean() for part in np.array_split(kept, _BATCHES)])
    half = _T99 * means.std(ddof=1) / math.sqrt(_BATCHES)
    return float(means.mean() - half), float(means.mean() + half)


def waits(arrivals: Floats, services: Floats, servers: int) -> Floats:
    return station_of(servers).begin(arrivals, services, None) - arrivals


def exponential(rng: np.random.Generator, n: int) -> Floats:
    return rng.exponential(1.0, n)


def constant(rng: np.random.Generator, n: int) -> Floats:
    del rng
    return np.ones(n)


def gamma(rng: np.random.Generator, n: int, shape: float) -> Floats:
    return rng.gamma(shape, 1.0 / shape, n)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    ("per_s", "servers", "service", "expected"),
    [
        (0.7, 1, exponential, mmc_wait_s(0.7, 1.0, 1)),
        (3.2, 4, exponential, mmc_wait_s(3.2, 1.0, 4)),
        (0.7, 1, constant, md1_wait_s(0.7, 1.0)),
        (0.7, 1, partial(gamma, shape=0.5), mg1_wait_s(0.7, 1.0, 2.0)),
    ],
    ids=["M/M/1", "M/M/c", "M/D/1", "M/G/1"],
)
def test_mean_waits_are_those_of_the_closed_forms(
    n: int,
    per_s: float,
    servers: int,
    service: Callable[[np.random.Generator, int], Floats],
    expected: float,
) -> None:
    rng = np.random.default_rng(11)
    arrivals = np.cumsum(rng.exponential(1.0 / per_s, n))

    low, high = interval(waits(arrivals, service(rng, n), servers))

    assert low <= expected <= high


@pytest.mark.parametrize("n", SIZES)
def test_the_second_of_two_stations_waits_as_if_it_were_the_first(n: int) -> None:
    rng = np.random.default_rng(5)
    arrivals = np.cumsum(rng.exponential(1.0 / 0.6, n))
    first, second = rng.exponential(1.0, n), rng.exponential(0.8, n)

    done = station_of(1).begin(arrivals, first, None) + first
    low, high = interval(waits(done, second, 1))

    # Burke: what leaves a queue with exponential service is Poisson again.
    assert low <= mmc_wait_s(0.6, 0.8, 1) <= high


@pytest.mark.parametrize("n", SIZES)
def test_a_line_of_no_length_refuses_erlangs_share(n: int) -> None:
    rng = np.random.default_rng(3)
    arrivals = np.cumsum(rng.exponential(1.0 / 3.0, n)).tolist()
    services = rng.exponential(1.0, n).tolist()
    clockwork = Clockwork()
    servers = Servers(4, QueueRules(most_waiting=0), clockwork, TierTally())

    refused = []
    for number, (now_s, takes_s) in enumerate(zip(arrivals, services, strict=True)):
        clockwork.run_before(now_s, number)
        refused.append(not servers.come(Job(number, takes_s, _nothing), now_s))

    low, high = interval(np.array(refused, dtype=float))
    assert low <= erlang_b(3.0, 4) <= high


def _nothing(now_s: float) -> None:
    del now_s


def test_cost_and_latency_of_a_cascade_are_exact() -> None:
    confidence = np.array([0.1, 0.4, 0.6, 0.9])
    table = AnswerTable(confidence=confidence, rows={str(k): k for k in range(4)})
    tiers = (
        TierPolicy(
            name="edge",
            kind=TierKind.DEVICE,
            threshold=0.5,
            service=ServiceFormula(base_ms=8.0),
        ),
        TierPolicy(
            name="cloud",
            kind=TierKind.CLOUD,
            rtt_p50_ms=64.0,
            rtt_p95_ms=64.0,
            usd_per_request=0.25,
            service=ServiceFormula(base_ms=32.0),
        ),
    )
    policy = Policy(task="t", labels=(), tiers=tiers, retry=RetryRules(most=0))
    n = 4000
    block = TraceBlock(
        first=0,
        t_s=np.arange(n) / 64,
        input_tokens=np.ones(n),
        output_tokens=np.ones(n),
        text_ids=tuple(str(k % 4) for k in range(n)),
        lines=range(n),
    )

    found = simulate(Scenario(policy=policy, answers=table), [block])

    # Half is deferred: each pays the edge's 8 ms, and those the cloud's 96 ms and a quarter more.
    assert found.cost_usd == n / 2 * 0.25
    assert found.share == {"edge": 0.5, "cloud": 0.5}
    assert found.latency_ms.p50 == pytest.approx((8.0 + 104.0) / 2)
    assert found.latency_ms.p99 == pytest.approx(104.0)


def test_a_formula_is_far_off_on_bursts() -> None:
    """Two servers, 100 requests at once every 100 s: Erlang C knows their mean gap alone."""
    at_s = np.repeat(np.arange(200) * 100.0, 100)
    ones = np.ones(len(at_s))
    block = TraceBlock(
        first=0, t_s=at_s, input_tokens=ones, output_tokens=ones, lines=range(20_000)
    )
    tier = TierPolicy(
        name="cloud", kind=TierKind.CLOUD, servers=2, service=ServiceFormula(base_ms=1000.0)
    )
    scenario = Scenario(
        policy=Policy(task="t", labels=(), tiers=(tier,)),
        answers=AnswerTable(confidence=np.ones(1)),
    )

    queue = simulate(scenario, [block]).queue["cloud"]

    assert queue.mean_wait_ms == pytest.approx(1000.0 * (0 + 49) / 2)
    assert queue.formula_wait_ms == pytest.approx(1000.0 * mmc_wait_s(20_000 / 19_900, 1.0, 2))
    assert queue.mean_wait_ms > 70 * (queue.formula_wait_ms or math.inf)
