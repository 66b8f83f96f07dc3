"""Plans of a workload whose sums fit on the back of an envelope."""

from dataclasses import replace
from pathlib import Path

import pytest
from plan_numbers import KNOWN, MIB, PROFILE, basis

from edgewise.plan import basis_of, measured, plan_from
from edgewise.records import (
    Certificate,
    CertificateState,
    CloudTier,
    DataSpec,
    EdgeTier,
    Energy,
    Loss,
    ModelSpec,
    Objective,
    Option,
    Origin,
    Plan,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    Profile,
    ProjectSpec,
    Quality,
    Task,
    TierKind,
    Workload,
)

# 100 devices of 48 USD over 24 months are 200 USD a month; a million calls are 2,000 USD.
SPEC = ProjectSpec(
    name="tiny",
    task=Task.TEXT_CLASSIFICATION,
    model=ModelSpec(source=Path("model")),
    data=DataSpec(train=Path("a"), calibration=Path("b"), test=Path("c")),
    edge=EdgeTier(memory_bytes=256 * MIB, storage_bytes=64 * MIB),
    cloud=CloudTier(usd_per_request=0.002, rtt_p50_ms=60, rtt_p95_ms=180),
    objective=Objective(latency_p95_ms=200, max_quality_loss=0.02),
    workload=Workload(requests_per_month=1_000_000, devices=100, device_usd=48),
)
CERTIFICATE = Certificate(
    state=CertificateState.CERTIFIED,
    loss=Loss.NET,
    alpha=0.02,
    delta=0.05,
    n=1000,
    threshold=0.8,
    deferral_rate=0.25,
    bound=0.015,
)
QUALITY = Quality(metric="accuracy", edge=0.90, cloud=0.95, hybrid=0.94, source=0.91, n=500)


def make(
    spec: ProjectSpec = SPEC,
    profile: Profile = PROFILE,
    certificate: Certificate = CERTIFICATE,
    quality: Quality = QUALITY,
) -> Plan:
    return plan_from(basis_of(spec), measured(profile, certificate, quality))


def option(found: Plan, name: str) -> Option:
    return next(one for one in found.options if one.name == name)


def test_the_cheapest_way_that_meets_the_objective_is_recommended() -> None:
    found = make()

    # The edge at 200 USD loses 5 points; the hybrid pays 200 USD and a quarter of 2,000 USD.
    assert found.choice == "hybrid"
    assert found.feasible
    assert found.monthly_usd.edge == pytest.approx(200)
    assert found.monthly_usd.cloud == pytest.approx(2000)
    assert found.monthly_usd.hybrid == pytest.approx(700)
    assert found.recommendation == (
        "Run hybrid: at 1,000,000 requests a month it costs 700 USD a month, "
        "1,300 USD less than always asking the cloud."
    )
    assert found.reasons == (
        "edge: quality binds: it loses 5.0% against the cloud, and 2.0% is allowed",
    )


def test_the_hybrid_breaks_even_where_its_own_calls_are_paid_too() -> None:
    # 200 USD over the three quarters of 0.002 USD that stay unspent.
    assert make().break_even_requests_per_month == pytest.approx(200 / 0.0015)


def test_an_edge_that_loses_little_is_taken_alone() -> None:
    found = make(quality=replace(QUALITY, edge=0.94))

    assert found.choice == "edge"
    assert found.recommendation.startswith("Run on the edge: at 1,000,000 requests a month")
    assert "1,800 USD less than always asking the cloud" in found.recommendation
    assert found.break_even_requests_per_month == pytest.approx(200 / 0.002)
    assert found.reasons == ()


def test_few_requests_are_cheaper_in_the_cloud() -> None:
    few = replace(SPEC, workload=replace(SPEC.workload, requests_per_month=1000))

    found = make(few)

    assert found.choice == "cloud"
    assert found.recommendation == (
        "Use the cloud: at 1,000 requests a month it costs 2.00 USD a month, "
        "the least of what meets the objective."
    )


def test_a_dearer_edge_is_called_dearer_where_privacy_rules_the_cloud_out() -> None:
    private = replace(
        SPEC,
        privacy=PrivacyRules(detect=("email",)),
        workload=replace(SPEC.workload, requests_per_month=2000),
    )

    found = make(private)

    assert found.choice == "hybrid"
    assert "197 USD more than always asking the cloud" in found.recommendation
    assert option(found, "cloud").reasons == (
        "privacy binds: some requests may not leave the device",
    )


def test_residency_rules_the_cloud_out_too() -> None:
    resident = replace(SPEC, privacy=PrivacyRules(residency={"eu": ("edge",)}))

    assert not option(make(resident), "cloud").feasible


def test_what_does_not_fit_the_device_is_said_with_both_sizes() -> None:
    heavy = replace(PROFILE, peak_memory_bytes=512 * MIB, size_bytes=128 * MIB)

    found = make(profile=heavy)

    for name in ("edge", "hybrid"):
        memory, storage = option(found, name).reasons[:2]
        assert memory == "memory binds: it peaks at 512.0 MiB of 256.0 MiB"
        assert storage == "storage binds: 128.0 MiB of 64.0 MiB"
    assert found.choice == "cloud"


def test_a_device_without_limits_binds_nothing() -> None:
    found = make(replace(SPEC, edge=EdgeTier()), quality=replace(QUALITY, edge=0.95))

    assert option(found, "edge").feasible


def test_each_way_is_held_against_the_latency_asked_for() -> None:
    hasty = replace(SPEC, objective=replace(SPEC.objective, latency_p95_ms=15))

    found = make(hasty)

    assert found.choice is None
    assert not found.feasible
    assert found.recommendation == (
        "Nothing meets the objective (edge: latency binds: p95 is 20 ms, and 15 ms is asked)."
    )
    assert all("latency binds" in one.reasons[0] for one in found.options)
    assert found.break_even_requests_per_month == pytest.approx(200 / 0.002)


def test_no_latency_asked_for_binds_nothing() -> None:
    patient = replace(SPEC, objective=replace(SPEC.objective, latency_p95_ms=None))

    assert option(make(patient, replace(PROFILE, p95_ms=90_000.0)), "hybrid").feasible


def test_without_a_certificate_the_hybrid_is_no_choice() -> None:
    none = replace(
        CERTIFICATE, state=CertificateState.UNCERTIFIED, threshold=None, deferral_rate=1.0
    )

    found = make(certificate=none)

    assert option(found, "hybrid").reasons == (
        "quality binds: there is no certificate, so every answer that may leave is deferred",
    )
    assert option(found, "hybrid").monthly_usd == pytest.approx(2200)


def test_without_a_cloud_there_is_the_edge_alone() -> None:
    alone = replace(SPEC, cloud=None)

    found = make(alone, quality=replace(QUALITY, cloud=None, hybrid=None))

    assert [one.name for one in found.options] == ["edge"]
    assert found.recommendation == (
        "Run on the edge: at 1,000,000 requests a month it costs 200 USD a month."
    )
    assert found.break_even_requests_per_month is None
    assert found.monthly_usd.cloud is None
    assert found.monthly_usd.hybrid is None
    assert all(point.cloud is None and point.hybrid is None for point in found.curve)
    assert not any("cloud" in figure.name for figure in found.figures)


def test_a_cloud_whose_answers_were_not_seen_has_no_loss_to_compare() -> None:
    found = make(quality=replace(QUALITY, cloud=None, hybrid=None))

    assert option(found, "edge").quality_loss is None
    assert option(found, "hybrid").quality_loss is None
    assert option(found, "edge").feasible


def test_the_curve_spans_the_volume_and_the_crossing_and_adds_up() -> None:
    found = make()
    crossing = found.break_even_requests_per_month

    assert crossing is not None
    volumes = [point.requests_per_month for point in found.curve]
    assert volumes[0] == pytest.approx(crossing / 10)
    assert volumes[-1] == pytest.approx(10_000_000)
    for point in found.curve:
        assert point.edge == pytest.approx(200)
        assert point.cloud == pytest.approx(point.requests_per_month * 0.002)
        assert point.hybrid == pytest.approx(200 + point.requests_per_month * 0.0005)


def test_a_free_cloud_has_no_crossing_and_still_a_curve() -> None:
    found = make(replace(SPEC, cloud=replace(SPEC.cloud or CloudTier(), usd_per_request=0.0)))

    assert found.break_even_requests_per_month is None
    assert found.choice == "cloud"
    volumes = [point.requests_per_month for point in found.curve]
    assert volumes[0] == pytest.approx(100_000)
    assert volumes[-1] == pytest.approx(10_000_000)


def test_every_figure_says_where_it_is_from() -> None:
    figures = {figure.name: figure for figure in make().figures}

    assert figures["edge latency p95"].origin is Origin.MEASURED
    assert figures["edge latency p95"].value == 20
    assert figures["cloud price"].origin is Origin.GIVEN
    assert figures["hours"].origin is Origin.ASSUMED
    assert figures["shape of latencies"].origin is Origin.ASSUMED
    assert all(figure.source for figure in figures.values())


def test_peak_memory_of_made_up_inputs_is_called_assumed() -> None:
    own = measured(PROFILE, CERTIFICATE, QUALITY).figures
    made_up = measured(replace(PROFILE, inputs="generated"), CERTIFICATE, QUALITY).figures

    kept = {one.name: one for one in own}["peak memory"]
    other = {one.name: one for one in made_up}["peak memory"]
    assert kept.origin is Origin.MEASURED
    assert other.origin is Origin.ASSUMED
    assert other.source == "of generated inputs, not the workload's own"


def test_energy_that_was_measured_is_a_figure() -> None:
    counted = Energy(joules_per_request=0.3, origin="measured", how="RAPL")

    found = measured(replace(PROFILE, energy=counted), CERTIFICATE, QUALITY)

    assert found.joules_per_request == 0.3
    assert {one.name: one.source for one in found.figures}["energy of an answer"] == "RAPL"


def test_a_void_certificate_promises_nothing_and_keeps_nothing() -> None:
    found = make(certificate=replace(CERTIFICATE, state=CertificateState.VOID))

    hybrid = option(found, "hybrid")
    assert not hybrid.feasible
    assert "its certificate is void" in hybrid.reasons[0]
    # 200 USD of devices, and all requests go to the cloud for 2,000.
    assert hybrid.monthly_usd == pytest.approx(2200)
    share = {one.name: one for one in found.figures}["share deferred"]
    assert (share.value, share.origin) == (1.0, Origin.ASSUMED)
    assert found.threshold is None


REDACTING = PrivacyActions(by_kind={"email": PrivacyAction.REDACT})


@pytest.mark.parametrize(
    ("rules", "options"),
    [
        (PrivacyRules(detect=("email",)), ["edge", "hybrid"]),
        (PrivacyRules(detect=("email",), actions=REDACTING), ["edge", "cloud", "hybrid"]),
        (PrivacyRules(detect=("email", "ip"), actions=REDACTING), ["edge", "hybrid"]),
        (PrivacyRules(residency={"eu": ("edge", "east")}), ["edge", "cloud", "hybrid"]),
        (PrivacyRules(residency={"eu": ("edge",), "us": ("cloud",)}), ["hybrid"]),
        (PrivacyRules(residency={"us": ("cloud",)}), ["cloud", "hybrid"]),
        (PrivacyRules(residency={"eu": ()}), []),
    ],
)
def test_an_option_is_out_only_where_its_tiers_may_not_see_some_requests(
    rules: PrivacyRules, options: list[str]
) -> None:
    cloud = CloudTier(usd_per_request=0.002, endpoint="https://a", equals={"east": "https://b"})
    given = replace(basis(), cloud=cloud, privacy=rules)

    found = plan_from(given, KNOWN)

    assert [one.name for one in found.options if one.feasible] == options
    assert all("privacy binds" in one.reasons[0] for one in found.options if not one.feasible)


def test_what_stays_on_the_device_rules_out_a_site_that_answers_for_it() -> None:
    site = replace(basis(), edge=EdgeTier(kind=TierKind.SITE))

    kept = plan_from(replace(site, privacy=PrivacyRules(detect=("email",))), KNOWN)
    redacted = PrivacyRules(detect=("email",), actions=REDACTING)

    assert kept.choice is None
    assert {one.reasons for one in kept.options} == {
        ("privacy binds: some requests may not leave the device",)
    }
    assert plan_from(replace(site, privacy=redacted), KNOWN).feasible
