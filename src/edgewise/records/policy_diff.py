"""What differs between two policies."""

from dataclasses import dataclass
from enum import Enum


class Effect(Enum):
    """Which way a change goes, in the order in which a reviewer must see it."""

    LOOSENS = "loosens"
    """More may leave the device, less quality is promised, or more may be spent."""
    TIGHTENS = "tightens"
    CHANGES = "changes"
    """Neither, or it can't be told from the policy alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """One thing that differs."""

    path: str
    """Where it stands: names of fields, tiers, regions and kinds, joined by dots."""
    before: object
    """As JSON has it; weights and maps by their hash, URLs without what may be secret."""
    after: object
    effect: Effect
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDiff:
    """What differs between two policies. Made by `compare_policies`, read by people."""

    before: str
    """The version: a policy's digest."""
    after: str
    changes: tuple[PolicyChange, ...]
    """What loosens first; empty where both say the same."""
