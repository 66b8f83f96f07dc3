"""What holds for all tiers: the device's state, hedges left, what the audit found."""

from collections.abc import Callable
from dataclasses import replace

from edgewise.records import DeviceState, Policy, SystemState
from edgewise.route.allowance import Allowance
from edgewise.route.auditing import Auditing
from edgewise.route.clock import Clock
from edgewise.route.device import DeviceMonitor, RequestRate


class Conditions:
    """Gives the decision its `SystemState`. Made by the engine, and closed by it.

    Parameters
    ----------
    queue_open
        Whether requests may be stored.
    """

    def __init__(
        self,
        clock: Clock,
        hedges: Allowance,
        read: Callable[[], DeviceState],
        *,
        queue_open: bool,
    ) -> None:
        self.audits: Auditing | None = None
        self._clock = clock
        self._hedges = hedges
        self._read = read
        self._device: DeviceMonitor | None = None
        self._rate = RequestRate()
        self._calm = SystemState(queue_open=queue_open)

    def serve(self, policy: Policy) -> None:
        """Look at what a policy has rules over, from now on."""
        self._hedges.share = 0.0 if policy.hedge is None else policy.hedge.share
        if self._device is None and policy.device:
            self._device = DeviceMonitor(self._read)

    def note(self, now_s: float) -> None:
        """Note a request."""
        if self._device is not None:
            self._rate.note(now_s)

    def system(self) -> SystemState:
        """Give what holds; the same object while nothing changes."""
        calm, hedges_left = self._calm, self._hedges.has_one
        device = calm.device
        if self._device is not None:
            per_min = self._rate.per_min(self._clock.now_s())
            device = replace(self._device.state, requests_per_min=per_min)
        if calm.hedges_left is not hedges_left or calm.device != device:
            calm = self._calm = replace(calm, device=device, hedges_left=hedges_left)
        if self.audits is not None:
            calm = self._calm = self.audits.system(calm)
        return calm

    def close(self) -> None:
        """Stop reading the device."""
        if self._device is not None:
            self._device.close()
