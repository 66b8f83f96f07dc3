"""What routing costs: the decision alone, and an edge answer through the engine.

Claims: `decision_p50_us` at most 20 and `decision_p99_us` at most 100, with every rule of a policy
on; `engine_over_bare_p50_ms` at most 0.3 and `engine_overhead_p50_us` at most 150, over a direct
call of the same opened bundle, the two interleaved in one process. Then what certificates promise
(`route_guarantee`), what the pre-router reads (`route_prerouter`), what leaks (`route_privacy`),
what bad networks do (`route_faults`), when the audit speaks (`route_audit`), how late a stream's
first piece comes (`route_stream`) and what a kill leaves of a queue (`route_offline`): these take
minutes each.

    .venv/bin/python -m benchmarks.route
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmarks import (
    route_audit,
    route_faults,
    route_guarantee,
    route_offline,
    route_prerouter,
    route_privacy,
    route_stream,
)
from benchmarks.results import claim, write

from edgewise.records import (
    Attempt,
    DeviceRule,
    DeviceState,
    HedgeRules,
    LatencyLimit,
    Outcome,
    Policy,
    PreRouteRules,
    PrivacyRules,
    RequestFacts,
    SystemState,
    TierKind,
    TierPolicy,
    TierState,
)
from edgewise.route import HybridInferenceEngine, decide
from edgewise.runtimes import LocalModel, open_bundle
from edgewise.testing.models import tiny_text_bundle

RUNS = 7
TEXT = {"text": "a good film that says great things about people and never bores anyone " * 2}


def bench_decision(times: int = 20_000) -> tuple[float, float]:
    """Give the p50 and p99 in microseconds over the four most common questions."""
    policy = Policy(
        task="text-classification",
        labels=("no", "yes"),
        tiers=(
            TierPolicy(
                name="edge",
                kind=TierKind.DEVICE,
                threshold=0.8,
                latency=tuple(
                    LatencyLimit(up_to_length=n, p50_ms=n / 10, p95_ms=n / 5)
                    for n in (16, 32, 64, 128)
                ),
                latency_limit_ms=50.0,
            ),
            *(
                TierPolicy(
                    name=name,
                    kind=TierKind.CLOUD,
                    rtt_p50_ms=60.0,
                    rtt_p95_ms=180.0,
                    max_in_flight=100,
                    group="clouds",
                )
                for name in ("west", "east")
            ),
        ),
        privacy=PrivacyRules(residency={"eu": ("edge",)}),
        hedge=HedgeRules(),
        preroute=PreRouteRules(min_gain=0.9, usd_per_quality=1.0, late_ms_per_quality=1e4),
        device=(DeviceRule(name="low", on_battery=True, battery_below=0.2),),
        deadline_ms=500.0,
    )
    facts = RequestFacts(request_id="r", input_length=60, input_bytes=300, region="us", gain=0.2)
    private = RequestFacts(request_id="r", input_length=60, input_bytes=300, private=True)
    far = TierState(rtt_p50_ms=60.0, rtt_p95_ms=180.0, in_flight=3, ms_per_byte=0.001)
    states = {"edge": TierState(), "west": far, "east": far}
    system = SystemState(device=DeviceState(on_battery=True, battery_share=0.9))
    unsure = Attempt(tier="edge", outcome=Outcome.ANSWERED, latency_ms=6.0, confidence=0.6)
    lost = Attempt(tier="west", outcome=Outcome.FAILED, latency_ms=60.0)
    questions = [(facts, []), (facts, [unsure]), (facts, [unsure, lost]), (private, [unsure])]
    taken_ns = []
    for turn in range(times):
        one, attempts = questions[turn % len(questions)]
        start_ns = time.perf_counter_ns()
        decide(policy, one, states, attempts, 7.0, system)
        taken_ns.append(time.perf_counter_ns() - start_ns)
    p50_ns, p99_ns = np.quantile(taken_ns, (0.5, 0.99))
    return float(p50_ns) / 1000, float(p99_ns) / 1000


async def bench_engine(folder: Path, times: int = 2_000) -> tuple[float, float]:
    """Give the p50 in milliseconds of the bare call and of the engine, interleaved."""
    model: LocalModel = open_bundle(folder)
    policy = Policy(
        task="text-classification",
        labels=model.labels,
        tiers=(TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.5),),
        privacy=PrivacyRules(detect=("email", "phone", "card", "iban", "ip")),
    )
    bare_ns, engine_ns = [], []
    async with HybridInferenceEngine(folder, policy=policy) as engine:
        for _ in range(times):
            start_ns = time.perf_counter_ns()
            model.predict(TEXT)
            middle_ns = time.perf_counter_ns()
            await engine.predict(TEXT)
            engine_ns.append(time.perf_counter_ns() - middle_ns)
            bare_ns.append(middle_ns - start_ns)
    model.close()
    return statistics.median(bare_ns) / 1e6, statistics.median(engine_ns) / 1e6


def measure_costs() -> None:
    """Measure the decision and the engine."""
    decisions_us = [bench_decision() for _ in range(RUNS)]
    with tempfile.TemporaryDirectory() as parent:
        folder = tiny_text_bundle(Path(parent) / "bundle")
        pairs = [asyncio.run(bench_engine(folder)) for _ in range(RUNS)]
    p50_us, p99_us = (statistics.median(one) for one in zip(*decisions_us, strict=True))
    bare_ms = statistics.median(bare for bare, _ in pairs)
    over_ms = statistics.median(through - bare for bare, through in pairs)
    peers = {"bare_call_ms": round(bare_ms, 4)}
    write(
        "route",
        [
            claim("decision_p50_us", round(p50_us, 3), 20.0, runs=RUNS),
            claim("decision_p99_us", round(p99_us, 3), 100.0, runs=RUNS),
            claim("engine_over_bare_p50_ms", round(over_ms, 4), 0.3, runs=RUNS, peers=peers),
            claim(
                "engine_overhead_p50_us", round(over_ms * 1000, 1), 150.0, runs=RUNS, peers=peers
            ),
        ],
        keep=True,
    )


def main() -> None:
    """Measure, print and keep, the quick ones first."""
    measure_costs()
    route_stream.main()
    route_guarantee.main()
    route_prerouter.main()
    route_privacy.main()
    route_faults.main()
    route_audit.main()
    route_offline.main()


if __name__ == "__main__":
    main()
