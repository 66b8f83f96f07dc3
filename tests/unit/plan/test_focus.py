"""FOCUS rows: the columns of version 1.2, and sums that are those of the plan and the log."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime

import plan_numbers
import pytest
from plan_numbers import basis

from edgewise.plan import plan_from
from edgewise.plan.focus import COLUMNS, MANDATORY, Row, focus_csv, ledger_rows, plan_rows
from edgewise.records import (
    Attempt,
    Autoscaling,
    CloudCosts,
    Costs,
    Decision,
    EdgeCosts,
    EdgeTier,
    Outcome,
    Plan,
    QueueRules,
    RequestFacts,
    VolumeDiscount,
    Workload,
)

KNOWN = replace(plan_numbers.KNOWN, edge_loss=0.5)
NULLABLE = {
    "BillingAccountName",
    "ChargeClass",
    "ChargeDescription",
    "PricingQuantity",
    "PricingUnit",
}


def planned(**workload: float) -> Plan:
    return plan_from(basis(None, **workload), KNOWN)


def total(rows: tuple[Row, ...], column: str, **where: str) -> float:
    kept = [row for row in rows if all(row[key] == value for key, value in where.items())]
    return sum(float(row[column]) for row in kept)


def answered(day: int, tier: str, usd: float, ms: float) -> Decision:
    return Decision(
        request_id=f"{day}-{tier}-{usd}",
        at_s=datetime(2026, 11, day, 12, tzinfo=UTC).timestamp(),
        policy_version="1",
        facts=RequestFacts(request_id="a", input_length=1, input_bytes=1),
        allowed=("edge", "cloud"),
        reasons=(),
        attempts=(Attempt(tier=tier, outcome=Outcome.ANSWERED, latency_ms=ms, cost_usd=usd),),
        location=tier,
        latency_ms=ms,
        cost_usd=usd,
    )


def test_every_row_has_the_mandatory_columns_and_no_null_where_none_may_be() -> None:
    rows = (*plan_rows(planned(fixed_usd=240.0), date(2026, 11, 5)),)

    assert len(MANDATORY) == 21
    for row in rows:
        assert tuple(sorted(row)) == tuple(sorted(COLUMNS))
        assert all(row[name] for name in MANDATORY if name not in NULLABLE)
        assert row["ChargeCategory"] in ("Usage", "Purchase")
        assert row["ChargePeriodStart"] == "2026-11-01T00:00:00Z"
        assert row["ChargePeriodEnd"] == row["BillingPeriodEnd"] == "2026-12-01T00:00:00Z"
        purchase = row["ChargeCategory"] == "Purchase"
        assert (row["ConsumedQuantity"] == "") is purchase


def test_what_is_used_up_in_a_month_is_what_the_plan_says_it_costs() -> None:
    found = planned(fixed_usd=240.0)

    rows = plan_rows(found, date(2026, 12, 31))

    assert found.choice == "hybrid"
    assert total(rows, "EffectiveCost") == pytest.approx(found.monthly_usd.hybrid)
    # The fleet is bought in this month and used up over 24.
    assert total(rows, "BilledCost", ChargeCategory="Purchase") == pytest.approx(4800 + 240)
    assert total(rows, "EffectiveCost", ChargeCategory="Purchase") == 0
    assert total(rows, "BilledCost", ProviderName="cloud") == pytest.approx(500)
    assert total(rows, "PricingQuantity", ResourceId="requests") == 250_000
    assert {row["BillingPeriodEnd"] for row in rows} == {"2027-01-01T00:00:00Z"}


def test_the_cloud_alone_buys_nothing() -> None:
    rows = plan_rows(planned(requests_per_month=10.0), date(2026, 11, 1))

    assert {row["ChargeCategory"] for row in rows} == {"Usage"}
    assert {row["x_Option"] for row in rows} == {"cloud"}


def test_a_volume_discount_is_not_in_the_list_cost() -> None:
    half = (VolumeDiscount(from_requests=500_000, share=0.5),)
    cloud = CloudCosts(
        discounts=half,
        input_tokens=1000,
        usd_per_million_input_tokens=1.0,
        down_kb_per_request=1.0,
        usd_per_egress_gb=1.0,
    )
    found = plan_from(basis(Costs(cloud=cloud), device_usd=1e6), KNOWN)

    rows = {row["ResourceId"]: row for row in plan_rows(found, date(2026, 11, 1))}

    # A million requests of 0.002 USD and tokens of 0.001 USD; the second half costs half.
    assert found.choice == "cloud"
    for line, listed, paid in (("requests", "2000", "1500"), ("tokens", "1000", "750")):
        assert (rows[line]["ListCost"], rows[line]["ContractedCost"]) == (listed, paid)
        assert (rows[line]["BilledCost"], rows[line]["EffectiveCost"]) == (paid, paid)
    assert rows["egress"]["ListCost"] == rows["egress"]["ContractedCost"] == "1"


def test_a_plan_without_a_choice_has_no_rows() -> None:
    assert plan_rows(replace(planned(), choice=None), date(2026, 11, 1)) == ()


def test_a_log_is_a_row_a_day_and_tier_with_own_hardware_at_its_real_use() -> None:
    decisions = [
        answered(3, "edge", 0.0, 500.0),
        answered(3, "edge", 0.0, 500.0),
        answered(3, "cloud", 0.002, 80.0),
        answered(4, "cloud", 0.003, 80.0),
    ]
    found = planned()

    rows = ledger_rows(decisions, found)

    assert [(row["ChargePeriodStart"][:10], row["ResourceId"]) for row in rows] == [
        ("2026-11-03", "cloud"),
        ("2026-11-03", "edge"),
        ("2026-11-03", "edge"),
        ("2026-11-04", "cloud"),
        ("2026-11-04", "edge"),
        ("2026-11-04", "edge"),
    ]
    assert total(rows, "BilledCost", ProviderName="cloud") == pytest.approx(0.005)
    # A day of a fleet of 200 USD a month; one second of 100 devices' day was used.
    day_usd, busy = 200 * 24 / 730, 1 / (100 * 86_400)
    used = total(rows, "EffectiveCost", CapacityReservationStatus="Used")
    unused = total(rows, "EffectiveCost", CapacityReservationStatus="Unused")
    assert used == pytest.approx(day_usd * busy, abs=1e-9)
    assert used + unused == pytest.approx(2 * day_usd)
    assert [row["ConsumedQuantity"] for row in rows] == ["1", "2", "", "1", "0", ""]


def test_the_energy_of_answers_is_in_the_part_of_a_day_that_was_used() -> None:
    costs = Costs(edge=EdgeCosts(joules_per_request=3.6e6))
    hungry = plan_from(basis(costs, usd_per_kwh=0.5), KNOWN)
    decisions = [answered(3, "edge", 0.0, 500.0), answered(3, "edge", 0.0, 500.0)]

    rows, without = ledger_rows(decisions, hungry), ledger_rows(decisions, planned())

    # A kWh of 0.5 USD an answer.
    for status, more_usd in (("Used", 1.0), ("Unused", 0.0)):
        usd = total(rows, "EffectiveCost", CapacityReservationStatus=status)
        before = total(without, "EffectiveCost", CapacityReservationStatus=status)
        assert usd - before == pytest.approx(more_usd)


def test_a_call_that_failed_took_no_energy() -> None:
    costs = Costs(edge=EdgeCosts(joules_per_request=3.6e6))
    hungry = plan_from(basis(costs, usd_per_kwh=0.5), KNOWN)
    one = answered(3, "edge", 0.0, 500.0)
    failed = replace(one, attempts=(replace(one.attempts[0], outcome=Outcome.FAILED),))

    rows, without = (ledger_rows([one, failed], plan) for plan in (hungry, planned()))

    more_usd = total(rows, "EffectiveCost") - total(without, "EffectiveCost")
    assert more_usd == pytest.approx(0.5)


def test_own_hardware_costs_its_days_without_a_request_too() -> None:
    decisions = [
        answered(3, "edge", 0.0, 500.0),
        answered(5, "cloud", 0.002, 80.0),
        answered(6, "edge", 0.0, 500.0),
    ]

    rows = ledger_rows(decisions, planned())

    fleet = [row for row in rows if row["ResourceId"] == "edge"]
    days = [row["ChargePeriodStart"][8:10] for row in fleet]
    assert days == ["03", "03", "04", "04", "05", "05", "06", "06"]
    assert total(tuple(fleet), "EffectiveCost") == pytest.approx(4 * 200 * 24 / 730)
    idle = tuple(row for row in fleet if row["ChargePeriodStart"][8:10] == "04")
    assert total(idle, "EffectiveCost", CapacityReservationStatus="Used") == 0
    assert [row["ConsumedQuantity"] for row in idle] == ["0", ""]


def test_a_fleet_that_nobody_asked_costs_its_days_too() -> None:
    decisions = [answered(3, "cloud", 0.002, 80.0), answered(4, "cloud", 0.002, 80.0)]

    rows = ledger_rows(decisions, planned())
    without = ledger_rows([replace(one, allowed=("cloud",)) for one in decisions], planned())

    assert total(rows, "EffectiveCost", ResourceId="edge") == pytest.approx(2 * 200 * 24 / 730)
    assert total(rows, "EffectiveCost", CapacityReservationStatus="Used") == 0
    assert {row["ResourceId"] for row in without} == {"cloud"}


def test_a_fleet_is_used_by_the_seconds_that_its_servers_have_for_the_workload() -> None:
    known = basis(Costs(edge=EdgeCosts(share=0.5)))
    shared = plan_from(replace(known, edge=EdgeTier(servers=4)), KNOWN)

    rows = ledger_rows([answered(3, "edge", 0.0, 43_200_000.0)], shared)

    # Twelve hours of work, and 100 devices have half of four servers for it: 4,800 hours a day.
    day_usd = 100 * 24 / 730
    used = total(rows, "EffectiveCost", CapacityReservationStatus="Used")
    assert used == pytest.approx(day_usd * 12 / 4800)
    assert json.loads(rows[0]["Tags"])["busy_share"] == "0.002500"


def test_a_fleet_whose_servers_come_and_go_has_the_most_of_them() -> None:
    queue = QueueRules(autoscaling=Autoscaling(least=1, most=4))
    scaled = plan_from(replace(basis(), edge=EdgeTier(servers=1, queue=queue)), KNOWN)

    rows = ledger_rows([answered(3, "edge", 0.0, 43_200_000.0)], scaled)

    # Twelve hours of work, and 100 devices may have four servers for it: 9,600 hours a day.
    assert json.loads(rows[0]["Tags"])["busy_share"] == "0.001250"


def test_a_fleet_is_never_used_more_than_it_is_there() -> None:
    small = plan_from(
        replace(basis(), workload=Workload(devices=1, device_usd=48, requests_per_month=10)), KNOWN
    )

    rows = ledger_rows([answered(3, "edge", 0.0, 1e12)], small)

    assert total(rows, "EffectiveCost", CapacityReservationStatus="Unused") == 0


def test_rows_are_written_as_csv_that_reads_back() -> None:
    rows = plan_rows(planned(), date(2026, 11, 1))

    read = list(csv.DictReader(io.StringIO(focus_csv(rows))))

    assert read == [dict(row) for row in rows]
