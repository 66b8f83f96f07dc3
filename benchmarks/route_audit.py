"""Whether the audit accuses wrongly, how soon it sees a drift, and what it costs a request.

Claims: `audit_false_void_rate`, at most δ = 5%, where the loss is exactly α all the time;
`audit_detection_audited_p50`, the audited requests until a loss of three times α is refuted that
begins after 2,000 audited ones without a drift (at α/2), at most 500, with other sizes beside it;
`audit_consider_p50_us`, the engine's extra work for a request that is not sampled, at most 20.

    .venv/bin/python -m benchmarks.route_audit
"""

import random
import statistics
import time

import numpy as np
from benchmarks.results import claim, write

from edgewise.observe import Auditor, EProcess
from edgewise.records import (
    Answered,
    AuditRules,
    Certificate,
    CertificateState,
    Loss,
    Policy,
    TierKind,
    TierPolicy,
)

SEED = 20_261_128
ALPHA, DELTA, SHARE, KEPT = 0.02, 0.05, 0.05, 0.7
FALSE_RUNS, DRIFT_RUNS = 300, 40
LONG, QUIET, MOST = 2_000, 2_000, 6_000


def refuted_after(rng: np.random.Generator, risks: np.ndarray) -> int | None:
    """Give how many audited requests it takes, given the risk at each; `None` if never."""
    test = EProcess(alpha=ALPHA, share=SHARE)
    gaps = rng.geometric(SHARE * KEPT, size=len(risks))
    differs = rng.random(len(risks)) < risks / KEPT
    for place, (gap, one) in enumerate(zip(gaps, differs, strict=True), start=1):
        test.skip(int(gap) - 1)
        test.add(float(one))
        if test.e_value >= 1.0 / DELTA:
            return place
    return None


def detection(rng: np.random.Generator, times: float) -> list[float]:
    """Give the delays of runs whose loss becomes a multiple of α; a run that misses has `MOST`.

    Runs that are void before the drift are left out: they are counted as false elsewhere.
    """
    delays = []
    risks = np.concatenate([np.full(QUIET, ALPHA / 2), np.full(MOST, times * ALPHA)])
    for _ in range(DRIFT_RUNS):
        found = refuted_after(rng, risks)
        if found is None or found > QUIET:
            delays.append(float(MOST if found is None else found - QUIET))
    return delays


def consider_us(count: int = 50_000) -> float:
    """Give the median time of one `consider`, in microseconds."""
    certificate = Certificate(
        state=CertificateState.CERTIFIED,
        loss=Loss.DISAGREEMENT,
        alpha=ALPHA,
        delta=DELTA,
        n=2_000,
        threshold=0.8,
        deferral_rate=1.0 - KEPT,
        bound=ALPHA,
    )
    tiers = (
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8),
        TierPolicy(name="cloud", kind=TierKind.CLOUD),
    )
    policy = Policy(
        task="text-classification",
        labels=("no", "yes"),
        tiers=tiers,
        audit=AuditRules(share=0.0001, usd_per_day=10.0, per_hour=1_000),
        certificate=certificate,
    )
    auditor = Auditor(rng=random.Random(SEED))
    auditor.begin(policy)
    one = Answered(request_id="r", kept=True, confidence=0.9, edge_label="yes")
    taken_ns = []
    for number in range(count):
        start_ns = time.perf_counter_ns()
        auditor.consider(one, 1.7e9 + number)
        taken_ns.append(time.perf_counter_ns() - start_ns)
    return statistics.median(taken_ns) / 1000


def main() -> None:
    """Measure, print and keep."""
    rng = np.random.default_rng(SEED)
    false = sum(refuted_after(rng, np.full(LONG, ALPHA)) is not None for _ in range(FALSE_RUNS))
    delays = {times: detection(rng, times) for times in (1.5, 2.0, 3.0, 5.0)}
    middle = {times: statistics.median(found) for times, found in delays.items()}
    cost_us = statistics.median(consider_us() for _ in range(5))
    beside = {f"at_{times:g}_alpha": middle[times] for times in delays}
    beside |= {"at_3_alpha_p95": float(np.quantile(delays[3.0], 0.95))}
    write(
        "route",
        [
            claim("audit_false_void_rate", round(false / FALSE_RUNS, 4), DELTA, runs=FALSE_RUNS),
            claim("audit_detection_audited_p50", middle[3.0], 500.0, runs=DRIFT_RUNS, peers=beside),
            claim("audit_consider_p50_us", round(cost_us, 2), 20.0, runs=5),
        ],
        keep=True,
    )


if __name__ == "__main__":
    main()
