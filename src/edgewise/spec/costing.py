"""The `costs` of a checked file become a record."""

from collections.abc import Mapping

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
