"""What the dashboard shows, as one JSON object. No payload, no key, no URL's secret."""

import asyncio
from collections.abc import Mapping
from typing import Any

from edgewise.gateway.app import Gateway
from edgewise.gateway.pages.history import BUCKET_S, History, percentile
from edgewise.gateway.rollout import Rollout
from edgewise.observe.drift import rules_of
from edgewise.records import AuditState, BudgetRules, Decision, Policy, Spending

_SHOWN = 25


async def state_of(gateway: Gateway, history: History, rollout: Rollout | None) -> dict[str, Any]:
    """Give the state at this moment, of all processes on the port; circuits are this one's."""
    engine, others = gateway.engine, await gateway.others()
    history = history.whole(one["history"] for one in others)
    latest = gateway.decisions.latest_with(one["decisions"] for one in others)
    loads = [one["admission"] for one in (*others, {"admission": gateway.admission.state()})]
    policy, counting = engine.policy, gateway.decisions.counting
    spent = await asyncio.to_thread(engine.outlook().spent)
    at_s = engine.clock.utc_s()
    return {
        "at_s": at_s,
        "model": gateway.name,
        "ready": gateway.is_ready(),
        "draining": gateway.draining,
        "in_flight": sum(in_flight for in_flight, _ in loads),
        "refused": sum(refused for _, refused in loads),
        "policy_version": engine.policy_version,
        "processes": 1 + len(others),
        "traffic": {
            "decisions": history.decisions,
            "failed": history.failed,
            "locations": dict(history.locations.most_common()),
            "reasons": dict(history.reasons.most_common()),
            "bucket_s": BUCKET_S,
            "over_time": history.over_time(at_s),
        },
        "tiers": _tiers(gateway, history),
        "money": {
            "spent_usd": history.spent_usd,
            "always_cloud_usd": history.cloud_usd,
            "saved_usd": history.cloud_usd - history.compared_usd,
            "kept_near": history.kept_near,
        },
        "budget": _budget(policy.budget, spent),
        "certificate": certificate_state(policy, engine.audit),
        "drift": drift_state(policy, counting.inputs(one["metrics"] for one in others)),
        "rollout": None if rollout is None else rollout.state(),
        "latest": [_told(one) for one in list(latest)[: -_SHOWN - 1 : -1]],
    }


def _tiers(gateway: Gateway, history: History) -> list[dict[str, Any]]:
    engine, found = gateway.engine, []
    circuits, states = engine.circuits(), engine.outlook().states()
    for tier in engine.policy.tiers:
        state, calls = states[tier.name], history.calls.get(tier.name)
        latencies = list(calls.latencies_ms) if calls is not None else []
        found.append(
            {
                "name": tier.name,
                "kind": tier.kind.value,
                "ready": state.ready,
                "circuit": circuits[tier.name].value,
                "in_flight": state.in_flight,
                "rtt_p50_ms": state.rtt_p50_ms,
                "rtt_p95_ms": state.rtt_p95_ms,
                "loss_share": state.loss_share,
                "calls": 0 if calls is None else calls.number,
                "failed": 0 if calls is None else calls.failed,
                "p50_ms": percentile(latencies, 0.5),
                "p95_ms": percentile(latencies, 0.95),
            }
        )
    return found


def _budget(rules: BudgetRules | None, spent: Spending | None) -> dict[str, Any] | None:
    if rules is None or spent is None:
        return None
    return {
        "day_usd": spent.day_usd,
        "month_usd": spent.month_usd,
        "usd_per_day": rules.total.usd_per_day,
        "usd_per_month": rules.total.usd_per_month,
    }


def certificate_state(policy: Policy, audit: AuditState | None) -> dict[str, Any] | None:
    """Give what is promised, and what an audit knows of it."""
    one = policy.certificate
    if one is None:
        return None
    return {
        "state": "void" if audit is not None and audit.void else one.state.value,
        "loss": one.loss.value,
        "alpha": one.alpha,
        "delta": one.delta,
        "n": one.n,
        "bound": one.bound,
        "threshold": one.threshold,
        "e_value": None if audit is None else audit.e_value,
        "void_from": None if audit is None else audit.void_from,
    }


def drift_state(
    policy: Policy, compared: Mapping[str, tuple[float, bool]]
) -> dict[str, Any] | None:
    """Give what inputs are watched for, and what the last window of each told; `None` for nothing.

    Parameters
    ----------
    compared
        The distance of the last window by what is watched, and whether it differs.
    """
    rules = rules_of(policy)
    if not rules.reference:
        return None
    watched = []
    for name in (one.name for one in rules.reference):
        distance, differs = compared.get(name, (None, None))
        watched.append({"name": name, "distance": distance, "differs": differs})
    return {"window": rules.window, "watched": watched}


def _told(one: Decision) -> dict[str, Any]:
    return {
        "request_id": one.request_id,
        "at_s": one.at_s,
        "location": one.location,
        "reasons": [reason.value for reason in one.reasons],
        "latency_ms": one.latency_ms,
        "cost_usd": one.cost_usd,
        "confidence": one.confidence,
        "error": one.error,
    }
