"""What a month costs: own devices, and the cloud's bill, line by line, for one number or many."""

from collections.abc import Sequence

import numpy as np

from edgewise.plan.numbers import (
    DEFERRAL,
    HOURS_A_MONTH,
    JOULES_A_KWH,
    SECONDS_A_MONTH,
    Numbers,
    Value,
)
from edgewise.plan.servers import Staffing
from edgewise.records import VolumeDiscount

_KB, _MILLION = 1e6, 1e6
Lines = dict[str, Value]
"""A month's bill: USD by line."""


class CostModel:
    """The monthly cost of each way to serve a workload. Made and read by the plan.

    Parameters
    ----------
    horizon_months
        Over which what is paid once is spread.
    discounts
        Of the cloud's price of requests and tokens; each holds for the requests beyond its count.
    arrival_cv2
        Of the gaps between requests, where servers are paid by the hour.
    has_cloud
        Without one there is the edge alone.
    """

    def __init__(
        self,
        *,
        horizon_months: float,
        discounts: Sequence[VolumeDiscount] = (),
        arrival_cv2: float = 1.0,
        has_cloud: bool = True,
    ) -> None:
        self.horizon_months = horizon_months
        self.discounts = tuple(sorted(discounts, key=lambda one: one.from_requests))
        self.options = ("edge", "cloud", "hybrid") if has_cloud else ("edge",)
        self._arrival_cv2 = arrival_cv2
        self._staffing: Staffing | None = None

    def lines(self, option: str, numbers: Numbers) -> Lines:
        """Give a month's bill of an option, by line; `numbers` may hold arrays of one length."""
        requests = numbers["workload.requests_per_month"]
        if option == "edge":
            return self.edge(numbers, requests)
        if option == "cloud":
            return self.cloud(numbers, requests)
        away = requests * numbers[DEFERRAL]
        return {**self.edge(numbers, requests), **self.cloud(numbers, away)}

    def monthly(self, option: str, numbers: Numbers) -> Value:
        """Give what an option costs a month, in USD."""
        total: Value = sum(self.lines(option, numbers).values())
        return total

    def edge(self, n: Numbers, requests: Value) -> Lines:
        """Give the fleet's month: what is written off, and what runs."""
        fleet = n["workload.devices"]
        return {
            "devices": self.purchase(n) / n["costs.edge.lifetime_months"],
            "engineering": n["workload.fixed_usd"] / self.horizon_months,
            **self.running(n, fleet),
            "energy per request": requests * self.edge_usd_per_request(n),
        }

    def purchase(self, n: Numbers) -> Value:
        """Give the price of the fleet with its spares, for this workload's share of it."""
        at_work = n["workload.devices"] * n["workload.device_usd"] * n["costs.edge.share"]
        return at_work * (1 + n["costs.edge.spares"])

    def running(self, n: Numbers, fleet: Value) -> Lines:
        """Give what devices at work cost a month, whatever they are asked."""
        watts = n["workload.watts"] * n["costs.edge.share"]
        gigabytes = (
            n["costs.edge.up_gb_per_device_month"] + n["costs.edge.down_gb_per_device_month"]
        )
        return {
            "support": fleet * n["workload.usd_per_device_month"],
            "power": fleet * watts / 1000 * HOURS_A_MONTH * n["workload.usd_per_kwh"],
            "updates": fleet * n["costs.edge.updates_per_month"] * n["costs.edge.usd_per_update"],
            "devices' link": fleet * gigabytes * n["costs.edge.usd_per_gb"],
        }

    def edge_usd_per_request(self, n: Numbers) -> Value:
        """Give what one more answer of the edge costs: its energy."""
        joules = n.get("costs.edge.joules_per_request", 0.0)
        return joules / JOULES_A_KWH * n["workload.usd_per_kwh"]

    def cloud(self, n: Numbers, requests: Value) -> Lines:
        """Give the cloud's bill for these requests, with the link that they take to it."""
        up, down = n["costs.cloud.up_kb_per_request"], n["costs.cloud.down_kb_per_request"]
        paid = self.discounted(requests)
        billed: Lines = {
            "requests": paid * n["tiers.cloud.usd_per_request"],
            "tokens": paid * self.tokens_usd_per_request(n),
            "servers": self._servers(n, requests),
            "egress": requests * down / _KB * n["costs.cloud.usd_per_egress_gb"],
        }
        total: Value = sum(billed.values())
        return {
            **billed,
            "up to the minimum": np.maximum(n["costs.cloud.minimum_usd_per_month"] - total, 0.0),
            "link to the cloud": requests * (up + down) / _KB * n["costs.edge.usd_per_gb"],
        }

    def tokens_usd_per_request(self, n: Numbers) -> Value:
        """Give what the tokens of one request cost before any discount.

        A cached token costs what any does, where nothing else is said.
        """
        cached, whole = n["costs.cloud.cached_share"], n["costs.cloud.usd_per_million_input_tokens"]
        price = (1 - cached) * whole
        price = price + cached * n.get("costs.cloud.usd_per_million_cached_tokens", whole)
        read = n["costs.cloud.input_tokens"] * price
        made = n["costs.cloud.output_tokens"] * n["costs.cloud.usd_per_million_output_tokens"]
        return (read + made) / _MILLION

    def discounted(self, requests: Value) -> Value:
        """Give the requests that, at the full price, cost what these do after all discounts."""
        paid, off = requests, 0.0
        for one in self.discounts:
            paid = paid - np.maximum(requests - one.from_requests, 0.0) * (one.share - off)
            off = one.share
        return paid

    def _servers(self, n: Numbers, requests: Value) -> Value:
        price, service_s = n["costs.cloud.usd_per_gpu_hour"], n["costs.cloud.gpu_s_per_request"]
        if not np.any(price):
            return 0.0
        return price * HOURS_A_MONTH * self.mean_servers(n, requests * service_s / SECONDS_A_MONTH)

    def mean_servers(self, n: Numbers, load: Value) -> Value:
        """Give the servers that are on, on average over a day whose load is a wave."""
        if self._staffing is None:
            self._staffing = Staffing(self._arrival_cv2)
        height = np.asarray(n["costs.cloud.peak_ratio"])[..., None] - 1
        wave = 1 + height * np.sin(2 * np.pi * np.arange(24) / 24)
        needed = self._staffing.servers(np.asarray(load)[..., None] * wave)
        least = np.asarray(n["costs.cloud.min_servers"])[..., None]
        on: Value = np.maximum(needed, least).mean(axis=-1)
        return on
