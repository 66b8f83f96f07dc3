"""One simulation as data: the policy, what the tiers and the network are like, and the seed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgewise.errors import InvalidRecord
from edgewise.records import DeviceState, Policy, Profile, TierKind, TierPolicy
from edgewise.simulate.answers import AnswerTable, table_of
from edgewise.simulate.network import Network

BYTES_PER_TOKEN = 4.0
_LEAST, _MOST = 1e-9, 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A tier can't be reached from one moment of the trace up to another."""

    tier: str
    from_s: float
    to_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.to_s) and 0.0 <= self.from_s < self.to_s):
            what = f"an outage from {self.from_s} to {self.to_s} s"
            raise InvalidRecord(what, where="Outage", hint="give 0 <= from < to, in seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """From a moment on, a share of the near tier's answers is wrong and looks as sure as before."""

    from_s: float
    wrong_share: float
    found_after_s: float | None = None
    """When the audit voids the certificate; `None`: never."""

    def __post_init__(self) -> None:
        if not (self.from_s >= 0.0 and 0.0 <= self.wrong_share <= 1.0):
            what = f"a share of {self.wrong_share} from {self.from_s} s on"
            raise InvalidRecord(what, where="Drift", hint="give a share from 0 to 1, a time from 0")
        if self.found_after_s is not None and not self.found_after_s >= 0.0:
            what = f"found {self.found_after_s} s after it began"
            raise InvalidRecord(what, where="Drift", hint="give a time from 0, or none for never")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is replayed. Made by `compose`; read by both ways to replay it."""

    policy: Policy
    answers: AnswerTable
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    """By tier."""
    network: Network | None = None
    """Of every tier that is not a device."""
    outages: tuple[Outage, ...] = ()
    failure_share: Mapping[str, float] = field(default_factory=dict)
    """Of a tier's calls that fail in passing."""
    drift: Drift | None = None
    device: DeviceState = field(default_factory=DeviceState)
    rate: float = 1.0
    """How many times as fast requests come as in the trace."""
    bytes_per_token: float = BYTES_PER_TOKEN
    seed: int = 0
    trace: str = "trace"
    """Its name, for messages."""

    def __post_init__(self) -> None:
        for name, value in (("rate", self.rate), ("bytes_per_token", self.bytes_per_token)):
            if not _LEAST <= value <= _MOST:
                what = f"`{name}` is not from {_LEAST:g} to {_MOST:g}: {value}"
                raise InvalidRecord(what, where=f"Scenario.{name}", hint="1 leaves it as it is")
        known = {tier.name for tier in self.policy.tiers}
        named = {*self.profiles, *self.failure_share, *(one.tier for one in self.outages)}
        if named - known:
            what, hint = f"no tier `{min(named - known)}`", f"tiers: {', '.join(sorted(known))}"
            raise InvalidRecord(what, where="Scenario", hint=hint)
        for tier, share in self.failure_share.items():
            if not 0.0 <= share <= 1.0:
                where = f"Scenario.failure_share.{tier}"
                raise InvalidRecord(f"no share: {share}", where=where, hint="give 0 to 1")


def scenario_of(policy: Policy, **more: object) -> Scenario:
    """Give a scenario with the answers that the policy alone tells."""
    return Scenario(policy=policy, answers=table_of(policy), **more)  # type: ignore[arg-type]


def is_remote(tier: TierPolicy) -> bool:
    """Say whether a network lies before a tier."""
    return tier.kind is not TierKind.DEVICE


def prerouted(scenario: Scenario) -> bool:
    """Say whether a request may go to the farthest tier first: its predicted gain is known."""
    return scenario.policy.preroute is not None and scenario.answers.gain is not None


def learns_links(scenario: Scenario) -> bool:
    """Say whether a decision may hang on how fast a network is: round trip, bandwidth, loss."""
    policy = scenario.policy
    if policy.deadline_ms is not None or policy.hedge is not None:
        return True
    rules = policy.preroute
    if rules is not None and rules.late_ms_per_quality is not None and prerouted(scenario):
        return True
    return any(
        tier.group or (tier.latency_limit_ms is not None and is_remote(tier))
        for tier in policy.tiers
    )


def has_feedback(scenario: Scenario) -> bool:
    """Say whether a decision may hang on how earlier requests went, or on a request's own numbers.

    Where it may not, a request's way is known from its kind and its confidence alone, and time is
    left to the queues.
    """
    policy = scenario.policy
    if learns_links(scenario) or prerouted(scenario) or policy.budget is not None:
        return True
    if scenario.outages or scenario.drift is not None or any(scenario.failure_share.values()):
        return True
    if any(rule.requests_per_min_above is not None for rule in policy.device):
        return True
    return any(tier.max_in_flight is not None or tier.queue is not None for tier in policy.tiers)
