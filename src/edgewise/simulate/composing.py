"""Files in, a simulation out: what `edgewise simulate` asks for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgewise.errors import InvalidRecord, UsageError
from edgewise.preroute import PreRouter
from edgewise.records import (
    CloudTier,
    EdgeTier,
    Policy,
    Profile,
    Simulation,
    TierPolicy,
    TiersSpec,
    read_json,
)
from edgewise.simulate.answers import read_answers, table_of
from edgewise.simulate.duplicates import each_once
from edgewise.simulate.fitting import Fits, fit_arrivals, fit_times
from edgewise.simulate.network import read_network
from edgewise.simulate.replay import simulate
from edgewise.simulate.scenario import Scenario
from edgewise.simulate.times import TierTimes
from edgewise.simulate.trace import TraceBlock, TraceReader
from edgewise.simulate.what_if import changed, read_changes

_FITTED = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateOrder:
    """What is asked of `simulate_files`. Made by the verb."""

    policy: Path
    """`policy.json`, a run directory, or a project file whose tiers are taken."""
    trace: Path
    network: Path | None = None
    profiles: tuple[str, ...] = ()
    """`TIER=FILE`, or a file for the nearest tier; of a run's directory its `profile.json`."""
    answers: Path | None = None
    what_if: tuple[str, ...] = ()
    seed: int = 0


def simulate_files(order: SimulateOrder) -> Simulation:
    """Read the files and replay the trace.

    Raises
    ------
    EdgewiseError
        When a file can't be read, or does not fit the others.
    """
    changes = read_changes(order.what_if)
    policy = changed(read_policy(order.policy), changes.policy)
    answers = table_of(policy)
    if order.answers is not None:
        answers = read_answers(order.answers, _gain_of(policy))
    profiles = _profiles(order, policy)
    network = None if order.network is None else read_network(order.network)
    try:
        scenario = Scenario(
            policy=policy,
            answers=answers,
            profiles=profiles,
            network=network,
            outages=changes.outages,
            failure_share=changes.failure_share,
            drift=changes.drift,
            rate=changes.rate,
            bytes_per_token=changes.bytes_per_token,
            seed=order.seed,
            trace=str(order.trace),
        )
    except InvalidRecord as wrong:
        raise UsageError(wrong.what, where=wrong.where, hint=wrong.hint) from wrong
    trace = TraceReader(order.trace)
    blocks = trace if answers.rows is not None else each_once(trace)
    return simulate(scenario, blocks, what_if=order.what_if)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFits:
    """Families fitted to a trace. Made by `fit_trace`."""

    arrivals: Fits
    service: Mapping[str, Fits]
    """By tier, of those whose service is a formula of the trace's tokens."""


def fit_trace(policy: Path, trace: Path, what_if: Sequence[str] = ()) -> TraceFits:
    """Fit the arrivals of a trace and the service times that it brings, of its first requests.

    A million of them are read at most, as they come and are served after the changes.

    Raises
    ------
    EdgewiseError
        When it can't be read, or holds too few, or a change can't be.
    """
    changes = read_changes(what_if)
    blocks: list[TraceBlock] = []
    for block in TraceReader(trace):
        blocks.append(block)
        if block.first > _FITTED:
            break
    service: dict[str, Fits] = {}
    for tier in changed(read_policy(policy), changes.policy).tiers:
        if tier.service is None:
            continue
        times = TierTimes(tier, None)
        parts = [
            times.service_s(block.input_tokens, block.output_tokens, block.t_s) for block in blocks
        ]
        took_s = np.concatenate(parts)
        if (took_s > 0.0).all():  # else there is no work to fit
            service[tier.name] = fit_times(took_s)
    arrivals = fit_arrivals(np.concatenate([block.t_s for block in blocks]) / changes.rate)
    return TraceFits(arrivals=arrivals, service=service)


def read_policy(path: Path) -> Policy:
    """Read a policy: from its file, from a run's directory, or from a project file's tiers.

    Raises
    ------
    EdgewiseError
        When it can't be read.
    """
    if path.is_dir():
        return read_json(Policy, path / "policy.json")
    if path.suffix not in (".yaml", ".yml"):
        return read_json(Policy, path)
    from edgewise.spec import (  # noqa: PLC0415 - pydantic, where it is needed
        load_chat_tiers,
        load_tiers,
    )

    return load_chat_tiers(path) or policy_of(load_tiers(path))


def policy_of(spec: TiersSpec) -> Policy:
    """Give the policy of a project that is not built: nothing is certified, all is deferred."""
    tiers: list[TierPolicy] = []
    if spec.edge is not None:
        tiers.append(_edge(spec.edge, spec.objective.latency_p95_ms))
    if spec.cloud is not None:
        far = _cloud(spec.cloud)
        tiers += [far, *(replace(far, name=name) for name in spec.cloud.equals)]
    routing = spec.routing
    return Policy(
        task="",
        labels=(),
        tiers=tuple(tiers),
        privacy=spec.privacy,
        breaker=routing.breaker,
        retry=routing.retry,
        hedge=routing.hedge,
        preroute=routing.preroute,
        budget=routing.budget,
        offline=routing.offline,
        audit=None if spec.cloud is None else spec.audit,
        device=routing.device,
        deadline_ms=routing.deadline_ms,
    )


def _edge(edge: EdgeTier, limit_ms: float | None) -> TierPolicy:
    return TierPolicy(
        name="edge",
        kind=edge.kind,
        latency_limit_ms=limit_ms,
        max_in_flight=edge.max_in_flight,
        service=edge.service,
        servers=edge.servers,
        queue=edge.queue,
    )


def _cloud(cloud: CloudTier) -> TierPolicy:
    return TierPolicy(
        name="cloud",
        kind=cloud.kind,
        rtt_p50_ms=cloud.rtt_p50_ms,
        rtt_p95_ms=cloud.rtt_p95_ms,
        usd_per_request=cloud.usd_per_request,
        max_in_flight=cloud.max_in_flight,
        group="cloud" if cloud.equals else "",
        service=cloud.service,
        servers=cloud.servers,
        queue=cloud.queue,
    )


def _gain_of(policy: Policy) -> Callable[[str], float] | None:
    """Give what predicts the gain of a text, where the policy has it."""
    rules = policy.preroute
    return None if rules is None or rules.weights is None else PreRouter(rules.weights).gain_of


def _profiles(order: SimulateOrder, policy: Policy) -> dict[str, Profile]:
    found: dict[str, Profile] = {}
    nearest = policy.tiers[0].name
    beside = order.policy / "profile.json"
    if beside.is_file():
        found[nearest] = read_json(Profile, beside)
    for one in order.profiles:
        tier, equals, path = one.partition("=")
        if not equals:
            tier, path = nearest, one
        file = Path(path)
        found[tier] = read_json(Profile, file / "profile.json" if file.is_dir() else file)
    return found
