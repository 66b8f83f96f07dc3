"""All that a decision needs, as data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from edgewise.errors import InvalidRecord
from edgewise.records.api_key import ApiKey
from edgewise.records.audit import AuditRules, OnVoid
from edgewise.records.budget import BudgetRules, Price
from edgewise.records.certificate import Certificate, ConfidenceMap
from edgewise.records.device import DeviceRule
from edgewise.records.drift import DriftRules
from edgewise.records.generation import StreamRules, TextConfidence
from edgewise.records.offline import OfflineRules
from edgewise.records.preroute import PreRouterWeights
from edgewise.records.privacy import PrivacyActions
from edgewise.records.resilience import BreakerRules, HedgeRules, ProbeRules, RetryRules
from edgewise.records.service import QueueRules, ServiceFormula


class TierKind(Enum):
    """A place that can answer, from near to far."""

    DEVICE = "device"
    SITE = "site"
    CLOUD = "cloud"


class Protocol(Enum):
    """How a remote tier is spoken to."""

    JSON = "json"
    OIP = "oip"
    OPENAI = "openai"


class TokenLimit(Enum):
    """By which name a chat's endpoint is told how many tokens its answer may have."""

    MAX_TOKENS = "max_tokens"
    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    """What OpenAI's newer models take: they refuse the other one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLimit:
    """Expected latency of a local tier up to an input length; the last is for all longer."""

    up_to_length: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TierPolicy:
    """One tier as the decision sees it."""

    name: str
    kind: TierKind
    threshold: float | None = None
    """Keep this tier's answer where calibrated confidence reaches it. On the last tier: ignored.
    `None` on another tier: every answer is deferred while a farther tier can answer."""
    confidence: ConfidenceMap = field(default_factory=ConfidenceMap)
    text_confidence: TextConfidence | None = None
    """For text generation; `None` takes the geometric mean of the tokens' probabilities."""
    latency: tuple[LatencyLimit, ...] = ()
    """Measured expectation by input length; empty for a tier across a network."""
    latency_limit_ms: float | None = None
    """`edge_threshold_ms`: not the first choice where the expected p95 exceeds it."""
    rtt_p50_ms: float = 0.0
    rtt_p95_ms: float = 0.0
    """What the network is taken for until traffic has been seen."""
    usd_per_request: float = 0.0
    token_price: Price | None = None
    """What tokens cost on top of a request."""
    max_input_bytes: int = 1_000_000
    max_in_flight: int | None = None
    """Most calls under way at once, so that one slow tier can't hold all of a caller's."""
    group: str = ""
    """Tiers of one group are equal: they share load, and stand in for each other. They follow
    each other in the policy's order."""
    endpoint: str | None = None
    protocol: Protocol = Protocol.OIP
    model: str = ""
    token_limit: TokenLimit = TokenLimit.MAX_TOKENS
    """For text generation."""
    api_key: ApiKey | None = None
    service: ServiceFormula | None = None
    """This and what follows is for simulations; the decision reads none of it."""
    servers: int | None = None
    """Requests served at once; `None`: as many as are needed."""
    queue: QueueRules | None = None

    def __post_init__(self) -> None:
        if self.servers is not None and self.servers < 1:
            what, hint = f"not 1 or more: {self.servers}", "leave it out for as many as are needed"
            raise InvalidRecord(what, where="TierPolicy.servers", hint=hint)
        for name in ("usd_per_request", "rtt_p50_ms", "rtt_p95_ms"):
            value = getattr(self, name)
            if not 0.0 <= value < math.inf:
                hint = "give a number from 0 on"
                raise InvalidRecord(
                    f"not 0 or more: {value}", where=f"TierPolicy.{name}", hint=hint
                )

    def usd(self, input_tokens: int, output_tokens: int, cached_input_tokens: int = 0) -> float:
        """Give the price of one call: of a planned one with the most tokens that it may have."""
        if self.token_price is None:
            return self.usd_per_request
        tokens_usd = self.token_price.usd(input_tokens, output_tokens, cached_input_tokens)
        return self.usd_per_request + tokens_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyRules:
    """What keeps a request near."""

    flag: str = "privacy_flag"
    """The input's key that, when true, keeps the request on the device."""
    detect: tuple[str, ...] = ()
    """Kinds of personal data that are looked for; their presence keeps it on the device, unless
    `actions` says otherwise."""
    actions: PrivacyActions = field(default_factory=PrivacyActions)
    residency_key: str = "region"
    residency: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tier names that may see a request of a region; an absent region is not limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreRouteRules:
    """When a request goes to the farthest tier without asking a nearer one."""

    weights: PreRouterWeights | None = None
    """What predicts the gain of a text; `None` where the application tells it."""
    min_gain: float
    """Send where the predicted gain in quality, less its price, reaches this."""
    usd_per_quality: float | None = None
    """What a point of quality from 0 to 1 is worth; `None` counts no money."""
    late_ms_per_quality: float | None = None
    """How much later an answer may be for a point of quality; `None` counts no time."""

    def __post_init__(self) -> None:
        for name in ("usd_per_quality", "late_ms_per_quality"):
            value = getattr(self, name)
            if value is not None and not value > 0.0:
                what, hint = f"not above 0: {value}", "leave it out where it does not count"
                raise InvalidRecord(what, where=f"PreRouteRules.{name}", hint=hint)


class Lineup:
    """What a policy's tiers and residency come to. Made by a policy, read by the decision."""

    __slots__ = ("by_name", "homes", "last_rank", "most_input_bytes", "names", "on_device", "ranks")

    def __init__(self, tiers: tuple[TierPolicy, ...], privacy: PrivacyRules) -> None:
        self.names = tuple(tier.name for tier in tiers)
        self.on_device = tuple(tier.name for tier in tiers if tier.kind is TierKind.DEVICE)
        self.by_name = {tier.name: tier for tier in tiers}
        self.ranks: dict[str, int] = {}
        """Each tier's place from near to far; equal tiers share one."""
        rank, last = -1, ""
        for tier in tiers:
            if not tier.group or tier.group != last:
                rank += 1
            last = tier.group
            self.ranks[tier.name] = rank
        self.last_rank = rank
        self.most_input_bytes = max(tier.max_input_bytes for tier in tiers)
        self.homes: dict[str, tuple[str, ...]] = {}
        """Tier names by region, as `home_of` compares regions; of two alike the first."""
        for region, names in privacy.residency.items():
            self.homes.setdefault(_folded(region), names)

    def home_of(self, region: str | None) -> tuple[str, ...] | None:
        """Give the tiers that may see a request of a region; `None` where all may."""
        return self.homes.get(_folded(region)) if self.homes and region is not None else None


def _folded(region: str) -> str:
    return region.strip().casefold()


class _Beside:
    """Room for what is worked out from a record once: no field, so in no file, hash or copy."""

    __slots__ = ("_lineup",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(_Beside):
    """What the engine and the gateway load. Its version is its digest."""

    task: str
    labels: tuple[str, ...]
    tiers: tuple[TierPolicy, ...]
    """From near to far; the first is `edge`, the last `cloud` when there are two."""
    privacy: PrivacyRules = field(default_factory=PrivacyRules)
    breaker: BreakerRules = field(default_factory=BreakerRules)
    retry: RetryRules = field(default_factory=RetryRules)
    hedge: HedgeRules | None = None
    """`None` never asks a second tier because the first is late."""
    probe: ProbeRules | None = None
    """`None` learns of a tier from its traffic alone."""
    preroute: PreRouteRules | None = None
    audit: AuditRules | None = None
    """`None` audits nothing: then no certificate is ever found void."""
    drift: DriftRules | None = None
    """`None` watches no inputs."""
    budget: BudgetRules | None = None
    """`None` counts no money."""
    offline: OfflineRules | None = None
    """`None` stores nothing: a request that no tier can answer now is not answered."""
    device: tuple[DeviceRule, ...] = ()
    """When the device's state makes a tier another's second choice."""
    deadline_ms: float | None = None
    """For requests that bring none."""
    stream: StreamRules = field(default_factory=StreamRules)
    """For text generation: when a stream is handed out."""
    max_output_tokens: int = 512
    """For text generation: of requests that bring no `max_tokens`."""
    bundle_sha256: str = ""
    """The bundle that the thresholds belong to; empty when none was certified."""
    certificate: Certificate | None = None

    def __post_init__(self) -> None:
        names = [tier.name for tier in self.tiers]
        if not names or len(set(names)) != len(names):
            raise InvalidRecord(
                f"tier names are {names}", where="Policy.tiers", hint="name each tier once"
            )
        groups = [tier.group or f"tier {tier.name}" for tier in self.tiers]
        runs = [
            name
            for place, name in enumerate(groups)
            if name not in groups[max(place - 1, 0) : place]
        ]
        if len(set(runs)) != len(runs):
            what = "the tiers of a group do not follow each other"
            raise InvalidRecord(what, where="Policy.tiers", hint="put equal tiers side by side")
        if self.deadline_ms is not None and not 0.0 < self.deadline_ms < math.inf:
            what, hint = f"not above 0: {self.deadline_ms}", "leave it out for no deadline"
            raise InvalidRecord(what, where="Policy.deadline_ms", hint=hint)

    @property
    def on_void(self) -> OnVoid:
        """Give what a void certificate means."""
        return OnVoid.DEFER_MORE if self.audit is None else self.audit.on_void

    @property
    def lineup(self) -> Lineup:
        """Give what decisions read of its tiers, worked out when it is first asked for."""
        found: Lineup | None = getattr(self, "_lineup", None)
        if found is None:
            found = Lineup(self.tiers, self.privacy)
            object.__setattr__(self, "_lineup", found)
        return found
