"""From the sections on live traffic to the records that the policy holds."""

from pathlib import Path

from edgewise.records import (
    ApiKey,
    BreakerRules,
    BudgetRules,
    DeviceRule,
    HedgeRules,
    OfflineRules,
    PreRouteRules,
    PreRouterWeights,
    ProbeRules,
    RetryRules,
    RoutingSpec,
    SpendingLimit,
    read_json,
)
from edgewise.spec import routing as shape
from edgewise.spec import section


def routing_of(
    routing: shape.Routing,
    budget: shape.Budget | None,
    offline: shape.Offline | None,
    folder: Path,
) -> RoutingSpec:
    """Give what the file says of live traffic.

    Parameters
    ----------
    folder
        What the path of the pre-router's weights is relative to.

    Raises
    ------
    InvalidRecord
        When the file of the weights is absent or holds none.
    """
    hedge, probe = routing.hedge, routing.probe
    return RoutingSpec(
        deadline_ms=routing.deadline_ms,
        retry=RetryRules(**routing.retry.model_dump()),
        breaker=BreakerRules(**routing.breaker.model_dump()),
        hedge=None if hedge is None else HedgeRules(**hedge.model_dump()),
        probe=None if probe is None else ProbeRules(**probe.model_dump()),
        preroute=None if routing.preroute is None else _preroute(routing.preroute, folder),
        device=tuple(_device(rule) for rule in routing.device),
        budget=None if budget is None else _budget(budget),
        offline=None if offline is None else _offline(offline),
    )


def key_of(key: section.ApiKey | None) -> ApiKey | None:
    """Give where a secret is read from."""
    return None if key is None else ApiKey(env=key.env, file=key.file)


def _preroute(rules: shape.PreRoute, folder: Path) -> PreRouteRules:
    weights = read_json(PreRouterWeights, (folder / rules.weights).resolve())
    return PreRouteRules(
        weights=weights,
        min_gain=rules.min_gain,
        usd_per_quality=rules.usd_per_quality,
        late_ms_per_quality=rules.late_ms_per_quality,
    )


def _device(rule: shape.DeviceRule) -> DeviceRule:
    said = rule.model_dump()
    return DeviceRule(memory_free_below_bytes=said.pop("memory_free_below"), **said)


def _budget(budget: shape.Budget) -> BudgetRules:
    return BudgetRules(
        path=budget.path,
        total=_limit(budget),
        each_caller=_limit(budget.each_caller),
        callers={name: _limit(limit) for name, limit in budget.callers.items()},
    )


def _limit(limit: shape.Limit) -> SpendingLimit:
    return SpendingLimit(usd_per_day=limit.usd_per_day, usd_per_month=limit.usd_per_month)


def _offline(offline: shape.Offline) -> OfflineRules:
    return OfflineRules(key=key_of(offline.key), **offline.model_dump(exclude={"key"}))
