"""From which volume on own devices are cheaper than calls, and what would flip the answer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

from edgewise.errors import UsageError
from edgewise.records import Flip

HOURS_A_MONTH = 730.0
_LARGEST_FLEET = 1e13


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
    devices: float = 1.0
    device_usd: float = 0.0
    fixed_usd: float = 0.0
    lifetime_months: float = 24.0

    def payback_months(self, requests_per_month: float) -> float | None:
        """Give the months until the savings have paid the capital; `None` when they never do."""
        saved = self._saved(requests_per_month) - self.running_usd_per_month
        if saved <= 0:
            return 0.0 if self.capital_usd == 0 and saved == 0 else None
        return self.capital_usd / saved

    def flips(self, requests_per_month: float) -> Flip:
        """Give the fleet and the device price at which edge and cloud cost the same.

        Each is what it would have to be if all else stayed; a larger fleet or a dearer device makes
        the cloud cheaper. `None` with a reason where there is no such number.
        """
        saved = self._saved(requests_per_month)
        left = saved - self.fixed_usd / self.lifetime_months
        each = self.device_usd / self.lifetime_months + self.running_usd_per_month / self.devices
        price = (left - self.running_usd_per_month) * self.lifetime_months / self.devices
        payback = self.payback_months(requests_per_month)
        reasons = list(self.reasons)
        if left < 0:
            more = "more" if saved >= 0 else "less"
            reasons.append(
                f"no fleet is small enough: calls cost {abs(saved):,.2f} USD a month {more} than "
                f"answers of the edge, and the fixed cost is {saved - left:,.2f} USD a month"
            )
        elif each == 0 or left > each * _LARGEST_FLEET:
            reasons.append("no fleet is too large: a device costs nothing, or next to it")
        if price < 0:
            reasons.append(
                f"no device is cheap enough: the fleet runs for {self.running_usd_per_month:,.2f} "
                f"USD a month, and {left:,.2f} USD a month are there for it"
            )
        if payback is None:
            reasons.append(
                f"it never pays back: what answers of the edge save is {saved:,.2f} USD a month, "
                f"and the fleet runs for {self.running_usd_per_month:,.2f} USD a month"
            )
        return Flip(
            devices=left / each if 0 <= left <= each * _LARGEST_FLEET and each > 0 else None,
            device_usd=price if price >= 0 else None,
            payback_months=payback,
            reasons=tuple(reasons),
        )

    def _saved(self, requests_per_month: float) -> float:
        if not _is_amount(requests_per_month):
            raise UsageError(
                f"not a volume: {requests_per_month!r}",
                where="requests_per_month",
                hint="give a number ≥ 0",
            )
        return requests_per_month * self.saved_usd_per_request


def break_even(  # noqa: PLR0913 - the contract of the design page
    *,
    devices: float = 1,
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
        When a number is negative or not finite, or none, or there is no device or no lifetime.
    """
    given = dict(locals())
    for name, value in given.items():
        if not _is_amount(value):
            raise UsageError(
                f"not a number ≥ 0: {value!r}", where=name, hint="give USD, watts or months"
            )
    if devices < 1 or lifetime_months <= 0:
        what = f"{devices} devices over {lifetime_months} months"
        raise UsageError(what, where="break_even", hint="give at least one device and one month")
    energy = watts / 1000 * HOURS_A_MONTH * usd_per_kwh
    capital = devices * device_usd + fixed_usd
    running = devices * (opex_usd_per_device_month + energy)
    monthly = capital / lifetime_months + running
    if not math.isfinite(monthly):
        what = f"the fleet costs {monthly} USD a month"
        raise UsageError(what, where="break_even", hint="look for a number that is far too large")
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
        devices=devices,
        device_usd=device_usd,
        fixed_usd=fixed_usd,
        lifetime_months=lifetime_months,
    )


def _is_amount(value: object) -> bool:
    return isinstance(value, Real) and 0.0 <= float(value) < math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A fleet that costs as much a month as the cloud bills for the volume asked for."""

    device_usd: float
    devices: float
    usd_per_device_month: float
    """Written off, run and powered."""


def fleets_at(
    requests_per_month: float,
    *,
    usd_per_request: float,
    device_prices_usd: Sequence[float],
    lifetime_months: float = 36,
    opex_usd_per_device_month: float = 0.0,
    watts: float = 0.0,
    usd_per_kwh: float = 0.15,
) -> tuple[Fleet, ...]:
    """Give, for each device price, the fleet for which this volume is the crossing.

    Raises
    ------
    UsageError
        When a number is negative or not finite, or a device would cost nothing a month.
    """
    rows = []
    for price in device_prices_usd:
        one = break_even(
            device_usd=price,
            lifetime_months=lifetime_months,
            opex_usd_per_device_month=opex_usd_per_device_month,
            watts=watts,
            usd_per_kwh=usd_per_kwh,
            usd_per_request=usd_per_request,
        )
        devices = one.flips(requests_per_month).devices
        if devices is None:
            what = "a device that costs nothing a month has no crossing"
            raise UsageError(what, where="device_prices_usd", hint="give a price or a running cost")
        each = one.monthly_edge_usd
        rows.append(Fleet(device_usd=price, devices=devices, usd_per_device_month=each))
    return tuple(rows)
