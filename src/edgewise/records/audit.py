"""How live answers are audited, and what the audit knows: labels and numbers, never an input."""

import math
from dataclasses import dataclass
from enum import Enum

from edgewise.errors import InvalidRecord


class OnVoid(Enum):
    """What the engine does when the audit has refuted the certificate."""

    DEFER_MORE = "defer_more"
    """Keep only what reaches `SystemState.threshold`."""
    CLOUD_ONLY = "cloud_only"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRules:
    """How many answers are audited, what that may cost, and what a refuted certificate means.

    What is tested, the loss with its alpha and delta, is the certificate's.
    """

    share: float = 0.02
    """Of requests that may leave the device: so many of those kept are asked of the farthest tier
    too, and so many of those deferred, which have both answers, are noted."""
    per_hour: int | None = None
    """Most background calls in an hour; `None`, here and below, is no limit."""
    per_day: int | None = None
    usd_per_hour: float | None = None
    usd_per_day: float | None = None
    at_once: int = 2
    """Most background calls and judgements under way together."""
    timeout_ms: float = 10_000.0
    """Of a background call, and then of the judge where there is one."""
    on_void: OnVoid = OnVoid.DEFER_MORE
    samples_kept: int = 20_000
    """The oldest sample makes way for the one after these."""
    label_share: float = 0.0
    """Of samples, those for which the application promises true labels, told to it as
    `label_wanted`; 0 tests what needs no labels."""
    label_wait_s: float = 604_800.0
    """A label that takes longer is not waited for."""

    def __post_init__(self) -> None:
        where = "AuditRules"
        if not (0.0 < self.share <= 1.0 and 0.0 <= self.label_share <= 1.0):
            what = f"share is {self.share} and label_share is {self.label_share}"
            raise InvalidRecord(what, where=where, hint="give shares up to 1, `share` above 0")
        counts = (self.per_hour, self.per_day, self.at_once, self.samples_kept)
        spans = (self.timeout_ms, self.label_wait_s)
        if any(one is not None and one < 1 for one in counts) or not all(
            0.0 < one < math.inf for one in spans
        ):
            what = "a limit is not above 0"
            raise InvalidRecord(what, where=where, hint="leave it out for its default")
        prices = (self.usd_per_hour, self.usd_per_day)
        if any(one is not None and not 0.0 <= one < math.inf for one in prices):
            what = f"a budget is no amount of money: {prices}"
            raise InvalidRecord(what, where=where, hint="leave it out for no limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answered request as the audit sees it. Made by the engine, of requests that may leave."""

    request_id: str
    kept: bool
    """Whether the nearest tier's answer stood because it was confident."""
    confidence: float
    edge_label: str
    far_label: str | None = None
    """The farthest tier's, where it was asked for the answer already."""
    usd_per_request: float = 0.0
    """What it costs to ask it, at the most."""
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCase:
    """One request that the farthest tier, or a judge, is to be asked about. Made by the auditor."""

    number: int
    """Of the auditor's; it grows."""
    share: float
    answered: Answered
    at_s: float
    """Seconds since 1970, UTC."""
    label_wanted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSample:
    """What one audited request leaves: no input, and of answers labels and qualities alone."""

    request_id: str
    at_s: float
    confidence: float
    edge_label: str
    far_label: str | None
    """`None` where the farthest tier gave no answer."""
    kept: bool
    share: float
    """The chance that a request like it had to be sampled."""
    group: str = ""
    label_wanted: bool = False
    truth: str | None = None
    void: bool = False
    """Whether the certificate was void before it came."""
    edge_quality: float | None = None
    """How good a judge found the nearest tier's answer, 0 to 1; `None` where none said so."""
    far_quality: float | None = None
    """The farthest tier's, likewise."""

    def __post_init__(self) -> None:
        both = (self.edge_quality, self.far_quality)
        if both != (None, None) and not all(one is not None and 0.0 <= one <= 1.0 for one in both):
            what, hint = f"qualities of {both[0]} and {both[1]}", "give both from 0 to 1, or none"
            raise InvalidRecord(what, where="AuditSample", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditState:
    """What the audit knows of a certificate at a moment."""

    certificate: str = ""
    """Which one it is of: its digest."""
    testing: str = ""
    """What is tested, in words; empty where nothing is."""
    void: bool = False
    e_value: float = 1.0
    """Evidence against the certificate by answers; it is void once this reaches `void_from`."""
    label_e_value: float = 1.0
    """Evidence by true labels."""
    void_from: float | None = None
    considered: int = 0
    sampled: int = 0
    audited: int = 0
    """Kept requests that the farthest tier was asked about and answered."""
    lost: int = 0
    """Those that it gave no answer for."""
    disagreed: int = 0
    """Kept answers that differed from the farthest tier's; with a judge, those worse than its."""
    unjudged: int = 0
    """Samples of which the judge failed to say how good they are: they count as no loss."""
    judge_fault: str = ""
    """How it failed the last time."""
    labelled: int = 0
    spent_usd: float = 0.0
    threshold: float | None = None
    """What `defer_more` keeps from while it is void."""
    voided_at_s: float | None = None
    reason: str = ""

    @property
    def disagreement_share(self) -> float | None:
        """Give how often the farthest tier answered otherwise, of those audited."""
        return self.disagreed / self.audited if self.audited else None
