"""Every number that a plan's cost reads, by the name that `edgewise.yaml` gives it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """What a number of `Numbers` means. A draw outside of `least..most` is moved to its end."""

    unit: str
    least: float = 0.0
    most: float = float("inf")


_SHARE = Number(unit="share", most=1.0)
_USD = Number(unit="USD")

NUMBERS: Mapping[str, Number] = {
    "workload.requests_per_month": Number(unit="per month"),
    "workload.devices": Number(unit="devices", least=1.0),
    "workload.device_usd": _USD,
    "workload.usd_per_device_month": Number(unit="USD per device and month"),
    "workload.watts": Number(unit="W, of a device"),
    "workload.usd_per_kwh": Number(unit="USD per kWh"),
    "workload.fixed_usd": Number(unit="USD, once"),
    "costs.growth_per_month": Number(unit="share a month", least=-0.99, most=1.0),
    "costs.discount_rate_per_year": Number(unit="share a year", least=-0.99),
    "costs.edge.share": Number(unit="share of a device", least=1e-9, most=1.0),
    "costs.edge.spares": _SHARE,
    "costs.edge.lifetime_months": Number(unit="months", least=1.0),
    "costs.edge.joules_per_request": Number(unit="J per request"),
    "costs.edge.grams_per_kwh": Number(unit="g CO2e per kWh"),
    "costs.edge.updates_per_month": Number(unit="per month"),
    "costs.edge.usd_per_update": Number(unit="USD per device and update"),
    "costs.edge.up_gb_per_device_month": Number(unit="GB per device and month"),
    "costs.edge.down_gb_per_device_month": Number(unit="GB per device and month"),
    "costs.edge.usd_per_gb": Number(unit="USD per GB"),
    "tiers.cloud.usd_per_request": Number(unit="USD per request"),
    "costs.cloud.input_tokens": Number(unit="tokens per request"),
    "costs.cloud.cached_share": _SHARE,
    "costs.cloud.output_tokens": Number(unit="tokens per request"),
    "costs.cloud.usd_per_million_input_tokens": Number(unit="USD per million tokens"),
    "costs.cloud.usd_per_million_cached_tokens": Number(unit="USD per million tokens"),
    "costs.cloud.usd_per_million_output_tokens": Number(unit="USD per million tokens"),
    "costs.cloud.usd_per_gpu_hour": Number(unit="USD per hour of a server"),
    "costs.cloud.gpu_s_per_request": Number(unit="s per request"),
    "costs.cloud.peak_ratio": Number(unit="busiest hour over the mean", least=1.0, most=2.0),
    "costs.cloud.min_servers": Number(unit="servers"),
    "costs.cloud.up_kb_per_request": Number(unit="kB per request"),
    "costs.cloud.down_kb_per_request": Number(unit="kB per request"),
    "costs.cloud.usd_per_egress_gb": Number(unit="USD per GB"),
    "costs.cloud.minimum_usd_per_month": Number(unit="USD per month"),
    "costs.cloud.joules_per_request": Number(unit="J per request"),
    "costs.cloud.grams_per_kwh": Number(unit="g CO2e per kWh"),
    "costs.assume.deferral_share": _SHARE,
}
"""Every number that a cost reads, and that may be a distribution."""
