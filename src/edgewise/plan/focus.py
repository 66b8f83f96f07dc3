"""Plans and decisions as rows of FOCUS 1.2, the FinOps Open Cost and Usage Specification."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from edgewise.plan.load import device_servers
from edgewise.plan.numbers import HOURS_A_MONTH
from edgewise.plan.planning import model_of
from edgewise.records import CostLine, Decision, Outcome, Plan, PlanBasis

MANDATORY = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
)
"""Columns that version 1.2 of the specification calls mandatory."""

COLUMNS = (
    *MANDATORY,
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeFrequency",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ResourceId",
    "ResourceType",
    "ServiceSubcategory",
    "Tags",
    "x_Option",
    "x_Origin",
)

Row = Mapping[str, str]
_OWN = "own hardware"
_ENERGY = "energy per request"
_SERVICES = {
    "devices": ("Internet of Things", "Units"),
    "engineering": ("Developer Tools", "Units"),
    "support": ("Management and Governance", "Unit-Months"),
    "power": ("Internet of Things", "Unit-Months"),
    "updates": ("Management and Governance", "Unit-Months"),
    "devices' link": ("Networking", "Unit-Months"),
    _ENERGY: ("Internet of Things", "Requests"),
    "requests": ("AI and Machine Learning", "Requests"),
    "tokens": ("AI and Machine Learning", "Requests"),
    "servers": ("Compute", "Requests"),
    "egress": ("Networking", "Requests"),
    "up to the minimum": ("AI and Machine Learning", "Months"),
    "link to the cloud": ("Networking", "Requests"),
}
"""A line of the bill: its service category, and the unit it is counted in."""

_BILLED_BY_CLOUD = {"requests", "tokens", "servers", "egress", "up to the minimum"}
_DISCOUNTED = {"requests", "tokens"}
_RECURRING = {"support", "power", "updates", "devices' link", "up to the minimum"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Charge:
    service: str
    category: str
    billed_usd: float
    effective_usd: float
    quantity: float
    unit: str
    provider: str
    start: datetime
    end: datetime
    option: str
    origin: str
    charge: str = "Usage"
    frequency: str = "Usage-Based"
    words: str = ""
    reservation: tuple[str, str] | None = None
    list_usd: float | None = None
    """Before any discount; `None`: there is none."""
    tags: Mapping[str, str] = field(default_factory=dict)


def plan_rows(plan: Plan, month: date) -> tuple[Row, ...]:
    """Give the choice's first month: what is bought, what of it is used up, and what is billed.

    A purchase is billed at once and used up month by month, so its own row has no effective cost
    and each month's share has nothing billed. Without a feasible choice there are no rows.

    Parameters
    ----------
    month
        Any day of the month that the rows are for.
    """
    if plan.choice is None or plan.basis is None:
        return ()
    start, end = _month(month)
    work = plan.basis.workload
    share = {one.option: one.far_share for one in plan.tradeoffs}.get(plan.choice, 1.0)
    counts = {"Units": float(work.devices), "Unit-Months": float(work.devices), "Months": 1.0}
    charges = []
    for one in (row for row in plan.bill if row.option == plan.choice):
        category, unit = _SERVICES[one.line]
        far = one.line in _BILLED_BY_CLOUD or one.line == "link to the cloud"
        once = one.line in ("devices", "engineering")
        requests = work.requests_per_month * (share if far else 1.0)
        quantity = counts.get(unit, requests)
        charge = _Charge(
            service=one.line,
            category=category,
            billed_usd=0.0 if once else one.usd_per_month,
            effective_usd=one.usd_per_month,
            quantity=1.0 if one.line == "engineering" else quantity,
            unit="Unit-Months" if once else unit,
            provider="cloud" if one.line in _BILLED_BY_CLOUD else _OWN,
            start=start,
            end=end,
            option=plan.choice,
            origin="plan",
            frequency="Recurring" if once or one.line in _RECURRING else "Usage-Based",
            words=f"{one.line}, written off" if once else one.line,
            list_usd=_list_usd(plan.basis, one, requests),
        )
        charges.append(charge)
    charges += _purchases(plan, start, end)
    return tuple(_row(one, start, end, plan.basis.name) for one in charges)


def _list_usd(basis: PlanBasis, one: CostLine, requests: float) -> float | None:
    """Give what a line would cost without `costs.cloud.discounts`."""
    if one.line not in _DISCOUNTED:
        return None
    return one.usd_per_month * requests / float(model_of(basis).discounted(requests))


def _purchases(plan: Plan, start: datetime, end: datetime) -> list[_Charge]:
    paid = plan.cash[0].usd[plan.choice or ""]
    if paid == 0:
        return []
    return [
        _Charge(
            service="devices",
            category=_SERVICES["devices"][0],
            billed_usd=paid,
            effective_usd=0.0,
            quantity=1.0,
            unit="Units",
            provider=_OWN,
            start=start,
            end=end,
            option=plan.choice or "",
            origin="plan",
            charge="Purchase",
            frequency="One-Time",
            words="devices with spares, and engineering, bought",
        )
    ]


def ledger_rows(
    decisions: Iterable[Decision], plan: Plan, *, own: tuple[str, ...] = ("edge",)
) -> tuple[Row, ...]:
    """Give a row a day and tier of what was decided: calls by their price, own hardware by its use.

    Own hardware costs what the plan says, whatever it is asked, so each of its days has two rows: a
    part used, by the seconds that attempts took of all that its servers have for the workload, and
    a part unused. It has them on idle days too, from the log's first day to its last, where a
    request might have gone there. What an answer takes of energy by the plan is in the part used;
    a call that failed takes none.

    Parameters
    ----------
    own
        Tiers that are own hardware.
    """
    assert plan.basis is not None
    calls: dict[tuple[date, str], tuple[int, float, float]] = {}
    worked: Counter[tuple[date, str]] = Counter()
    days: set[date] = set()
    open_to: set[str] = set()
    for decision in decisions:
        day = datetime.fromtimestamp(decision.at_s, UTC).date()
        days.add(day)
        open_to.update(decision.allowed)
        for attempt in decision.attempts:
            count, usd, ms = calls.get((day, attempt.tier), (0, 0.0, 0.0))
            open_to.add(attempt.tier)
            worked[day, attempt.tier] += attempt.outcome is not Outcome.FAILED
            calls[day, attempt.tier] = (
                count + 1,
                usd + attempt.cost_usd,
                ms + attempt.latency_ms,
            )
    for tier in open_to.intersection(own):
        for ahead in range((max(days) - min(days)).days + 1):
            calls.setdefault((min(days) + timedelta(days=ahead), tier), (0, 0.0, 0.0))
    fleet_usd = sum(
        one.usd_per_month for one in plan.bill if one.option == "edge" and one.line != _ENERGY
    )
    name, basis = plan.basis.name, plan.basis
    answer_usd = _answer_usd(plan, basis.workload.requests_per_month)
    servers = basis.workload.devices * basis.costs.edge.share * device_servers(basis.edge)
    rows = []
    for (day, tier), (count, usd, ms) in sorted(calls.items()):
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        charge = _Charge(
            service=tier,
            category="AI and Machine Learning",
            billed_usd=usd,
            effective_usd=usd,
            quantity=float(count),
            unit="Requests",
            provider="cloud",
            start=start,
            end=start + timedelta(days=1),
            option=tier,
            origin="decision log",
            words=f"{count} calls",
        )
        charges = [charge]
        if tier in own:
            busy = min(ms / 1000 / (servers * 86_400), 1.0)
            answers_usd = worked[day, tier] * answer_usd
            charges = _days(charge, fleet_usd * 24 / HOURS_A_MONTH, busy, answers_usd)
        rows += [_row(one, *_month(day), name) for one in charges]
    return tuple(rows)


def _answer_usd(plan: Plan, requests_per_month: float) -> float:
    """Give what an answer of own hardware costs beside the hardware: its energy."""
    lines = (one for one in plan.bill if one.option == "edge" and one.line == _ENERGY)
    return sum(one.usd_per_month / requests_per_month for one in lines)


def _days(charge: _Charge, fleet_usd: float, busy: float, answers_usd: float) -> list[_Charge]:
    """Give the used and the unused part of a day of the fleet; answers cost what they cost."""
    return [
        _Charge(
            service=charge.service,
            category="Internet of Things",
            billed_usd=0.0,
            effective_usd=fleet_usd * part + usd,
            quantity=charge.quantity if status == "Used" else 0.0,
            unit="Requests",
            provider=_OWN,
            start=charge.start,
            end=charge.end,
            option=charge.option,
            origin=charge.origin,
            words=f"own hardware {status.lower()}: {part:.2%} of the day",
            reservation=("fleet", status),
            tags={"busy_share": f"{busy:.6f}"},
        )
        for status, part, usd in (("Used", busy, answers_usd), ("Unused", 1 - busy, 0.0))
    ]


def focus_csv(rows: Iterable[Row]) -> str:
    """Write rows as CSV with a header; what is null is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(one: _Charge, period_start: datetime, period_end: datetime, account: str) -> Row:
    unused = one.reservation is not None and one.reservation[1] == "Unused"
    usage = one.charge == "Usage" and not unused
    reserved, status = one.reservation or ("", "")
    contracted = max(one.billed_usd, one.effective_usd)
    return {
        "BilledCost": _decimal(one.billed_usd),
        "BillingAccountId": account,
        "BillingAccountName": account,
        "BillingCurrency": "USD",
        "BillingPeriodEnd": _time(period_end),
        "BillingPeriodStart": _time(period_start),
        "CapacityReservationId": reserved,
        "CapacityReservationStatus": status,
        "ChargeCategory": one.charge,
        "ChargeClass": "",
        "ChargeDescription": one.words,
        "ChargeFrequency": one.frequency,
        "ChargePeriodEnd": _time(one.end),
        "ChargePeriodStart": _time(one.start),
        "ConsumedQuantity": _decimal(one.quantity) if usage else "",
        "ConsumedUnit": one.unit if usage else "",
        "ContractedCost": _decimal(contracted),
        "EffectiveCost": _decimal(one.effective_usd),
        "InvoiceIssuerName": one.provider,
        "ListCost": _decimal(contracted if one.list_usd is None else one.list_usd),
        "PricingQuantity": _decimal(one.quantity),
        "PricingUnit": one.unit,
        "ProviderName": one.provider,
        "PublisherName": one.provider,
        "ResourceId": one.service,
        "ResourceType": "device" if one.provider == _OWN else "endpoint",
        "ServiceCategory": one.category,
        "ServiceName": one.service,
        "ServiceSubcategory": f"Other ({one.category})",
        "Tags": json.dumps(dict(one.tags)) if one.tags else "",
        "x_Option": one.option,
        "x_Origin": one.origin,
    }


def _month(day: date) -> tuple[datetime, datetime]:
    start = datetime(day.year, day.month, 1, tzinfo=UTC)
    after = (start + timedelta(days=32)).replace(day=1)
    return start, after


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _decimal(value: float) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".") or "0"
