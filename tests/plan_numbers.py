"""Numbers of a plan whose sums fit on the back of an envelope, for tests."""

from collections.abc import Mapping
from pathlib import Path

from edgewise.plan import Evidence
from edgewise.plan.cost import CostModel
from edgewise.plan.numbers import numbers_of
from edgewise.records import (
    CloudTier,
    Costs,
    EdgeTier,
    Objective,
    PlanBasis,
    PrivacyRules,
    Profile,
    Target,
    Workload,
)

ROOT = Path(__file__).parents[1]
MIB = 2**20
PROFILE = Profile(
    bundle_sha256="ab",
    target=Target(
        cpu="a cpu",
        cpu_features=(),
        cores=2,
        memory_bytes=2**30,
        threads=1,
        runtime="onnxruntime",
        runtime_version="1",
    ),
    n=50,
    cold_start_ms=300,
    load_ms=100,
    p50_ms=10,
    p95_ms=20,
    p99_ms=30,
    buckets=(),
    peak_memory_bytes=128 * MIB,
    size_bytes=32 * MIB,
)
KNOWN = Evidence(
    p50_ms=10,
    p95_ms=20,
    peak_memory_bytes=MIB,
    size_bytes=MIB,
    edge_loss=0.01,
    hybrid_loss=0.0,
    deferral_share=0.25,
)
"""Of an edge that loses little, and a hybrid that defers a quarter."""


def basis(costs: Costs | None = None, **workload: float) -> PlanBasis:
    """100 devices of 48 USD over 24 months, and a million calls of 0.002 USD."""
    given: dict[str, float] = {
        "requests_per_month": 1_000_000.0,
        "devices": 100,
        "device_usd": 48.0,
        **workload,
    }
    return PlanBasis(
        name="tiny",
        workload=Workload(**given),  # type: ignore[arg-type]
        costs=costs or Costs(),
        edge=EdgeTier(),
        cloud=CloudTier(usd_per_request=0.002),
        objective=Objective(),
        privacy=PrivacyRules(),
    )


def numbers(changed: Mapping[str, float] | None = None, deferral: float = 0.25) -> dict[str, float]:
    """Give the numbers of `basis`, some of them changed."""
    return {**numbers_of(basis(), deferral), **(changed or {})}


def model(horizon_months: float = 24) -> CostModel:
    """Give a cost model without discounts."""
    return CostModel(horizon_months=horizon_months)
