"""What differs between two policies: which way each change goes, and what nobody should see."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from edgewise.records import (
    ApiKey,
    AuditRules,
    BudgetRules,
    CalibrationKind,
    Certificate,
    CertificateState,
    ConfidenceMap,
    DeviceRule,
    Effect,
    HedgeRules,
    Loss,
    OfflineRules,
    OnVoid,
    Policy,
    PolicyChange,
    PolicyDiff,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    RetryRules,
    SpendingLimit,
    TierKind,
    TierPolicy,
    decode,
    digest,
    encode,
    seal,
)
from edgewise.route import compare_policies, shown_policy
from edgewise.route.comparing import shown_url
from edgewise.route.meanings import _AREAS

GOLDEN = Path(__file__).parents[2] / "golden/policy/diff.json"
LOOSENS, TIGHTENS, CHANGES = Effect.LOOSENS, Effect.TIGHTENS, Effect.CHANGES
EDGE = TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.9)
CLOUD = TierPolicy(name="cloud", kind=TierKind.CLOUD, endpoint="https://cloud/v2")
CERTIFICATE = Certificate(
    state=CertificateState.CERTIFIED,
    loss=Loss.NET,
    alpha=0.02,
    delta=0.05,
    n=2000,
    threshold=0.9,
    deferral_rate=0.2,
    bound=0.019,
    bundle_sha256="a" * 64,
)
POLICY = Policy(
    task="text-classification",
    labels=("a", "b"),
    tiers=(EDGE, CLOUD),
    privacy=PrivacyRules(detect=("email", "phone"), residency={"eu": ("edge",)}),
    budget=BudgetRules(path="state/budget", total=SpendingLimit(usd_per_day=5.0)),
    offline=OfflineRules(path="state/queue", key=ApiKey(env="QUEUE_KEY")),
    bundle_sha256="a" * 64,
    audit=AuditRules(),
    certificate=seal(CERTIFICATE),
)


def changed(**fields: Any) -> Policy:
    return replace(POLICY, **fields)


def edge(**fields: Any) -> Policy:
    return changed(tiers=(replace(EDGE, **fields), CLOUD))


def cloud(**fields: Any) -> Policy:
    return changed(tiers=(EDGE, replace(CLOUD, **fields)))


def privacy(**fields: Any) -> Policy:
    return changed(privacy=replace(POLICY.privacy, **fields))


def certificate(**fields: Any) -> Policy:
    return changed(certificate=seal(replace(CERTIFICATE, **fields)))


def budget(**fields: Any) -> Policy:
    assert POLICY.budget is not None
    return changed(budget=replace(POLICY.budget, **fields))


def offline(**fields: Any) -> Policy:
    assert POLICY.offline is not None
    return changed(offline=replace(POLICY.offline, **fields))


def only(before: Policy, after: Policy) -> PolicyChange:
    (found,) = compare_policies(before, after).changes
    return found


def test_equal_policies_differ_in_nothing() -> None:
    found = compare_policies(POLICY, replace(POLICY))

    assert found == PolicyDiff(before=digest(POLICY), after=digest(POLICY), changes=())


# A change, and which way it goes; the way back is the opposite.
OPPOSITES: Mapping[str, tuple[Policy, str, Effect]] = {
    "a lower threshold": (edge(threshold=0.8), "tiers.edge.threshold", LOOSENS),
    "no threshold keeps nothing": (edge(threshold=None), "tiers.edge.threshold", TIGHTENS),
    "a tier as the device": (cloud(kind=TierKind.DEVICE), "tiers.cloud.kind", LOOSENS),
    "no endpoint": (cloud(endpoint=None), "tiers.cloud.endpoint", TIGHTENS),
    "a kind not looked for": (privacy(detect=("email",)), "privacy.kinds.phone", LOOSENS),
    "one kind more": (
        privacy(detect=("email", "phone", "iban")),
        "privacy.kinds.iban",
        TIGHTENS,
    ),
    "redacted and sent": (
        privacy(actions=PrivacyActions(by_kind={"phone": PrivacyAction.REDACT})),
        "privacy.kinds.phone",
        LOOSENS,
    ),
    "refused": (
        privacy(actions=PrivacyActions(by_kind={"phone": PrivacyAction.REFUSE})),
        "privacy.kinds.phone",
        TIGHTENS,
    ),
    "a tier more for a region": (
        privacy(residency={"eu": ("edge", "cloud")}),
        "privacy.residency.eu",
        LOOSENS,
    ),
    "no limit for a region": (privacy(residency={}), "privacy.residency.eu", LOOSENS),
    "no certificate": (changed(certificate=None), "certificate", LOOSENS),
    "a larger alpha": (certificate(alpha=0.05), "certificate.alpha", LOOSENS),
    "a smaller delta": (certificate(delta=0.01), "certificate.delta", TIGHTENS),
    "a void certificate": (
        certificate(state=CertificateState.VOID),
        "certificate.state",
        LOOSENS,
    ),
    "a warning alone": (changed(audit=AuditRules(on_void=OnVoid.WARN)), "audit.on_void", LOOSENS),
    "the cloud alone": (
        changed(audit=AuditRules(on_void=OnVoid.CLOUD_ONLY)),
        "audit.on_void",
        TIGHTENS,
    ),
    "no budget": (changed(budget=None), "budget", LOOSENS),
    "a higher limit": (
        budget(total=SpendingLimit(usd_per_day=9.0)),
        "budget.total.usd_per_day",
        LOOSENS,
    ),
    "a limit more": (
        budget(total=SpendingLimit(usd_per_day=5.0, usd_per_month=9.0)),
        "budget.total.usd_per_month",
        TIGHTENS,
    ),
    "an open queue": (offline(key=None), "offline.key", LOOSENS),
}


@pytest.mark.parametrize("name", OPPOSITES)
def test_a_change_goes_one_way_and_back_the_other(name: str) -> None:
    other, path, effect = OPPOSITES[name]

    there, back = only(POLICY, other), only(other, POLICY)

    assert (there.path, there.effect) == (back.path, effect) == (path, effect)
    assert back.effect is {LOOSENS: TIGHTENS, TIGHTENS: LOOSENS}[effect]
    assert (there.before, there.after) == (back.after, back.before)
    assert there.meaning
    assert back.meaning


ONE_WAY: Mapping[str, tuple[Policy, str, Effect]] = {
    "another flag": (privacy(flag="secret"), "privacy.flag", LOOSENS),
    "another key of regions": (privacy(residency_key="land"), "privacy.residency_key", LOOSENS),
    "another address": (cloud(endpoint="https://other/v2"), "tiers.cloud.endpoint", LOOSENS),
    "another file of spending": (budget(path="b"), "budget.path", LOOSENS),
    "a caller's own limit": (
        budget(callers={"shop": SpendingLimit(usd_per_day=1.0)}),
        "budget.callers.shop",
        LOOSENS,
    ),
    "no queue": (changed(offline=None), "offline", TIGHTENS),
    "the same kinds turned": (privacy(detect=("phone", "email")), "privacy.detect", CHANGES),
    "an action that changes nothing": (
        privacy(actions=PrivacyActions(by_kind={"ip": PrivacyAction.REFUSE})),
        "privacy.actions.by_kind.ip",
        CHANGES,
    ),
    "another loss": (certificate(loss=Loss.REGRET), "certificate.loss", CHANGES),
    "more labels": (certificate(n=3000), "certificate.n", CHANGES),
    "a site for a cloud": (cloud(kind=TierKind.SITE), "tiers.cloud.kind", CHANGES),
    "a map of confidence": (
        edge(confidence=ConfidenceMap(kind=CalibrationKind.TEMPERATURE, temperature=2.0)),
        "tiers.edge.confidence",
        CHANGES,
    ),
    "a key elsewhere": (cloud(api_key=ApiKey(env="KEY")), "tiers.cloud.api_key", CHANGES),
    "a retry more": (changed(retry=RetryRules(most=2)), "retry.most", CHANGES),
    "a hedge": (changed(hedge=HedgeRules()), "hedge", CHANGES),
    "a rule on the device": (
        changed(device=(DeviceRule(name="hot", throttled=True),)),
        "device.hot",
        CHANGES,
    ),
    "tiers turned": (changed(tiers=(CLOUD, EDGE)), "tiers", CHANGES),
}


@pytest.mark.parametrize("name", ONE_WAY)
def test_a_change_says_where_it_is_and_which_way_it_goes(name: str) -> None:
    other, path, effect = ONE_WAY[name]

    found = only(POLICY, other)

    assert (found.path, found.effect) == (path, effect)
    assert found.meaning


def test_the_same_tiers_of_a_region_in_another_order_loosen_nothing() -> None:
    one, other = (privacy(residency={"eu": ("edge", "cloud")[::step]}) for step in (1, -1))

    assert only(one, other).effect is CHANGES


def test_a_queue_without_a_key_loosens_and_one_with_a_key_does_not() -> None:
    none = changed(offline=None)

    assert only(none, offline(key=None)).effect is LOOSENS
    assert only(none, POLICY).effect is CHANGES


def test_a_tier_that_is_added_loosens_unless_it_is_on_the_device() -> None:
    far = replace(CLOUD, name="west")
    near = TierPolicy(name="npu", kind=TierKind.DEVICE)

    added = only(POLICY, changed(tiers=(EDGE, CLOUD, far)))

    assert (added.path, added.effect) == ("tiers.west", LOOSENS)
    assert added.meaning == "tier `west` is added: requests may leave for it"
    assert only(POLICY, changed(tiers=(EDGE, near, CLOUD))).effect is CHANGES
    assert only(changed(tiers=(EDGE, CLOUD, far)), POLICY).effect is TIGHTENS


def test_a_default_action_loosens_each_kind_that_follows_it() -> None:
    other = privacy(actions=PrivacyActions(default=PrivacyAction.REDACT))

    found = compare_policies(POLICY, other).changes

    assert [(one.path, one.effect) for one in found] == [
        ("privacy.kinds.email", LOOSENS),
        ("privacy.kinds.phone", LOOSENS),
        ("privacy.actions.default", LOOSENS),
    ]


def test_what_loosens_comes_first() -> None:
    other = replace(
        changed(audit=AuditRules(on_void=OnVoid.WARN), deadline_ms=80.0),
        budget=BudgetRules(path="state/budget", total=SpendingLimit(usd_per_day=1.0)),
    )

    found = compare_policies(POLICY, other).changes

    assert [one.effect for one in found] == [LOOSENS, TIGHTENS, CHANGES]


def test_a_new_threshold_is_said_once_though_the_certificate_repeats_it() -> None:
    sealed = seal(replace(CERTIFICATE, threshold=0.8))
    other = replace(edge(threshold=0.8), certificate=sealed)

    assert only(POLICY, other).path == "tiers.edge.threshold"


def test_a_certificate_with_another_seal_alone_is_told() -> None:
    forged = replace(seal(CERTIFICATE), seal_sha256="f" * 64)

    found = only(POLICY, changed(certificate=forged))

    assert (found.path, found.effect) == ("certificate.seal_sha256", LOOSENS)


def test_rules_of_one_name_are_compared_each_with_its_own() -> None:
    first, second = (DeviceRule(name="hot", load_above=load) for load in (1.0, 2.0))

    found = only(changed(device=(first, second)), changed(device=(first,)))

    assert found.path == "device.hot (2)"


def test_no_secret_of_a_url_is_shown_but_its_change_is() -> None:
    one, other = (
        cloud(endpoint=f"https://user:{word}@cloud/v2?token={word}#x") for word in ("swan", "crane")
    )

    found = only(one, other)
    shown = json.dumps([encode(compare_policies(one, POLICY)), shown_policy(one)])

    assert (found.before, found.effect) == ("https://cloud/v2", CHANGES)
    assert found.meaning == "what may be secret in its URL: user, password or query"
    assert "swan" not in shown
    assert shown_url("https://[half") == "no URL"


def test_each_field_of_a_policy_has_words() -> None:
    assert set(_AREAS) == {field.name for field in fields(Policy)}


def test_the_json_form_is_the_golden_one() -> None:
    address = "https://user:secret@west/v2"
    other = replace(
        privacy(detect=("email", "card"), residency={}),
        tiers=(replace(EDGE, threshold=0.8), replace(CLOUD, endpoint=address)),
        certificate=seal(replace(CERTIFICATE, threshold=0.8, alpha=0.05, bound=0.04)),
        budget=None,
        retry=RetryRules(most=0),
    )

    found = compare_policies(POLICY, other)

    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    versions = {"before": digest(POLICY), "after": digest(other)}
    assert encode(found) == golden | versions
    assert decode(PolicyDiff, golden | versions) == found
