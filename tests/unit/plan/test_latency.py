"""Percentiles and curves of latency, held to sums that need no code."""

from dataclasses import replace

import plan_numbers
import pytest
from plan_numbers import basis

from edgewise.plan import plan_from
from edgewise.plan.latency import latency_curves, mean_ms, mixture_p95, mixture_quantile, quantile
from edgewise.records import (
    LATENCY_SHARES,
    CloudCosts,
    CloudTier,
    Costs,
    EdgeTier,
    Objective,
    OptionReplay,
    ServiceFormula,
    TraceReplay,
)

KNOWN = replace(
    plan_numbers.KNOWN, peak_memory_bytes=None, size_bytes=None, edge_loss=None, hybrid_loss=None
)


def test_a_hybrid_between_its_tiers_is_between_their_latencies() -> None:
    edge, cloud = (2.0, 4.0), (60.0, 180.0)

    assert mixture_p95(edge, cloud, 0.0) == pytest.approx(4.0, rel=1e-6)
    assert mixture_p95(edge, cloud, 1.0) == pytest.approx(182.0, rel=1e-6)
    assert 4.0 < mixture_p95(edge, cloud, 0.08) < 182.0
    assert mixture_p95((5.0, 5.0), cloud, 0.0) == pytest.approx(5.0, rel=1e-6)


def test_a_lognormal_tier_goes_through_its_p50_and_p95() -> None:
    assert quantile((10.0, 40.0), 0.5) == pytest.approx(10.0)
    assert quantile((10.0, 40.0), 0.95) == pytest.approx(40.0)
    assert quantile((10.0, 40.0), 0.05) == pytest.approx(2.5)
    assert quantile((7.0, 7.0), 0.99) == 7.0


def test_the_mean_of_a_tier_lies_between_its_median_and_its_p95() -> None:
    # σ = ln 4 / 1.645 = 0.843, and exp(σ² / 2) = 1.426.
    assert mean_ms((10.0, 40.0)) == pytest.approx(14.26, abs=0.01)
    assert mean_ms((7.0, 7.0)) == 7.0
    assert mean_ms((1.0, 1e300)) == 1e300


def test_a_hybrids_curve_is_the_edges_until_what_is_kept_runs_out() -> None:
    # Constant tiers of 1 and 100 ms: 3 of 4 answers take 1 ms, the others 101.
    tiers = ((1.0, 1.0), (100.0, 100.0))

    assert mixture_quantile(*tiers, 0.25, 0.74) == pytest.approx(1.0)
    assert mixture_quantile(*tiers, 0.25, 0.76) == pytest.approx(101.0)


def test_each_option_has_a_curve_and_the_hybrids_p95_is_the_plans() -> None:
    near, far, hybrid = latency_curves(basis(), KNOWN)

    assert [one.option for one in (near, far, hybrid)] == ["edge", "cloud", "hybrid"]
    assert dict(near.points)[0.95] == pytest.approx(20.0)
    assert dict(far.points)[0.95] == pytest.approx(180.0)
    assert dict(hybrid.points)[0.95] == mixture_p95((10, 20), (60, 180), 0.25)
    assert [share for share, _ in hybrid.points] == list(LATENCY_SHARES)
    assert not any(one.is_measured for one in (near, far, hybrid))


def test_timed_answers_stand_for_themselves() -> None:
    timed = replace(KNOWN, latency_quantiles=((0.5, 10.0), (0.95, 20.0)))

    near, *others = latency_curves(basis(), timed)

    assert (near.points, near.is_measured) == (timed.latency_quantiles, True)
    assert not any(one.is_measured for one in others)


def test_what_a_tiers_service_takes_is_in_its_latency_without_a_trace_too() -> None:
    costs = Costs(cloud=CloudCosts(input_tokens=100.0, output_tokens=50.0))
    service = ServiceFormula(base_ms=200.0, per_input_token_ms=1.0, per_output_token_ms=20.0)
    given = basis(costs)
    cloud = replace(given.cloud or CloudTier(), service=service)
    slow = replace(given, cloud=cloud, objective=Objective(latency_p95_ms=1000.0))

    near, far, hybrid = latency_curves(slow, KNOWN)
    options = {one.name: one for one in plan_from(slow, KNOWN).options}

    # 200 + 100 + 1000 ms beside a round trip of 180; a quarter of the hybrid's pay them.
    assert dict(near.points)[0.95] == pytest.approx(20.0)
    assert dict(far.points)[0.95] == pytest.approx(1480.0)
    assert options["cloud"].latency_p95_ms == pytest.approx(1480.0)
    assert options["cloud"].reasons == ("latency binds: p95 is 1.48 s, and 1 s is asked",)
    assert options["hybrid"].latency_p95_ms == dict(hybrid.points)[0.95]
    assert 1310.0 < dict(hybrid.points)[0.95] < 1490.0


def test_an_edge_that_nobody_timed_is_as_its_service_says() -> None:
    unknown = replace(KNOWN, p50_ms=None, p95_ms=None)
    edge = EdgeTier(service=ServiceFormula(base_ms=300.0))
    given = replace(basis(), edge=edge, objective=Objective(latency_p95_ms=200.0))

    near, _, hybrid = latency_curves(given, unknown)
    found = plan_from(given, unknown)

    assert dict(near.points)[0.25] == dict(near.points)[0.95] == pytest.approx(300.0)
    assert found.options[0].reasons == ("latency binds: p95 is 300 ms, and 200 ms is asked",)
    assert found.options[2].latency_p95_ms == dict(hybrid.points)[0.95]
    assert not any("latency is neither" in one for one in found.warnings)


def test_what_nobody_knows_has_no_curve() -> None:
    unknown = replace(KNOWN, p50_ms=None)

    assert [one.option for one in latency_curves(basis(), unknown)] == ["cloud"]
    assert latency_curves(replace(basis(), cloud=None), unknown) == ()


def test_a_replay_goes_before_every_formula_where_it_has_answers() -> None:
    points = ((0.5, 15.0), (0.95, 40.0))
    replay = TraceReplay(
        trace="requests.csv",
        requests=10,
        span_s=1.0,
        per_s=9.0,
        gap_cv2=158.0,
        peak_ratio=None,
        input_tokens=1.0,
        output_tokens=1.0,
        options=(OptionReplay(option="edge", points=points), OptionReplay(option="hybrid")),
    )

    near, far, hybrid = latency_curves(basis(), replace(KNOWN, replay=replay))

    assert (near.origin, near.points, near.arrival_cv2) == ("simulated", points, 158.0)
    assert (far.origin, hybrid.origin) == ("assumed", "assumed")
    assert (far.arrival_cv2, hybrid.arrival_cv2) == (0.0, 0.0)


def test_a_replay_knows_what_no_formula_does() -> None:
    one = OptionReplay(option="edge", points=((0.5, 15.0), (0.95, 40.0)))
    replay = TraceReplay(
        trace="requests.csv",
        requests=10,
        span_s=0.0,
        per_s=None,
        gap_cv2=None,
        peak_ratio=None,
        input_tokens=1.0,
        output_tokens=1.0,
        options=(one,),
    )

    found = latency_curves(basis(), replace(KNOWN, p50_ms=None, replay=replay))

    assert [(one.option, one.arrival_cv2) for one in found] == [("edge", None), ("cloud", 0.0)]
