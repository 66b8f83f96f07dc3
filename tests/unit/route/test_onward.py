"""What an endpoint is told of a request: it may be a gateway with tiers of its own."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from edgewise import HybridInferenceEngine
from edgewise.gateway.asking import asked_of
from edgewise.gateway.messages import Request
from edgewise.records import Policy, PrivacyRules, Protocol, TierKind, TierPolicy
from edgewise.route.onward import onward
from edgewise.testing.route import FakeEndpoint

SAYS = (200, {"label": "yes", "confidence": 0.9})
RULES = PrivacyRules(detect=("email",), residency={"eu": ("near",)})


async def told(policy: Policy, one: Mapping[str, object]) -> dict[str, str]:
    """Ask the first tier's endpoint for an input; give the headers about it."""
    with FakeEndpoint([SAYS]) as endpoint:
        first = replace(policy.tiers[0], endpoint=endpoint.url, protocol=Protocol.JSON)
        policy = replace(policy, tiers=(first, *policy.tiers[1:]))
        async with HybridInferenceEngine(policy=policy) as engine:
            await engine.predict(one)
        (headers,) = endpoint.headers
    names = ("x-edgewise-privacy", "x-edgewise-region")
    return {name: headers[name] for name in names if name in headers}


def policy_of(kind: TierKind, rules: PrivacyRules = RULES) -> Policy:
    return Policy(
        task="text-classification",
        labels=("no", "yes"),
        tiers=(TierPolicy(name="near", kind=kind, threshold=0.5),),
        privacy=rules,
    )


async def test_a_region_that_limits_the_tiers_goes_along() -> None:
    one = {"text": "hi", "region": "eu"}

    assert await told(policy_of(TierKind.SITE), one) == {"x-edgewise-region": "eu"}
    assert await told(policy_of(TierKind.SITE, PrivacyRules()), one) == {}


async def test_what_stays_on_the_device_is_marked_where_another_process_answers() -> None:
    private = {"x-edgewise-privacy": "true"}

    assert await told(policy_of(TierKind.DEVICE), {"text": "hi", "privacy_flag": True}) == private
    assert await told(policy_of(TierKind.DEVICE), {"text": "write to ana@example.org"}) == private
    assert await told(policy_of(TierKind.DEVICE), {"text": "hi"}) == {}


@pytest.mark.parametrize("region", ["eu", "eu, west", "Österreich", "100%", "a\r\nb", "東"])
def test_a_region_comes_out_as_it_went_in(region: str) -> None:
    headers = onward(RULES, {"text": "hi", "region": region})
    (value,) = headers.values()

    asked = asked_of(Request(method="POST", path="/predict", headers=headers), "")

    assert asked.region == region
    assert value.isascii()
    assert value.isprintable()
