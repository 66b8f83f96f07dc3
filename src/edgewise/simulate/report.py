"""What was seen becomes the record that is shown."""

import math
from collections.abc import Iterator, Sequence

from edgewise.records import (
    ArrivalReport,
    EnergyReport,
    LatencyQuantiles,
    LateReport,
    Profile,
    QueueReport,
    SimulatedQuality,
    Simulation,
    TierPolicy,
    digest,
)
from edgewise.simulate.answers import right_of
from edgewise.simulate.goodness import misfit
from edgewise.simulate.plausible import trace_warnings
from edgewise.simulate.queueing import mmc_wait_s
from edgewise.simulate.scenario import Scenario, is_remote, prerouted
from edgewise.simulate.tally import LateTally, Tally, TierTally
from edgewise.simulate.times import TierTimes

_Z = 1.959963984540054
_BURSTY_CV2 = 2.0
_ROUNDING = 1e-9


def report_of(
    scenario: Scenario, tally: Tally, *, wall_s: float, method: str, what_if: tuple[str, ...] = ()
) -> Simulation:
    """Give the record of a simulation that has ended."""
    policy = scenario.policy
    queue = {name: _queue(tally, one) for name, one in tally.tiers.items()}
    unstable = tuple(name for name, one in queue.items() if not one.stable)
    answered = tally.requests - tally.unanswered - tally.late.stored
    share = {name: one.final / tally.requests for name, one in tally.tiers.items()}
    lost = tally.late.expired + tally.late.given_up
    if waited := tally.late.stored - lost:
        share["queued"] = waited / tally.requests
    if unanswered := tally.unanswered + lost:
        share["none"] = unanswered / tally.requests
    deadline_ms = policy.deadline_ms
    missed = tally.missed + unanswered if deadline_ms is not None else 0
    return Simulation(
        requests=tally.requests,
        wall_s=wall_s,
        latency_ms=quantiles_of(tally)
        if answered
        else LatencyQuantiles(p50=None, p95=None, p99=None),
        share=share,
        cost_usd=sum(_usd(tier, tally.tiers[tier.name]) for tier in policy.tiers),
        quality=_quality(scenario, tally),
        deadline_miss_rate=missed / tally.requests,
        queue=queue,
        reasons=dict(sorted(tally.reasons.items())),
        energy=_energy(scenario, tally),
        arrivals=ArrivalReport(
            span_s=tally.span_s,
            per_s=(tally.requests - 1) / tally.span_s if tally.span_s > 0.0 else None,
            gap_cv2=tally.gap_cv2,
            longest_gap_s=tally.longest_gap_s,
        ),
        attempts={name: one.attempts for name, one in tally.tiers.items()},
        deadline_ms=deadline_ms,
        policy_version=digest(policy),
        seed=scenario.seed,
        method=method,
        what_if=what_if,
        unstable=unstable,
        late=_late(scenario, tally.late),
        warnings=(*_warnings(tally, queue), *_left_out(scenario, tally)),
        assumed=_assumed(scenario),
    )


def quantiles_of(tally: Tally) -> LatencyQuantiles:
    """Give the quantiles of the latencies seen."""
    p50_s, p95_s, p99_s = tally.latencies_s.quantiles((0.5, 0.95, 0.99))
    return LatencyQuantiles(p50=p50_s * 1000, p95=p95_s * 1000, p99=p99_s * 1000)


def curve_of(tally: Tally, shares: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Give (share, ms) of the latencies seen; nothing where no request was answered."""
    if not tally.latencies_s.n:
        return ()
    times_s = tally.latencies_s.quantiles(shares)
    return tuple((share, time_s * 1000) for share, time_s in zip(shares, times_s, strict=True))


def _usd(tier: TierPolicy, one: TierTally) -> float:
    """Give what a tier's calls cost, and the tokens of them where those have a price."""
    call_usd = tier.usd(0, 0)
    tokens = round(one.paid_input_tokens), round(one.paid_output_tokens)
    return one.paid * call_usd + (tier.usd(*tokens) - call_usd)


def _queue(tally: Tally, one: TierTally) -> QueueReport:
    service_s = one.service_s / one.served if one.served else 0.0
    waits = one.waits_s
    p95_s = waits.quantiles((0.95,))[0] if waits.n else 0.0
    utilization, load, formula_s = 0.0, 0.0, None
    if one.servers is not None and tally.span_s > 0.0:
        able_s = one.servers * tally.span_s if one.server_s is None else one.server_s
        utilization = one.service_s / able_s
        if one.most_servers:  # they go on when the trace has ended
            utilization = max(utilization, one.service_s / (one.most_servers * tally.span_s))
        # Of n requests there are n - 1 gaps: the last one's work has all the time to come.
        load = utilization * (one.served - 1) / max(one.served, 1)
        per_s = one.served / tally.span_s
        if one.server_s is None and one.served:
            lines = one.lines
            formula_s = mmc_wait_s(per_s / lines, service_s, one.servers // lines)
    return QueueReport(
        requests=one.came,
        mean_wait_ms=waits.mean * 1000,
        p95_wait_ms=p95_s * 1000,
        utilization=utilization,
        share_waiting=one.waiting / one.served if one.served else 0.0,
        servers=one.servers,
        mean_service_ms=service_s * 1000,
        stable=load < 1.0 - _ROUNDING,
        refused=one.refused,
        formula_wait_ms=formula_s * 1000
        if formula_s is not None and math.isfinite(formula_s)
        else None,
        busiest=one.busiest_s / tally.span_s if one.busiest_s and tally.span_s > 0.0 else None,
    )


def _quality(scenario: Scenario, tally: Tally) -> SimulatedQuality:
    """Give the share of right answers; its interval is Wilson's.

    Both the table's rows and the requests are samples: their variances add, so the interval is
    that of n m / (n + m) answers.
    """
    n = len(scenario.answers)
    if not tally.judged or scenario.answers.near_correct is None:
        return SimulatedQuality()
    value = tally.right / tally.judged
    both = n * tally.judged / (n + tally.judged)
    z2 = _Z * _Z
    centre = (value + z2 / (2 * both)) / (1 + z2 / both)
    spread = _Z / (1 + z2 / both)
    spread *= math.sqrt(max(0.0, value * (1 - value)) / both + z2 / (4 * both * both))
    return SimulatedQuality(
        value=value,
        low=max(0.0, min(value, centre - spread)),
        high=min(1.0, max(value, centre + spread)),
        n=n,
    )


def _energy(scenario: Scenario, tally: Tally) -> EnergyReport:
    by_tier: dict[str, float | None] = {}
    for name, one in tally.tiers.items():
        profile = scenario.profiles.get(name)
        each = None if profile is None else profile.energy.joules_per_request
        by_tier[name] = None if each is None else each * one.served
    known = [joules for joules in by_tier.values() if joules is not None]
    return EnergyReport(joules=sum(known) if known else None, by_tier=by_tier)


def _warnings(tally: Tally, queue: dict[str, QueueReport]) -> tuple[str, ...]:
    found = [
        f"{name} is unstable: it is brought {one.utilization:.2f} times what its "
        f"{one.servers} servers can do, so waits grow for as long as requests come"
        for name, one in queue.items()
        if not one.stable
    ]
    found += [
        f"{name}: the busiest of its {tally.tiers[name].lines:,} devices is brought "
        f"{one.busiest:.2f} times what its servers can do, so waits grow there for as long as "
        "requests come"
        for name, one in queue.items()
        if one.stable and one.busiest is not None and one.busiest >= 1.0 - _ROUNDING
    ]
    cv2 = tally.gap_cv2
    if cv2 is not None and cv2 > _BURSTY_CV2:
        found.append(
            f"requests come in bursts: gaps have a CV² of {cv2:.3g}, and formulas assume 1; "
            "trust the replayed waits"
        )
    found += trace_warnings(
        requests=tally.requests,
        first_s=tally.first_s,
        span_s=tally.span_s,
        longest_gap_s=tally.longest_gap_s,
    )
    return tuple(found)


def _left_out(scenario: Scenario, tally: Tally) -> tuple[str, ...]:
    """Say what of the policy the replay has no data for."""
    policy, found = scenario.policy, list(_beside(scenario, tally))
    if policy.preroute is not None and not prerouted(scenario):
        found.append(
            "nothing is pre-routed: give `--answers` a column `gain`, or `text` where the policy "
            "has weights"
        )
    judged = right_of(scenario.answers, policy)
    others = [name for name, one in tally.tiers.items() if one.final and name not in judged]
    if judged and others:
        found.append(f"quality leaves out {', '.join(others)}: no table tells who is right there")
    if policy.offline is not None and not tally.may_wait:
        found.append(
            "nothing is stored for later: no request of the trace may wait; give it a column `late`"
        )
    return tuple(found)


def _beside(scenario: Scenario, tally: Tally) -> Iterator[str]:
    """Say what of the scenario happens before the first request or after the last."""
    first_s, last_s = tally.first_s, tally.last_s
    trace = f"the trace is from {first_s:.12g} to {last_s:.12g} s on its own clock"
    for one in scenario.outages:
        if one.to_s <= first_s or one.from_s > last_s:
            when = f"from {one.from_s:.12g} to {one.to_s:.12g} s"
            yield f"no request comes in the outage of {one.tier} {when}: {trace}"
    if scenario.drift is not None and scenario.drift.from_s > last_s:
        yield f"no request comes after the drift begins at {scenario.drift.from_s:.12g} s: {trace}"


def _late(scenario: Scenario, late: LateTally) -> LateReport | None:
    if scenario.policy.offline is None:
        return None
    p50_s = p95_s = None
    if late.waits_s.n:
        p50_s, p95_s = late.waits_s.quantiles((0.5, 0.95))
    return LateReport(
        stored=late.stored,
        answered=late.waits_s.n,
        expired=late.expired,
        given_up=late.given_up,
        refused=late.refused,
        wait_p50_s=p50_s,
        wait_p95_s=p95_s,
    )


def _off(profile: Profile | None) -> str:
    """Say how well a profile's lognormals fit what was timed."""
    gap = None if profile is None else misfit(profile)
    return "" if gap is None else f", off by up to {gap:.1%} of the timed answers"


def _assumed(scenario: Scenario) -> tuple[str, ...]:
    several = len(scenario.policy.tiers) > 1
    found = [scenario.answers.assumed] if several and scenario.answers.assumed else []
    for tier in scenario.policy.tiers:
        times = TierTimes(tier, scenario.profiles.get(tier.name))
        if not times.known and not (is_remote(tier) and (tier.rtt_p50_ms or scenario.network)):
            found.append(f"{tier.name}: answers at once, for want of a profile or a `service`")
        elif times.service_varies:
            found.append(
                f"{tier.name}: latencies are lognormal with the measured p50 and p95"
                f"{_off(scenario.profiles.get(tier.name))}"
            )
        if tier.servers is None and (tier.queue is None or tier.queue.autoscaling is None):
            found.append(f"{tier.name}: as many servers as are needed, for want of `servers`")
        if is_remote(tier) and scenario.network is None and times.rtt_varies:
            found.append(f"{tier.name}: round trips are lognormal with the policy's p50 and p95")
    if scenario.network is not None and scenario.network.has_rates:
        found.append(f"{scenario.bytes_per_token:g} bytes a token on the network")
    return tuple(found)
