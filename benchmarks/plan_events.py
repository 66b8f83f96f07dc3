"""What a replay costs where decisions hang on how earlier requests went.

Claim: `simulator_events_requests_per_s`, at least a quarter of what SimPy does with the same model
beside it: two tiers, a deadline after which the edge's answer stands, servers that finish what
nobody waits for, and a budget. Ours asks the live decision at every step, with live monitors,
breakers and estimates of the link; SimPy's process has the rules of this one policy written into
it. By processor time; without SimPy the claim is left as it was.

    .venv-heavy/bin/python -m benchmarks.plan_events
"""

import importlib.util
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.results import claim, write

from edgewise.records import (
    BudgetRules,
    LatencyLimit,
    Policy,
    ServiceFormula,
    SpendingLimit,
    TierKind,
    TierPolicy,
)
from edgewise.simulate import Scenario, TraceReader, simulate, table_of

RUNS = 5
REQUESTS = 50_000
SERVERS = 64
DEADLINE_MS = 700.0
USD_PER_DAY = 1000.0
LEAST_SHARE = 0.25
"""Of SimPy's rate: what the decision's generality may cost. Chosen, not asked for."""
EDGE = TierPolicy(
    name="edge",
    kind=TierKind.DEVICE,
    threshold=0.8,
    latency=tuple(
        LatencyLimit(up_to_length=n, p50_ms=n / 100, p95_ms=n / 50) for n in (256, 1024, 4096)
    ),
)
CLOUD = TierPolicy(
    name="cloud",
    kind=TierKind.CLOUD,
    rtt_p50_ms=60.0,
    rtt_p95_ms=180.0,
    usd_per_request=0.002,
    servers=SERVERS,
    service=ServiceFormula(base_ms=20.0, per_output_token_ms=2.0),
)
POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(EDGE, CLOUD),
    deadline_ms=DEADLINE_MS,
    budget=BudgetRules(path="", total=SpendingLimit(usd_per_day=USD_PER_DAY)),
)


def make_trace(path: Path) -> None:
    """Write a trace that keeps three quarters of the cloud's servers busy."""
    rng = np.random.default_rng(7)
    at_s = np.cumsum(rng.exponential(1 / 189.0, REQUESTS))
    tokens = (rng.integers(1, 4000, REQUESTS), rng.integers(1, 300, REQUESTS))
    with path.open("w", encoding="ascii") as file:
        file.write("t_s,input_tokens,output_tokens\n")
        np.savetxt(file, np.column_stack([at_s, *tokens]), fmt=("%.6f", "%d", "%d"), delimiter=",")


def run_edgewise(path: Path) -> tuple[float, float, float]:
    """Give requests a second, the median latency in milliseconds, and the cloud's share."""
    start_s = time.process_time()
    seen = simulate(Scenario(policy=POLICY, answers=table_of(POLICY)), TraceReader(path))
    per_s = seen.requests / (time.process_time() - start_s)
    return per_s, seen.latency_ms.p50 or 0.0, seen.share["cloud"]


def run_simpy(path: Path) -> tuple[float, float, float]:
    """Do the same with SimPy."""
    import simpy  # noqa: PLC0415 - only where it is installed

    rng = np.random.default_rng(0)
    start_s = time.process_time()
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    sure = rng.random(len(table)).tolist()
    edge_z, rtt_z = rng.standard_normal((2, len(table))).tolist()
    world = simpy.Environment()
    servers = simpy.Resource(world, SERVERS)
    threshold, formula, limits = EDGE.threshold, CLOUD.service, EDGE.latency
    assert threshold is not None
    assert formula is not None
    latencies: list[float] = []
    far = spent_usd = day = 0.0

    def work(turn: Any, takes_s: float) -> Any:
        yield world.timeout(takes_s)
        servers.release(turn)

    def request(row: list[float], confidence: float, near_z: float, far_z: float) -> Any:
        nonlocal far, spent_usd, day
        began_s = world.now
        limit = next((one for one in limits if row[1] <= one.up_to_length), limits[-1])
        yield world.timeout(limit.p50_ms / 1000 * 2.0 ** (near_z / 1.645))
        if confidence >= threshold:
            latencies.append(world.now - began_s)
            return
        if world.now // 86_400 != day:
            day, spent_usd = world.now // 86_400, 0.0
        if spent_usd + CLOUD.usd_per_request <= USD_PER_DAY:
            spent_usd += CLOUD.usd_per_request
            late = world.timeout(DEADLINE_MS / 1000 - (world.now - began_s))
            turn = servers.request()
            yield turn | late
            if not turn.triggered:
                turn.cancel()
            else:
                takes_s = formula.ms(row[1], row[2]) / 1000
                world.process(work(turn, takes_s))
                answer = world.timeout(takes_s + 0.06 * 3.0 ** (far_z / 1.645))
                yield answer | late
                far += answer.processed
        latencies.append(world.now - began_s)

    def source() -> Any:
        for row, *drawn in zip(table.tolist(), sure, edge_z, rtt_z, strict=True):
            yield world.timeout(row[0] - world.now)
            world.process(request(row, *drawn))

    world.process(source())
    world.run()
    p50_s = np.quantile(latencies, 0.5)
    n = len(table)
    return n / (time.process_time() - start_s), float(p50_s) * 1000, far / n


def bench_events() -> list[dict[str, Any]]:
    """Measure both in turn, where SimPy is installed."""
    if importlib.util.find_spec("simpy") is None:
        return []
    rates, peers = [], []
    with tempfile.TemporaryDirectory() as parent:
        path = Path(parent) / "trace.csv"
        make_trace(path)
        for _ in range(RUNS):
            ours, theirs = run_edgewise(path), run_simpy(path)
            rates.append(ours[0])
            peers.append(theirs[0])
    for name, (_, p50_ms, share) in (("ours", ours), ("SimPy", theirs)):
        print(f"{name:<6}p50 {p50_ms:.1f} ms, {share:.1%} answered by the cloud")
    per_s, simpy_per_s = round(statistics.median(rates)), round(statistics.median(peers))
    # Ratios of neighbours in time: what else the machine does falls on both.
    ratio = statistics.median(one / other for one, other in zip(rates, peers, strict=True))
    found = claim(
        "simulator_events_requests_per_s",
        per_s,
        round(simpy_per_s * LEAST_SHARE),
        runs=RUNS,
        better="higher",
        peers={"simpy_requests_per_s": simpy_per_s},
    )
    return [found | {"share_of_simpy": round(ratio, 3)}]


if __name__ == "__main__":
    write("plan", bench_events(), keep=True)
