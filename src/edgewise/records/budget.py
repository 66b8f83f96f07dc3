"""What may be spent, and what a call costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from edgewise.errors import InvalidRecord

_NANO = 1_000_000_000
_MOST_USD = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingLimit:
    """The most to spend in a UTC day and in a UTC month; `None` is no limit."""

    usd_per_day: float | None = None
    usd_per_month: float | None = None

    def __post_init__(self) -> None:
        for name in ("usd_per_day", "usd_per_month"):
            limit = getattr(self, name)
            if limit is not None and not 0.0 <= limit <= _MOST_USD:
                what = f"not between 0 and {_MOST_USD:.0f}: {limit}"
                hint = "leave it out for no limit"
                raise InvalidRecord(what, where=f"SpendingLimit.{name}", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRules:
    """What all callers together, and each of them, may spend."""

    path: str
    """The file that remembers; it is made when it is not there. Processes may share it."""
    total: SpendingLimit = field(default_factory=SpendingLimit)
    each_caller: SpendingLimit = field(default_factory=SpendingLimit)
    """For callers without a limit of their own."""
    callers: Mapping[str, SpendingLimit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a tier asks for a call."""

    usd_per_request: float = 0.0
    usd_per_million_tokens_in: float = 0.0
    usd_per_million_tokens_out: float = 0.0
    usd_per_million_tokens_cached: float | None = None
    """Of input tokens that the tier had read before; `None`: as much as of others."""

    def __post_init__(self) -> None:
        rates = (
            self.usd_per_request,
            self.usd_per_million_tokens_in,
            self.usd_per_million_tokens_out,
            self.usd_per_million_tokens_cached or 0.0,
        )
        if not all(0.0 <= rate <= _MOST_USD for rate in rates):
            raise InvalidRecord(
                f"a price is no amount of money: {rates}", where="Price", hint="give 0 or more"
            )

    def usd(self, tokens_in: int = 0, tokens_out: int = 0, tokens_cached: int = 0) -> float:
        """Give the price of one call.

        Before the call `tokens_out` is the most that it may answer; after it, what it did.
        `tokens_cached` is a part of `tokens_in`.
        """
        rate = self.usd_per_million_tokens_cached
        cached = self.usd_per_million_tokens_in if rate is None else rate
        tokens_usd = (
            (tokens_in - tokens_cached) * self.usd_per_million_tokens_in
            + tokens_cached * cached
            + tokens_out * self.usd_per_million_tokens_out
        ) / 1e6
        return self.usd_per_request + tokens_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What is counted as spent in the current windows, in US dollars."""

    day_usd: float
    month_usd: float


def nano_usd(usd: float) -> int:
    """Count an amount in whole billionths of a dollar, so that sums are exact; rounds up.

    What binary fractions add to an amount (0.0011 is a little more than 11 ten-thousandths) is
    not rounded up.

    Raises
    ------
    InvalidRecord
        When it is negative, not finite or more than a billion dollars.
    """
    if not 0.0 <= usd <= _MOST_USD:
        hint = "give 0 or more"
        raise InvalidRecord(f"no amount of money: {usd}", where="usd", hint=hint)
    if usd >= 1e3:
        return math.ceil(Fraction(usd) * _NANO)
    return -(-round(usd * 1e12) // 1000)
