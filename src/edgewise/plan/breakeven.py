"""From which volume on own devices are cheaper than calls."""

import math
from dataclasses import dataclass

from edgewise.errors import UsageError

HOURS_A_MONTH = 730.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """The crossing of the edge's and the cloud's monthly cost. Made by `break_even`."""

    requests_per_month: float | None
    """`None`: never; `reasons` says why."""
    reasons: tuple[str, ...]
    monthly_edge_usd: float
    """Written-off capital, running cost and fixed cost, without any request."""
    capital_usd: float
    running_usd_per_month: float
    saved_usd_per_request: float

    def payback_months(self, requests_per_month: float) -> float | None:
        """Give the months until the savings have paid the capital; `None` when they never do."""
        if not (math.isfinite(requests_per_month) and requests_per_month >= 0):
            raise UsageError(
                f"not a volume: {requests_per_month}",
                where="requests_per_month",
                hint="give a number ≥ 0",
            )
        saved = requests_per_month * self.saved_usd_per_request - self.running_usd_per_month
        if saved <= 0:
            return 0.0 if self.capital_usd == 0 and saved == 0 else None
        return self.capital_usd / saved


def break_even(  # noqa: PLR0913 - the contract of the design page
    *,
    devices: int = 1,
    device_usd: float = 0.0,
    lifetime_months: float = 24,
    opex_usd_per_device_month: float = 0.0,
    watts: float = 0.0,
    usd_per_kwh: float = 0.15,
    usd_per_request: float = 0.0,
    fixed_usd: float = 0.0,
    edge_usd_per_request: float = 0.0,
) -> BreakEven:
    """Give the requests a month above which the edge is cheaper than the cloud.

    V = [N (P / L + o + e) + F / L] / (c - v): N devices of price P over L months, o of running
    cost and e of energy (730 hours a month) each, F once, c a cloud call, v an edge answer.

    Raises
    ------
    UsageError
        When a number is negative or not finite, or there is no device or no lifetime.
    """
    given = dict(locals())
    for name, value in given.items():
        if not math.isfinite(value) or value < 0:
            raise UsageError(
                f"not a number ≥ 0: {value}", where=name, hint="give USD, watts or months"
            )
    if devices < 1 or lifetime_months <= 0:
        what = f"{devices} devices over {lifetime_months} months"
        raise UsageError(what, where="break_even", hint="give at least one device and one month")
    energy = watts / 1000 * HOURS_A_MONTH * usd_per_kwh
    capital = devices * device_usd + fixed_usd
    running = devices * (opex_usd_per_device_month + energy)
    monthly = capital / lifetime_months + running
    saved = usd_per_request - edge_usd_per_request
    crossing: float | None = None
    reasons: tuple[str, ...] = ()
    if saved > 0:
        crossing = monthly / saved
    elif saved < 0 or monthly > 0:
        edge = f"the edge's {edge_usd_per_request:g}"
        reasons = (f"a cloud call costs {usd_per_request:g} USD, no more than {edge}",)
    else:
        reasons = ("neither the edge nor the cloud costs anything",)
    return BreakEven(
        requests_per_month=crossing,
        reasons=reasons,
        monthly_edge_usd=monthly,
        capital_usd=capital,
        running_usd_per_month=running,
        saved_usd_per_request=saved,
    )
