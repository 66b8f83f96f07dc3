"""Money by month: the purchase, replacements, growth, and what it is all worth today."""

import math
from collections.abc import Mapping

import numpy as np

from edgewise.plan.cost import CostModel
from edgewise.plan.numbers import FloatArray
from edgewise.records import CashMonth


def cash_flow(model: CostModel, numbers: Mapping[str, float], months: int) -> tuple[CashMonth, ...]:
    """Give what each month costs by option, and the discounted sum up to it.

    Month 0 pays the fleet and the engineering; a fleet whose lifetime ends within the months is
    bought again. In the last month, the part of its lifetime that is left counts at its straight
    value. Requests grow by `costs.growth_per_month` from the second month on.
    """
    flows = {option: monthly_flow(model, numbers, months, option) for option in model.options}
    totals = {
        option: np.cumsum(flow * discounting(numbers, months)) for option, flow in flows.items()
    }
    return tuple(
        CashMonth(
            month=month,
            usd={option: float(flow[month]) for option, flow in flows.items()},
            discounted_total_usd={option: float(total[month]) for option, total in totals.items()},
        )
        for month in range(months + 1)
    )


def net_present_cost(
    model: CostModel, numbers: Mapping[str, float], months: int, option: str
) -> float:
    """Give what an option costs over the months, at today's value, in USD."""
    flow = monthly_flow(model, numbers, months, option)
    return float((flow * discounting(numbers, months)).sum())


def discounting(numbers: Mapping[str, float], months: int) -> FloatArray:
    """Give what a dollar of month 0, 1, … is worth today."""
    rate = 1 + numbers["costs.discount_rate_per_year"]
    worth: FloatArray = rate ** (-np.arange(months + 1) / 12)
    return worth


def monthly_flow(
    model: CostModel, numbers: Mapping[str, float], months: int, option: str
) -> FloatArray:
    """Give what is paid in month 0, 1, … for an option, in USD."""
    flow = np.zeros(months + 1)
    growth = (1 + numbers["costs.growth_per_month"]) ** np.arange(float(months))
    requests: FloatArray = numbers["workload.requests_per_month"] * growth
    lines = model.lines(option, {**numbers, "workload.requests_per_month": requests})
    once = ("devices", "engineering")
    flow[1:] = sum(np.asarray(usd) for line, usd in lines.items() if line not in once)
    if option == "cloud":
        return flow
    price = float(model.purchase(numbers))
    lifetime = numbers["costs.edge.lifetime_months"]
    bought = math.ceil(months / lifetime)
    for turn in range(bought):
        flow[math.ceil(turn * lifetime)] += price
    flow[0] += numbers["workload.fixed_usd"]
    flow[months] -= price * (bought * lifetime - months) / lifetime
    return flow
