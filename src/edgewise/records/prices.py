"""Dated prices with their source."""

import math
from dataclasses import dataclass

from edgewise.errors import InvalidRecord

MEASURES = (
    "usd_per_device",
    "usd_per_hour",
    "usd_per_million_input_tokens",
    "usd_per_million_cached_tokens",
    "usd_per_million_output_tokens",
    "grams_per_kwh",
)
"""What a price can be of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """One number of one thing."""

    item: str
    measure: str
    value: float

    def __post_init__(self) -> None:
        if not self.item or self.measure not in MEASURES:
            what = f"`{self.item}` with the measure `{self.measure}`"
            hint = f"name an item, and one of: {', '.join(MEASURES)}"
            raise InvalidRecord(what, where="PriceRow", hint=hint)
        if not math.isfinite(self.value) or self.value < 0:
            what = f"not a price: {self.value}"
            raise InvalidRecord(what, where="PriceRow", hint="give a number ≥ 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices of one source and date. Read by the plan, and by `edgewise prices`."""

    name: str
    source: str
    date: str
    """Of the prices, or of reading them where the source has none."""
    licence: str
    rows: tuple[PriceRow, ...]
