"""What planning and simulating cost.

Claims: `simulator_requests_per_s` at least 300,000: a million requests from a CSV file through a
policy of two tiers, by the time of one core; `simulator_speedup_vs_simpy` at least 20: SimPy runs
the same model beside it, on fewer requests (it is in the environment of the heavy tests; without
it that claim is left as it was). Those of draws and of placement are in `plan_draws` and
`plan_placement`.

    .venv-heavy/bin/python -m benchmarks.plan
"""

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks import plan_draws, plan_placement
from benchmarks.plan_events import CLOUD, EDGE, SERVERS, bench_events
from benchmarks.plan_live import bench_live
from benchmarks.results import claim, write

from edgewise.records import Policy
from edgewise.simulate import Scenario, TraceReader, simulate, table_of

RUNS = 5
REQUESTS = 1_000_000
OF_SIMPY = 50_000
POLICY = Policy(task="text-classification", labels=("no", "yes"), tiers=(EDGE, CLOUD))


def make_trace(path: Path, n: int) -> None:
    """Write a trace that keeps three quarters of the cloud's servers busy."""
    rng = np.random.default_rng(7)
    at_s = np.cumsum(rng.exponential(1 / 189.0, n))
    tokens_in = rng.integers(1, 4000, n)
    tokens_out = rng.integers(1, 300, n)
    rows = zip(at_s.tolist(), tokens_in.tolist(), tokens_out.tolist(), strict=True)
    with path.open("w", encoding="ascii") as file:
        file.write("t_s,input_tokens,output_tokens\n")
        file.writelines(f"{a:.6f},{b},{c}\n" for a, b, c in rows)


def run_edgewise(path: Path) -> tuple[float, float]:
    """Give requests a second and the cloud's mean wait in milliseconds."""
    start_s = time.process_time()
    scenario = Scenario(policy=POLICY, answers=table_of(POLICY))
    seen = simulate(scenario, TraceReader(path))
    per_s = seen.requests / (time.process_time() - start_s)
    return per_s, seen.queue["cloud"].mean_wait_ms


def run_simpy(path: Path) -> tuple[float, float]:
    """Do the same with SimPy: a process a request, a resource for the cloud's servers."""
    import simpy  # noqa: PLC0415 - only where it is installed

    rng = np.random.default_rng(0)
    edge, cloud = POLICY.tiers
    formula, threshold = cloud.service, edge.threshold or 0.0
    assert formula is not None
    waits: list[float] = []
    latencies: list[float] = []
    start_s = time.process_time()
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    sure = rng.random(len(table)).tolist()
    edge_z, rtt_z = rng.standard_normal((2, len(table))).tolist()
    world = simpy.Environment()
    servers = simpy.Resource(world, SERVERS)

    def request(row: list[float], confidence: float, near: float, far: float) -> Any:
        began_s = world.now
        limit = next((one for one in edge.latency if row[1] <= one.up_to_length), edge.latency[-1])
        yield world.timeout(limit.p50_ms / 1000 * 2.0 ** (near / 1.645))
        if confidence < threshold:
            came_s = world.now
            with servers.request() as turn:
                yield turn
                waits.append(world.now - came_s)
                yield world.timeout(formula.ms(row[1], row[2]) / 1000)
            yield world.timeout(0.06 * 3.0 ** (far / 1.645))
        latencies.append(world.now - began_s)

    def source() -> Any:
        for row, confidence, near, far in zip(table.tolist(), sure, edge_z, rtt_z, strict=True):
            yield world.timeout(row[0] - world.now)
            world.process(request(row, confidence, near, far))

    world.process(source())
    world.run()
    np.quantile(latencies, (0.5, 0.95, 0.99))
    return len(table) / (time.process_time() - start_s), statistics.fmean(waits) * 1000


def bench_simulator() -> list[dict[str, Any]]:
    """Measure the simulator, and SimPy in turn with it where it is installed."""
    beside = importlib.util.find_spec("simpy") is not None
    with tempfile.TemporaryDirectory() as parent:
        whole, part = Path(parent) / "whole.csv", Path(parent) / "part.csv"
        make_trace(whole, REQUESTS)
        make_trace(part, OF_SIMPY)
        run_edgewise(part)
        rates, peers = [], []
        for _ in range(RUNS):
            rates.append(run_edgewise(whole)[0])
            if beside:
                peers.append(run_simpy(part)[0])
        if beside:
            ours_ms, theirs_ms = run_edgewise(part)[1], run_simpy(part)[1]
            print(f"mean wait on the same {OF_SIMPY}: {ours_ms:.3f} ms, SimPy {theirs_ms:.3f} ms")
    per_s = round(statistics.median(rates))
    found = [claim("simulator_requests_per_s", per_s, 300_000, runs=RUNS, better="higher")]
    if beside:
        # Ratios of neighbours in time: what else the machine does falls on both.
        ratios = [ours / theirs for ours, theirs in zip(rates, peers, strict=True)]
        simpy_per_s = {"simpy_requests_per_s": round(statistics.median(peers))}
        speedup = round(statistics.median(ratios), 1)
        found.append(
            claim(
                "simulator_speedup_vs_simpy",
                speedup,
                20.0,
                runs=RUNS,
                better="higher",
                peers=simpy_per_s,
            )
        )
    return found


SECTIONS: tuple[Callable[[], list[dict[str, Any]]], ...] = (
    bench_simulator,
    plan_draws.claims,
    plan_placement.claims_of_placement,
    bench_events,
    bench_live,
)
"""Each gives claims; they are written as soon as they are there."""


def main() -> None:
    """Measure, print and keep, section by section."""
    for section in SECTIONS:
        write("plan", section(), keep=True)


if __name__ == "__main__":
    main()
