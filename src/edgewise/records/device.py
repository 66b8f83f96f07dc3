"""The state of the machine that the nearest tier runs on, and rules over it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """What is known of the device; `None` is not known, and no rule over it holds."""

    on_battery: bool | None = None
    battery_share: float | None = None
    """Charge left, 0 to 1."""
    throttled: bool | None = None
    """Whether a processor runs below its speed because of heat."""
    load_share: float | None = None
    """Running and waiting processes per core, over the last minute."""
    memory_free_bytes: int | None = None
    requests_per_min: float | None = None
    """Requests to this engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRule:
    """While all conditions given hold, tiers of the device are not the first choice.

    "On battery below 20%, the cloud is allowed above 10 requests a minute" reads
    `DeviceRule(name="battery", on_battery=True, battery_below=0.2, requests_per_min_above=10)`.
    They are asked all the same where no other tier may or can be. Without a condition it always
    holds.
    """

    name: str
    on_battery: bool | None = None
    battery_below: float | None = None
    throttled: bool | None = None
    load_above: float | None = None
    memory_free_below_bytes: int | None = None
    requests_per_min_above: float | None = None

    def holds(self, state: DeviceState) -> bool:
        """Say whether every condition given is known to hold."""
        return (
            self.on_battery in (None, state.on_battery)
            and self.throttled in (None, state.throttled)
            and _below(state.battery_share, self.battery_below)
            and _below(state.memory_free_bytes, self.memory_free_below_bytes)
            and _above(state.load_share, self.load_above)
            and _above(state.requests_per_min, self.requests_per_min_above)
        )


def _below(value: float | None, limit: float | None) -> bool:
    return limit is None or (value is not None and value < limit)


def _above(value: float | None, limit: float | None) -> bool:
    return limit is None or (value is not None and value > limit)
