"""What a spec says of its tiers and of live traffic stands in the policy."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgewise.pipeline.policy import make_policy
from edgewise.records import (
    BudgetRules,
    Certificate,
    CertificateState,
    CloudTier,
    ConfidenceMap,
    DataSpec,
    DeviceRule,
    EdgeTier,
    HedgeRules,
    Loss,
    ModelSpec,
    OfflineRules,
    Policy,
    PreRouteRules,
    ProbeRules,
    Profile,
    ProjectSpec,
    RetryRules,
    RoutingSpec,
    SpendingLimit,
    Target,
    Task,
    encode,
)
from edgewise.records.resilience import BreakerRules

CERTIFICATE = Certificate(
    state=CertificateState.UNCERTIFIED,
    loss=Loss.NET,
    alpha=0.02,
    delta=0.05,
    n=10,
    threshold=None,
    deferral_rate=1.0,
    bound=None,
    bundle_sha256="ab" * 32,
)
SPEC = ProjectSpec(
    name="tiny",
    task=Task.TEXT_CLASSIFICATION,
    model=ModelSpec(source=Path("model")),
    data=DataSpec(train=Path("a"), calibration=Path("b"), test=Path("c")),
    edge=EdgeTier(max_in_flight=4),
    cloud=CloudTier(endpoint="https://east", usd_per_request=0.002, max_in_flight=16),
)
ROUTING = RoutingSpec(
    deadline_ms=250.0,
    retry=RetryRules(most=3),
    breaker=BreakerRules(window=9),
    hedge=HedgeRules(),
    probe=ProbeRules(),
    preroute=PreRouteRules(min_gain=0.3),
    device=(DeviceRule(name="hot", throttled=True),),
    budget=BudgetRules(path="spent", total=SpendingLimit(usd_per_day=1.0)),
    offline=OfflineRules(path="queue"),
)


@pytest.fixture
def profile() -> Profile:
    target = Target(
        cpu="x",
        cpu_features=(),
        cores=1,
        threads=1,
        memory_bytes=1,
        runtime="r",
        runtime_version="1",
    )
    return Profile(
        bundle_sha256="ab" * 32,
        target=target,
        p50_ms=1.0,
        p95_ms=2.0,
        p99_ms=3.0,
        peak_memory_bytes=1,
        cold_start_ms=1.0,
        load_ms=1.0,
        size_bytes=1,
        buckets=(),
        n=1,
    )


def made(spec: ProjectSpec, profile: Profile) -> Policy:
    return make_policy(spec, ("a", "b"), profile, CERTIFICATE, ConfidenceMap())


def test_every_rule_of_the_spec_is_the_policys(profile: Profile) -> None:
    policy = encode(made(replace(SPEC, routing=ROUTING), profile))

    said = encode(ROUTING)
    assert {name: policy[name] for name in said} == said


def test_the_tiers_take_their_bulkheads(profile: Profile) -> None:
    tiers = made(SPEC, profile).tiers

    assert [(tier.name, tier.max_in_flight, tier.group) for tier in tiers] == [
        ("edge", 4, ""),
        ("cloud", 16, ""),
    ]


def test_equals_of_the_cloud_are_tiers_of_its_group(profile: Profile) -> None:
    assert SPEC.cloud is not None
    cloud = replace(SPEC.cloud, equals={"west": "https://west"})

    _, east, west = made(replace(SPEC, cloud=cloud), profile).tiers

    assert east.group == "cloud"
    assert west == replace(east, name="west", endpoint="https://west")


def test_without_a_cloud_there_is_the_edge_alone(profile: Profile) -> None:
    assert [tier.name for tier in made(replace(SPEC, cloud=None), profile).tiers] == ["edge"]
