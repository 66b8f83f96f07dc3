"""What differs between two policies, and what that means. Pure.

What loosens (more may leave the device, less is promised, more may be spent) comes first. Every
field counts: two policies without a change between them are equal.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from edgewise.records import (
    ConfidenceMap,
    DeviceRule,
    Effect,
    Policy,
    PolicyChange,
    PolicyDiff,
    PreRouterWeights,
    PrivacyAction,
    PrivacyRules,
    TierPolicy,
    digest,
    encode,
)
from edgewise.route.meanings import judge

_ORDER = {effect: place for place, effect in enumerate(Effect)}
_HASHED = (ConfidenceMap, PreRouterWeights)
_SHORT = 12


class _Difference(NamedTuple):
    """Two values at a place that are not equal; `None` where there is none."""

    path: tuple[str, ...]
    before: Any
    after: Any


def compare_policies(before: Policy, after: Policy) -> PolicyDiff:
    """Give what differs between two policies, in words, what loosens first.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from edgewise.records import Policy, TierKind, TierPolicy
    >>> edge = TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.9)
    >>> before = Policy(task="text-classification", labels=("a", "b"), tiers=(edge,))
    >>> after = replace(before, tiers=(replace(edge, threshold=0.8),))
    >>> [(one.path, one.effect.value) for one in compare_policies(before, after).changes]
    [('tiers.edge.threshold', 'loosens')]
    """
    found = [_change(one) for one in _without_echoes(list(_policies(before, after)))]
    return PolicyDiff(
        before=digest(before),
        after=digest(after),
        changes=tuple(sorted(found, key=lambda one: _ORDER[one.effect])),
    )


def shown_policy(policy: Policy) -> dict[str, Any]:
    """Give a policy as JSON has it, its URLs without what may be secret."""
    shown = encode(policy)
    for tier in shown["tiers"]:
        if tier["endpoint"] is not None:
            tier["endpoint"] = shown_url(tier["endpoint"])
    return shown


def shown_url(url: str) -> str:
    """Give a URL without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "no URL"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _policies(before: Policy, after: Policy) -> Iterator[_Difference]:
    """Walk every field of both."""
    for field in fields(Policy):
        one, other = getattr(before, field.name), getattr(after, field.name)
        if field.name == "tiers":
            yield from _named(("tiers",), _tiers(one), _tiers(other))
        elif field.name == "device":
            yield from _named(("device",), _rules(one), _rules(other))
        elif field.name == "privacy":
            yield from _privacy(one, other)
        else:
            yield from _values((field.name,), one, other)


def _values(path: tuple[str, ...], one: Any, other: Any) -> Iterator[_Difference]:
    if one == other:
        return
    if is_dataclass(one) and type(one) is type(other) and not isinstance(one, _HASHED):
        for field in fields(one):
            yield from _values(
                (*path, field.name), getattr(one, field.name), getattr(other, field.name)
            )
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            yield from _values((*path, key), one.get(key), other.get(key))
    else:
        yield _Difference(path, one, other)


def _named(
    path: tuple[str, ...], one: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterator[_Difference]:
    """Walk what has names and an order."""
    order = [name for name in one if name in other]
    turned = [name for name in other if name in one]
    if order != turned:
        yield _Difference(path, order, turned)
    for name in (*one, *(name for name in other if name not in one)):
        yield from _values((*path, name), one.get(name), other.get(name))


def _tiers(tiers: Sequence[TierPolicy]) -> dict[str, TierPolicy]:
    return {tier.name: tier for tier in tiers}


def _rules(rules: Sequence[DeviceRule]) -> dict[str, DeviceRule]:
    found: dict[str, DeviceRule] = {}
    for rule in rules:
        names = (rule.name if turn == 1 else f"{rule.name} ({turn})" for turn in count(1))
        found[next(name for name in names if name not in found)] = rule
    return found


def _privacy(one: PrivacyRules, other: PrivacyRules) -> Iterator[_Difference]:
    """Say what becomes of each kind, and only then how the rules put it."""
    at = ("privacy",)
    changed = set()
    for kind in sorted({*one.detect, *other.detect}):
        before, after = _action(one, kind), _action(other, kind)
        if before is not after:
            changed.add(kind)
            yield _Difference((*at, "kinds", kind), before, after)
    for place in _values(at, one, other):
        echo = place.path[:2] == ("privacy", "detect") and {*one.detect} != {*other.detect}
        echo = echo or (place.path[:3] == (*at, "actions", "by_kind") and place.path[3] in changed)
        if not echo:
            yield place


def _action(rules: PrivacyRules, kind: str) -> PrivacyAction | None:
    return rules.actions.of(kind) if kind in rules.detect else None


def _without_echoes(found: list[_Difference]) -> Iterator[_Difference]:
    """Leave out what a certificate repeats of the policy, and the seal that follows from it."""
    said = {(one.path[-1], one.before, one.after) for one in found if _repeated(one.path)}
    resealed = sum(one.path[0] == "certificate" for one in found) > 1
    for one in found:
        echo = one.path[0] == "certificate" and (one.path[-1], one.before, one.after) in said
        if not echo and not (resealed and one.path == ("certificate", "seal_sha256")):
            yield one


def _repeated(path: tuple[str, ...]) -> bool:
    return path == ("bundle_sha256",) or (path[0] == "tiers" and path[-1] == "threshold")


def _change(one: _Difference) -> PolicyChange:
    effect, meaning = judge(one.path, one.before, one.after)
    before, after = _shown(one.before), _shown(one.after)
    if one.path[0] == "tiers" and one.path[-1] == "endpoint" and before == after:
        effect, meaning = Effect.CHANGES, "what may be secret in its URL: user, password or query"
    return PolicyChange(
        path=".".join(one.path), before=before, after=after, effect=effect, meaning=meaning
    )


def _shown(value: Any) -> object:
    """Give a value as JSON has it, long ones by their hash, URLs without secrets."""
    if isinstance(value, _HASHED):
        return f"sha256 {digest(value)[:_SHORT]}"
    if is_dataclass(value):
        return {field.name: _shown(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    if isinstance(value, str) and "://" in value:
        return shown_url(value)
    return value.value if isinstance(value, Enum) else value
