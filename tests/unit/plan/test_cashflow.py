"""Cash flows summed by hand, to the cent."""

import pytest
from plan_numbers import model, numbers

from edgewise.plan import break_even
from edgewise.plan.cashflow import cash_flow, net_present_cost
from edgewise.plan.cost import CostModel


def test_the_purchase_is_paid_first_and_the_running_cost_every_month() -> None:
    n = numbers({"workload.usd_per_device_month": 1.0, "workload.fixed_usd": 600.0})

    flow = cash_flow(model(), n, 24)

    assert [month.month for month in flow] == list(range(25))
    assert flow[0].usd == {"edge": 5400, "cloud": 0, "hybrid": 5400}
    assert flow[1].usd == {"edge": 100, "cloud": 2000, "hybrid": pytest.approx(600)}
    assert flow[24].discounted_total_usd["edge"] == pytest.approx(5400 + 24 * 100)
    assert flow[24].discounted_total_usd["cloud"] == pytest.approx(48_000)


def test_without_discounting_the_sum_is_the_monthly_cost_times_the_months() -> None:
    lasting = {"costs.edge.lifetime_months": 10.0, "workload.fixed_usd": 300.0}
    n = numbers({**lasting, "costs.edge.spares": 0.2})

    for option in ("edge", "cloud", "hybrid"):
        total = net_present_cost(model(), n, 24, option)
        assert total == pytest.approx(24 * float(model().monthly(option, n)))


def test_a_fleet_that_wears_out_is_bought_again_and_its_rest_is_worth_something() -> None:
    flow = cash_flow(model(), numbers({"costs.edge.lifetime_months": 10.0}), 24)

    paid = {month.month: month.usd["edge"] for month in flow if month.usd["edge"]}
    # The third fleet is used for 4 of its 10 months.
    assert paid == {0: 4800, 10: 4800, 20: 4800, 24: pytest.approx(-0.6 * 4800)}


def test_growth_and_discounting_are_by_month() -> None:
    n = numbers({"costs.growth_per_month": 0.1, "costs.discount_rate_per_year": 0.21})

    flow = cash_flow(model(2), n, 2)

    # 1.21 a year is 1.1 every half year: 1.21 ** (1 / 12) a month.
    month = 1.21 ** (1 / 12)
    assert flow[2].usd["cloud"] == pytest.approx(2200)
    assert flow[2].discounted_total_usd["cloud"] == pytest.approx(2000 / month + 2200 / month**2)


def test_break_even_is_to_the_cent_where_two_cash_flows_summed_by_hand_meet() -> None:
    devices, price, months, opex, watts, tariff = 1000, 80.0, 36, 1.5, 5.0, 0.15
    found = break_even(
        devices=devices,
        device_usd=price,
        lifetime_months=months,
        opex_usd_per_device_month=opex,
        watts=watts,
        usd_per_kwh=tariff,
        usd_per_request=0.002,
    )
    assert found.requests_per_month is not None

    edge_usd = devices * price
    cloud_usd = 0.0
    for _ in range(months):
        edge_usd += devices * opex
        edge_usd += devices * watts * 730 / 1000 * tariff
        cloud_usd += found.requests_per_month * 0.002

    assert round(cloud_usd, 2) == round(edge_usd, 2)
    n = numbers(
        {
            "workload.requests_per_month": found.requests_per_month,
            "workload.devices": devices,
            "workload.device_usd": price,
            "workload.usd_per_device_month": opex,
            "workload.watts": watts,
            "workload.usd_per_kwh": tariff,
            "costs.edge.lifetime_months": months,
        }
    )
    three_years = CostModel(horizon_months=months)
    for option in ("edge", "cloud"):
        total = net_present_cost(three_years, n, months, option)
        assert round(total, 2) == round(edge_usd, 2)
