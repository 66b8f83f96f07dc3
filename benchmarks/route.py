"""What routing costs: the decision alone, and an edge answer through the engine.

Claims: `decision_p50_us` at most 20; `engine_over_bare_p50_ms` at most 0.3, over a direct call of
the same opened bundle, the two interleaved in one process.

    .venv/bin/python -m benchmarks.route
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.results import write

from edgewise.records import (
    Attempt,
    LatencyLimit,
    Outcome,
    Policy,
    PrivacyRules,
    RequestFacts,
    TierKind,
    TierPolicy,
    TierState,
)
from edgewise.route import HybridInferenceEngine, decide
from edgewise.runtimes import LocalModel, open_bundle
from edgewise.testing.models import tiny_text_bundle

RUNS = 7
TEXT = {"text": "a good film that says great things about people and never bores anyone " * 2}


def bench_decision(times: int = 20_000) -> float:
    """Give the p50 in microseconds over the four most common questions."""
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
            TierPolicy(name="cloud", kind=TierKind.CLOUD, rtt_p50_ms=60.0, rtt_p95_ms=180.0),
        ),
        privacy=PrivacyRules(residency={"eu": ("edge",)}),
        deadline_ms=500.0,
    )
    facts = RequestFacts(request_id="r", input_length=60, input_bytes=300, region="us")
    private = RequestFacts(request_id="r", input_length=60, input_bytes=300, private=True)
    states = {"edge": TierState(), "cloud": TierState(rtt_p50_ms=60.0, rtt_p95_ms=180.0)}
    unsure = Attempt(tier="edge", outcome=Outcome.ANSWERED, latency_ms=6.0, confidence=0.6)
    lost = Attempt(tier="cloud", outcome=Outcome.FAILED, latency_ms=60.0)
    questions = [(facts, []), (facts, [unsure]), (facts, [unsure, lost]), (private, [unsure])]
    taken_ns = []
    for turn in range(times):
        one, attempts = questions[turn % len(questions)]
        start_ns = time.perf_counter_ns()
        decide(policy, one, states, attempts, 7.0)
        taken_ns.append(time.perf_counter_ns() - start_ns)
    return statistics.median(taken_ns) / 1000


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


def main() -> None:
    """Measure, print and keep."""
    decisions_us = [bench_decision() for _ in range(RUNS)]
    with tempfile.TemporaryDirectory() as parent:
        folder = tiny_text_bundle(Path(parent) / "bundle")
        pairs = [asyncio.run(bench_engine(folder)) for _ in range(RUNS)]
    decision_us = statistics.median(decisions_us)
    bare_ms = statistics.median(bare for bare, _ in pairs)
    over_ms = statistics.median(through - bare for bare, through in pairs)
    print(f"decision p50            {decision_us:8.2f} us   bound 20")
    print(f"bare call p50           {bare_ms:8.3f} ms")
    print(f"engine over bare, p50   {over_ms:8.3f} ms   bound 0.3")
    claims = [
        {
            "claim": "decision_p50_us",
            "value": round(decision_us, 3),
            "bound": 20.0,
            "better": "lower",
            "holds": decision_us <= 20.0,
            "runs": RUNS,
        },
        {
            "claim": "engine_over_bare_p50_ms",
            "value": round(over_ms, 4),
            "bound": 0.3,
            "better": "lower",
            "holds": over_ms <= 0.3,
            "peers": {"bare_call_ms": round(bare_ms, 4)},
            "runs": RUNS,
        },
    ]
    write("route", claims)


if __name__ == "__main__":
    main()
