"""How long 10,000 draws of one plan take, with every number of a cost uncertain.

The plan is whole: three options, servers by the hour over a daily wave, discounts, a tornado,
Sobol's indices and what knowing each number is worth.

Claim: `draws_10000_s` at most 3, the median of the runs.

    .venv/bin/python -m benchmarks.plan_draws
"""

import statistics
import time
from dataclasses import replace
from typing import Any

from benchmarks.results import claim, write

from edgewise.plan import Evidence, plan_from
from edgewise.plan.numbers import numbers_of
from edgewise.records import (
    NUMBERS,
    CloudCosts,
    CloudTier,
    Costs,
    Distribution,
    EdgeCosts,
    EdgeTier,
    Objective,
    PlanBasis,
    PrivacyRules,
    Shape,
    VolumeDiscount,
    Workload,
)

DRAWS, RUNS, BOUND_S = 10_000, 7, 3.0
KNOWN = Evidence(
    p50_ms=12,
    p95_ms=25,
    peak_memory_bytes=128 * 2**20,
    size_bytes=16 * 2**20,
    edge_loss=0.01,
    hybrid_loss=0.005,
    deferral_share=0.1,
)


def wide_plan() -> PlanBasis:
    """Give a basis in which every number but the servers' least count is a distribution."""
    cloud = CloudCosts(
        input_tokens=900,
        cached_share=0.3,
        output_tokens=120,
        usd_per_million_input_tokens=0.15,
        usd_per_million_cached_tokens=0.075,
        usd_per_million_output_tokens=0.6,
        usd_per_gpu_hour=1.0,
        gpu_s_per_request=0.2,
        peak_ratio=1.6,
        arrival_cv2=4.0,
        up_kb_per_request=4,
        down_kb_per_request=2,
        usd_per_egress_gb=0.09,
        minimum_usd_per_month=100,
        discounts=(VolumeDiscount(from_requests=5e6, share=0.2),),
        joules_per_request=300,
        grams_per_kwh=400,
    )
    edge = EdgeCosts(
        share=0.8,
        spares=0.05,
        lifetime_months=36,
        joules_per_request=2,
        grams_per_kwh=400,
        updates_per_month=1,
        usd_per_update=0.01,
        up_gb_per_device_month=0.1,
        down_gb_per_device_month=0.2,
        usd_per_gb=0.5,
    )
    basis = PlanBasis(
        name="wide",
        workload=Workload(
            requests_per_month=1e7,
            devices=5000,
            device_usd=80,
            horizon_months=36,
            usd_per_device_month=1.5,
            watts=5,
            fixed_usd=50_000,
        ),
        costs=Costs(discount_rate_per_year=0.08, growth_per_month=0.01, edge=edge, cloud=cloud),
        edge=EdgeTier(),
        cloud=CloudTier(usd_per_request=0.0005),
        objective=Objective(),
        privacy=PrivacyRules(),
    )
    uncertain = {
        name: Distribution(shape=Shape.LOGNORMAL, low=value / 1.5, high=value * 1.5)
        for name, value in numbers_of(basis, KNOWN.deferral_share).items()
        if value > 0 and name in NUMBERS and name != "costs.cloud.min_servers"
    }
    return replace(basis, costs=replace(basis.costs, uncertain=uncertain))


def claims() -> list[dict[str, Any]]:
    """Measure, and give the claim."""
    basis = wide_plan()
    plan_from(basis, KNOWN, draws=DRAWS, seed=0)
    times = []
    for seed in range(RUNS):
        start = time.perf_counter()
        plan_from(basis, KNOWN, draws=DRAWS, seed=seed)
        times.append(time.perf_counter() - start)
    return [claim("draws_10000_s", statistics.median(times), BOUND_S, runs=RUNS)]


if __name__ == "__main__":
    write("plan", claims(), keep=True)
