"""What a change at a place in a policy means: which way it goes, in words. Pure."""

import math
from collections.abc import Callable
from typing import Any

from edgewise.records import (
    CertificateState,
    Effect,
    OfflineRules,
    OnVoid,
    PrivacyAction,
    TierKind,
    TierPolicy,
)

_Judge = Callable[[Any, Any], Effect]

_STRICTNESS: dict[object, int] = {
    None: 0,
    PrivacyAction.REDACT: 1,
    PrivacyAction.KEEP: 2,
    PrivacyAction.REFUSE: 3,
    OnVoid.WARN: 1,
    OnVoid.DEFER_MORE: 2,
    OnVoid.CLOUD_ONLY: 3,
    CertificateState.VOID: 1,
    CertificateState.UNCERTIFIED: 2,
    CertificateState.CERTIFIED: 3,
}


def judge(path: tuple[str, ...], before: Any, after: Any) -> tuple[Effect, str]:
    """Say which way a change goes, and what it means.

    Parameters
    ----------
    path
        Where it stands; `before` and `after` are what stands there, `None` for nothing.
    """
    for pattern, how, meaning in _PLACES:
        if _fits(pattern, path):
            name = path[pattern.index("*")] if "*" in pattern else ""
            effect = how(before, after)
            words = meaning if isinstance(meaning, str) else meaning[effect]
            return effect, words.format(name=name)
    return Effect.CHANGES, _AREAS[path[0]]


def _fits(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    pairs = zip(pattern, path, strict=False)
    return len(pattern) == len(path) and all(a in ("*", b) for a, b in pairs)


def _always(effect: Effect) -> _Judge:
    return lambda _before, _after: effect


def _direction(before: float, after: float) -> Effect:
    """Say that more is looser."""
    if after == before:
        return Effect.CHANGES
    return Effect.LOOSENS if after > before else Effect.TIGHTENS


def _strictness(before: Any, after: Any) -> Effect:
    return _direction(-_STRICTNESS[before], -_STRICTNESS[after])


def _more_is_looser(before: float | None, after: float | None) -> Effect:
    return _direction(*(math.inf if limit is None else limit for limit in (before, after)))


def _less_is_looser(before: float | None, after: float | None) -> Effect:
    return _direction(*(-math.inf if limit is None else -limit for limit in (before, after)))


def _limit(before: Any, after: Any) -> Effect:
    """Judge rules that bind when they are there, and are there on one side."""
    del after
    return Effect.TIGHTENS if before is None else Effect.LOOSENS


def _residency(before: tuple[str, ...] | None, after: tuple[str, ...] | None) -> Effect:
    if before is None or after is None:
        return _limit(before, after)
    if set(after) == set(before):
        return Effect.CHANGES
    return Effect.LOOSENS if set(after) - set(before) else Effect.TIGHTENS


def _tier(before: TierPolicy | None, after: TierPolicy | None) -> Effect:
    if after is None:
        return Effect.TIGHTENS
    assert before is None
    near = after.kind is TierKind.DEVICE and after.endpoint is None
    return Effect.CHANGES if near else Effect.LOOSENS


def _kind(before: TierKind, after: TierKind) -> Effect:
    """Judge by what the device alone may see."""
    return _direction(before is TierKind.DEVICE, after is TierKind.DEVICE)


def _endpoint(before: str | None, after: str | None) -> Effect:
    del before
    return Effect.TIGHTENS if after is None else Effect.LOOSENS


def _offline(before: OfflineRules | None, after: OfflineRules | None) -> Effect:
    if before is None:
        return Effect.CHANGES if after is not None and after.key is not None else Effect.LOOSENS
    return Effect.TIGHTENS


_LOOSER, _TIGHTER, _OTHER = Effect.LOOSENS, Effect.TIGHTENS, Effect.CHANGES
_SPENDING = {
    _LOOSER: "more may be spent",
    _TIGHTER: "less may be spent",
    _OTHER: "the same may be spent",
}
_PROMISE = {
    _LOOSER: "the certificate promises less",
    _TIGHTER: "the certificate promises more",
    _OTHER: "the certificate promises the same",
}
_PLACES: tuple[tuple[tuple[str, ...], _Judge, str | dict[Effect, str]], ...] = (
    (
        ("privacy", "flag"),
        _always(_LOOSER),
        "requests with the flag before are no longer kept on the device by it",
    ),
    (
        ("privacy", "kinds", "*"),
        _strictness,
        {
            _LOOSER: "requests that hold `{name}` are guarded less",
            _TIGHTER: "requests that hold `{name}` are guarded more",
        },
    ),
    (
        ("privacy", "actions", "default"),
        _strictness,
        {
            _LOOSER: "kinds without an action of their own are guarded less",
            _TIGHTER: "kinds without an action of their own are guarded more",
        },
    ),
    (
        ("privacy", "actions", "by_kind", "*"),
        _always(_OTHER),
        "no request is treated otherwise: the action for `{name}` is the default, or it is not "
        "looked for",
    ),
    (("privacy", "detect"), _always(_OTHER), "the same kinds in another order"),
    (
        ("privacy", "residency_key"),
        _always(_LOOSER),
        "requests that name their region by the key before are no longer limited to its tiers",
    ),
    (
        ("privacy", "residency", "*"),
        _residency,
        {
            _LOOSER: "more tiers may see requests of region `{name}`",
            _TIGHTER: "fewer tiers may see requests of region `{name}`",
            _OTHER: "the same tiers may see requests of region `{name}`",
        },
    ),
    (
        ("tiers", "*"),
        _tier,
        {
            _LOOSER: "tier `{name}` is added: requests may leave for it",
            _TIGHTER: "tier `{name}` is removed: no request goes there",
            _OTHER: "tier `{name}` is added, on the device",
        },
    ),
    (("tiers",), _always(_OTHER), "tiers are asked in another order, from near to far"),
    (
        ("tiers", "*", "kind"),
        _kind,
        {
            _LOOSER: "tier `{name}` counts as the device: private requests may go there",
            _TIGHTER: "tier `{name}` counts as off the device: private requests may not go there",
            _OTHER: "private requests may go to tier `{name}` as little as before",
        },
    ),
    (
        ("tiers", "*", "endpoint"),
        _endpoint,
        {
            _LOOSER: "requests for tier `{name}` go to another address",
            _TIGHTER: "tier `{name}` is called no more",
        },
    ),
    (
        ("tiers", "*", "threshold"),
        _less_is_looser,
        {
            _LOOSER: "more answers of tier `{name}` are kept: it defers less",
            _TIGHTER: "fewer answers of tier `{name}` are kept: it defers more",
        },
    ),
    (
        ("tiers", "*", "confidence"),
        _always(_OTHER),
        "confidence of tier `{name}` is read by another map: thresholds of both do not compare",
    ),
    (
        ("tiers", "*", "text_confidence"),
        _always(_OTHER),
        "confidence of tier `{name}`'s texts is read by another map: thresholds do not compare",
    ),
    (("tiers", "*", "api_key"), _always(_OTHER), "the key of tier `{name}` lies elsewhere"),
    (("tiers", "*", "api_key", "*"), _always(_OTHER), "the key of the tier lies elsewhere"),
    (("tiers", "*", "usd_per_request"), _always(_OTHER), "a call of tier `{name}` is priced anew"),
    (("tiers", "*", "token_price"), _always(_OTHER), "tokens of tier `{name}` are priced anew"),
    (
        ("tiers", "*", "latency_limit_ms"),
        _always(_OTHER),
        "from another expected p95 on, tier `{name}` is not the first choice",
    ),
    (("tiers", "*", "latency"), _always(_OTHER), "tier `{name}` was measured anew"),
    (
        ("tiers", "*", "group"),
        _always(_OTHER),
        "tier `{name}` has other equals, which share its load and stand in for it",
    ),
    (
        ("tiers", "*", "max_input_bytes"),
        _always(_OTHER),
        "tier `{name}` takes inputs of another size",
    ),
    (
        ("tiers", "*", "max_in_flight"),
        _always(_OTHER),
        "tier `{name}` takes another number of calls at once",
    ),
    (("certificate",), _limit, _PROMISE),
    (("certificate", "state"), _strictness, _PROMISE),
    (("certificate", "alpha"), _more_is_looser, _PROMISE),
    (("certificate", "delta"), _more_is_looser, _PROMISE),
    (("certificate", "loss"), _always(_OTHER), "the certificate bounds another loss"),
    (
        ("certificate", "seal_sha256"),
        _always(_LOOSER),
        "the same certificate under another seal: one of them was changed by hand",
    ),
    (
        ("audit", "on_void"),
        _strictness,
        {
            _LOOSER: "an edge whose certificate the audit refuted is trusted more",
            _TIGHTER: "an edge whose certificate the audit refuted is trusted less",
        },
    ),
    (("budget",), _limit, _SPENDING),
    (("budget", "path"), _always(_LOOSER), "what the file before remembers as spent is forgotten"),
    *(
        (("budget", *of, window), _more_is_looser, _SPENDING)
        for of in (("total",), ("each_caller",), ("callers", "*"))
        for window in ("usd_per_day", "usd_per_month")
    ),
    (
        ("budget", "callers", "*"),
        _always(_LOOSER),
        "caller `{name}` has another limit: its own instead of the one for each, or the other way",
    ),
    (
        ("offline",),
        _offline,
        {
            _LOOSER: "requests may wait on the disk, readable: there is no key",
            _TIGHTER: "no request waits on the disk",
            _OTHER: "requests may wait on the disk, sealed by a key",
        },
    ),
    (
        ("offline", "key"),
        _limit,
        {
            _LOOSER: "what waits on the disk is no longer sealed",
            _TIGHTER: "what waits on the disk is sealed",
        },
    ),
    (("bundle_sha256",), _always(_OTHER), "the thresholds belong to another bundle"),
    (("preroute",), _always(_OTHER), "whether requests go far without asking near"),
    (
        ("preroute", "min_gain"),
        _always(_OTHER),
        "from another gain on, requests go far without asking near",
    ),
    (("preroute", "weights"), _always(_OTHER), "the gain is predicted by other weights"),
    (("hedge",), _always(_OTHER), "whether a second tier is raced when the first is late"),
    (("probe",), _always(_OTHER), "whether a tier without traffic is looked at"),
    (("deadline_ms",), _always(_OTHER), "the deadline of requests that bring none"),
    (("device",), _always(_OTHER), "the same rules in another order"),
    (
        ("device", "*"),
        _always(_OTHER),
        "another rule, `{name}`, on when the device's state makes it the second choice",
    ),
)
_AREAS = {
    "task": "the policy is for another task",
    "labels": "answers have other labels",
    "tiers": "how a tier is called and what is expected of it",
    "privacy": "what keeps a request near",
    "breaker": "when a tier's circuit opens, and how it is tried again",
    "retry": "when a tier that failed is asked again",
    "hedge": "when a second tier is raced",
    "probe": "how a tier without traffic is looked at",
    "preroute": "when requests go far without asking near",
    "audit": "what is audited, and what is done when it has refuted the certificate",
    "drift": "how inputs are watched",
    "budget": "what may be spent",
    "offline": "how much may wait for the network, and how long",
    "device": "when the device's state makes it the second choice",
    "deadline_ms": "the deadline of requests that bring none",
    "stream": "how much of a text is read before it is handed out",
    "max_output_tokens": "how many tokens a text of a request that brings no limit may have",
    "bundle_sha256": "the thresholds belong to another bundle",
    "certificate": "what the certificate was made from, and what it found",
}
"""For a place that has no words of its own; a test holds it to the fields of `Policy`."""
