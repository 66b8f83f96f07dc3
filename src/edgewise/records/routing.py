"""What `edgewise.yaml` says of live traffic. Made by `spec`, put into the policy by `pipeline`."""

from dataclasses import dataclass, field

from edgewise.records.budget import BudgetRules
from edgewise.records.device import DeviceRule
from edgewise.records.offline import OfflineRules
from edgewise.records.policy import PreRouteRules
from edgewise.records.resilience import BreakerRules, HedgeRules, ProbeRules, RetryRules


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSpec:
    """The policy's fields of the same names."""

    deadline_ms: float | None = None
    retry: RetryRules = field(default_factory=RetryRules)
    breaker: BreakerRules = field(default_factory=BreakerRules)
    hedge: HedgeRules | None = None
    probe: ProbeRules | None = None
    preroute: PreRouteRules | None = None
    device: tuple[DeviceRule, ...] = ()
    budget: BudgetRules | None = None
    offline: OfflineRules | None = None
