"""The `costs` of a checked file become a record, and what the file does not give is named."""

from collections.abc import Mapping

from pydantic import BaseModel

from edgewise.records import (
    Assumptions,
    CloudCosts,
    Costs,
    Distribution,
    EdgeCosts,
    Upkeep,
    VolumeDiscount,
)
from edgewise.spec import costs as shape

_SHOWN = (
    "workload.requests_per_month",
    "workload.devices",
    "workload.device_usd",
    "workload.horizon_months",
    "workload.usd_per_device_month",
    "workload.usd_per_kwh",
    "tiers.cloud.usd_per_request",
    "tiers.cloud.rtt_ms.p50",
    "tiers.cloud.rtt_ms.p95",
)
"""Numbers that a plan shows, whether the file gives them or not."""
_IN_TABLES = (
    "costs.cloud.usd_per_gpu_hour",
    "costs.cloud.usd_per_million_input_tokens",
    "costs.cloud.usd_per_million_output_tokens",
)
"""Numbers that are 0 by default and that a price table may have."""


def defaults_of(project: BaseModel) -> tuple[str, ...]:
    """Name the numbers that a plan shows, or takes from tables, and the file does not give."""
    return tuple(name for name in (*_SHOWN, *_IN_TABLES) if not _is_given(project, name.split(".")))


def _is_given(section: object, path: list[str]) -> bool:
    for part in path:
        if not isinstance(section, BaseModel) or part not in section.model_fields_set:
            return False
        section = getattr(section, part)
    return True


def costs_record(costs: shape.Costs, uncertain: Mapping[str, Distribution]) -> Costs:
    """Give the record; `uncertain` holds the file's distributions by place."""
    cloud = costs.cloud.model_dump(exclude={"discounts"})
    assume = costs.assume.model_dump(exclude={"peak_memory", "size"})
    return Costs(
        discount_rate_per_year=costs.discount_rate_per_year,
        growth_per_month=costs.growth_per_month,
        edge=EdgeCosts(**costs.edge.model_dump()),
        cloud=CloudCosts(
            **cloud,
            discounts=tuple(VolumeDiscount(**one.model_dump()) for one in costs.cloud.discounts),
        ),
        assume=Assumptions(
            **assume, peak_memory_bytes=costs.assume.peak_memory, size_bytes=costs.assume.size
        ),
        upkeep={option: Upkeep(**one.model_dump()) for option, one in costs.upkeep.items()},
        uncertain=uncertain,
    )
