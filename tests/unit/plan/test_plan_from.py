"""What a plan says beyond its options: figures, warnings, certainty, trade-offs."""

from dataclasses import replace
from typing import Any

import pytest
from plan_numbers import KNOWN, basis

from edgewise.errors import UsageError
from edgewise.plan import Evidence, assumed, plan_from
from edgewise.plan.planning import model_of
from edgewise.records import (
    BY_DEFAULT,
    Assumptions,
    Certificate,
    CertificateState,
    CloudCosts,
    CloudTier,
    Costs,
    Distribution,
    EdgeCosts,
    EdgeTier,
    Energy,
    Loss,
    Objective,
    OptionReplay,
    Origin,
    PlanBasis,
    PrivacyRules,
    ServiceFormula,
    Shape,
    TierKind,
    TraceReplay,
    Tradeoff,
)

PRICE, VOLUME = "workload.device_usd", "workload.requests_per_month"
CERTIFICATE = Certificate(
    state=CertificateState.CERTIFIED,
    loss=Loss.NET,
    alpha=0.02,
    delta=0.05,
    n=500,
    threshold=0.8,
    deferral_rate=0.25,
    bound=0.01,
)


def triangular(low: float, mode: float, high: float) -> Distribution:
    return Distribution(shape=Shape.TRIANGULAR, low=low, mode=mode, high=high)


def costs(**parts: object) -> Costs:
    return replace(Costs(), **parts)  # type: ignore[arg-type]


def warned(given: PlanBasis, evidence: Evidence = KNOWN) -> str:
    return "; ".join(plan_from(given, evidence).warnings)


def test_a_plan_adds_up_its_bill_and_its_cash() -> None:
    found = plan_from(basis(), KNOWN)

    bill = {one.option: 0.0 for one in found.bill}
    for one in found.bill:
        bill[one.option] += one.usd_per_month
    assert bill == {
        "edge": pytest.approx(200),
        "cloud": pytest.approx(2000),
        "hybrid": pytest.approx(700),
    }
    assert found.cash[-1].discounted_total_usd["edge"] == pytest.approx(4800)
    assert found.flip is not None
    assert found.flip.devices == pytest.approx(1000)
    assert found.own_option == "edge"
    assert found.warnings == ()


def test_without_distributions_every_number_is_taken_as_exact() -> None:
    found = plan_from(basis(), KNOWN).certainty

    assert found is not None
    assert (found.draws, found.spreads) == (0, ())
    assert found.notes == ("every number is taken as exact: none is a distribution",)


def test_a_share_measured_on_few_rows_is_uncertain_by_itself() -> None:
    found = plan_from(basis(), replace(KNOWN, deferral_rows=100, edge_loss=0.5)).certainty

    assert found is not None
    assert [one.name for one in found.swings] == ["costs.assume.deferral_share"]
    # 1.645 standard errors of 0.0433 on both sides.
    assert found.swings[0].low == pytest.approx(0.25 - 0.0712, abs=1e-3)
    assert found.swings[0].high == pytest.approx(0.25 + 0.0712, abs=1e-3)
    assert not found.swings[0].flips


def test_a_measured_share_goes_before_one_that_is_assumed() -> None:
    wide = {"costs.assume.deferral_share": triangular(0, 0.5, 1)}

    found = plan_from(basis(costs(uncertain=wide)), replace(KNOWN, deferral_rows=10_000))

    assert found.certainty is not None
    assert found.certainty.swings[0].high < 0.3


def test_draws_say_how_often_each_option_is_cheapest_and_what_to_measure_first() -> None:
    # The cloud costs 0.002 a request, the fleet 200 USD: they cross at 100,000.
    unsure = {VOLUME: triangular(50_000, 90_000, 190_000), PRICE: triangular(47, 48, 49)}

    found = plan_from(basis(costs(uncertain=unsure), requests_per_month=90_000), KNOWN)

    certain = found.certainty
    assert certain is not None
    assert found.choice == "cloud"
    names = [one.option for one in certain.spreads]
    assert names[0] == "cloud"
    assert sum(one.cheapest_share for one in certain.spreads) == pytest.approx(1)
    # The triangle's share below 100,000 is 1 - 90² / (140 · 100) = 0.421.
    assert certain.spreads[0].cheapest_share == pytest.approx(0.421, abs=0.015)
    assert [one.name for one in certain.swings] == [VOLUME, PRICE]
    assert certain.swings[0].flips
    assert certain.swings[0].first_order > 0.95
    assert certain.swings[0].worth_usd_per_month == pytest.approx(
        certain.worth_usd_per_month, rel=0.05
    )
    assert certain.notes[0].startswith("on average over the draws edge is cheaper than cloud, by ")


def test_without_a_cloud_its_numbers_are_not_drawn() -> None:
    unsure = {"tiers.cloud.usd_per_request": triangular(1, 2, 3), PRICE: triangular(40, 48, 60)}
    alone = replace(basis(costs(uncertain=unsure)), cloud=None)

    found = plan_from(alone, replace(KNOWN, deferral_rows=50))

    assert found.certainty is not None
    assert [one.name for one in found.certainty.swings] == [PRICE]
    assert not found.certainty.swings[0].flips
    assert found.flip is None
    assert found.certainty.worth_usd_per_month == 0


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        plan_from(basis(), KNOWN, draws=5)

    assert caught.value.where == "draws"


def test_before_anything_is_measured_a_plan_stands_on_what_is_assumed() -> None:
    assume = Assumptions(
        p50_ms=10, p95_ms=20, deferral_share=0.2, edge_quality_loss=0.5, hybrid_quality_loss=0.01
    )

    found = plan_from(basis(costs(assume=assume)), assumed(assume))

    assert found.choice == "hybrid"
    assert found.monthly_usd.hybrid == pytest.approx(200 + 400)
    figures = {one.name: one for one in found.figures}
    assert figures["edge latency p95"].origin is Origin.ASSUMED
    assert figures["share deferred"].source == "costs.assume"
    assert "peak memory" not in figures


@pytest.mark.parametrize(("loss", "feasible"), [(0.02, True), (0.1, False)])
def test_a_loss_that_the_hybrid_is_assumed_to_have_is_held_to_the_objective(
    loss: float, feasible: bool
) -> None:
    assume = Assumptions(deferral_share=0.2, hybrid_quality_loss=loss)

    hybrid = plan_from(basis(costs(assume=assume)), assumed(assume)).options[2]

    assert hybrid.feasible is feasible
    words = "quality binds: it loses 10.0% against the cloud, and 2.0% is allowed"
    assert hybrid.reasons == (() if feasible else (words,))


def test_a_hybrid_whose_loss_nobody_assumes_is_doubted() -> None:
    assume = Assumptions(deferral_share=0.2, edge_quality_loss=0.1)
    words = "the hybrid's loss against the cloud is neither measured nor assumed"

    assert words in plan_from(basis(costs(assume=assume)), assumed(assume)).warnings
    certified = replace(KNOWN, deferral_rows=500, hybrid_loss=None)
    assert words not in plan_from(basis(), certified).warnings


def test_what_a_certificate_promises_is_not_held_to_the_test_splits_noise() -> None:
    certified = replace(KNOWN, deferral_rows=500, hybrid_loss=0.021)

    assert plan_from(basis(), certified).options[2].feasible


def test_what_is_neither_measured_nor_assumed_is_said() -> None:
    strict = replace(
        basis(), objective=Objective(latency_p95_ms=50), edge=EdgeTier(memory_bytes=2**20)
    )

    found = plan_from(strict, assumed(strict.costs.assume))

    assert found.warnings == (
        "the edge's latency is neither measured nor assumed, so nothing is held against it",
        "peak memory is neither measured nor assumed, so nothing is held against it",
        "the edge's loss against the cloud is neither measured nor assumed",
    )
    hybrid = found.options[2]
    assert hybrid.latency_p95_ms is None
    assert "no certificate" in hybrid.reasons[0]


@pytest.mark.parametrize(
    ("read", "made", "warned_of"),
    [(2000.0, 300.0, True), (20.0, 10.0, True), (150.0, 50.0, False), (0.0, 0.0, False)],
)
def test_a_trace_of_other_tokens_than_the_bills_is_warned_of(
    read: float, made: float, *, warned_of: bool
) -> None:
    priced = CloudCosts(
        input_tokens=100.0,
        output_tokens=50.0,
        usd_per_million_input_tokens=2.0,
        usd_per_million_output_tokens=8.0,
    )
    replay = TraceReplay(
        trace="day.csv",
        requests=1000,
        span_s=2600.0,
        per_s=0.38,
        gap_cv2=1.0,
        peak_ratio=None,
        input_tokens=read,
        output_tokens=made,
    )
    words = (
        f"latencies and load are those of day.csv, with {read:.4g} input and {made:.4g} output "
        "tokens a request, and the bill is of costs.cloud.input_tokens 100 and output_tokens 50"
    )

    seen = replace(KNOWN, replay=replay)

    assert (words in plan_from(basis(costs(cloud=priced)), seen).warnings) is warned_of
    assert words not in plan_from(basis(), seen).warnings


def test_regions_that_the_cloud_alone_may_see_are_said_to_be_in_no_cost_of_the_hybrid() -> None:
    homes = {"eu": ("cloud",), "uk": ("east",), "us": ("edge", "cloud"), "cn": ("edge",), "": ()}
    known = basis()
    cloud = replace(known.cloud or CloudTier(), equals={"east": "https://east"})
    resident = replace(known, cloud=cloud, privacy=PrivacyRules(residency=homes))
    alone = replace(resident, cloud=None)

    assert plan_from(resident, KNOWN).warnings == (
        "eu, uk: the cloud alone may see these regions' requests, and how many there are is not "
        "known: the hybrid's cost, latency and energy are as if the edge answered them first",
    )
    assert plan_from(alone, KNOWN).warnings == ()


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (2.0, "looks like the price of a thousand or a million requests"),
        (2.5e-7, "2.5e-07 USD looks like the price of a token"),
    ],
)
def test_a_price_of_a_request_in_another_unit_is_warned_of(price: float, words: str) -> None:
    assert words in warned(replace(basis(), cloud=CloudTier(usd_per_request=price)))


def test_a_price_per_token_in_place_of_a_million_is_warned_of() -> None:
    mixed = CloudCosts(input_tokens=100, usd_per_million_input_tokens=0.002)

    words = warned(basis(costs(cloud=mixed)))

    assert (
        "costs.cloud.usd_per_million_input_tokens: 0.002 USD per million tokens looks like a "
        "price per token or per thousand: per million, 0.002 a token is 2,000"
    ) in words


@pytest.mark.parametrize(
    ("cloud", "words"),
    [
        (CloudCosts(usd_per_million_output_tokens=10), "tokens have a price and a request has"),
        (CloudCosts(output_tokens=10), "requests have tokens without a price"),
        (CloudCosts(usd_per_gpu_hour=1), "servers have a price and no work"),
    ],
)
def test_half_a_price_is_warned_of(cloud: CloudCosts, words: str) -> None:
    assert words in warned(basis(costs(cloud=cloud)))


def test_a_rate_in_percent_is_warned_of() -> None:
    assert "costs.discount_rate_per_year: 8 looks like percent: 0.08 is 8 % a year" in warned(
        basis(costs(discount_rate_per_year=8))
    )


def test_a_trace_of_few_requests_is_told() -> None:
    short, long = (replace(KNOWN, replay=replayed(requests=n)) for n in (99, 100))

    assert "those of r.csv, whose 99 requests are few" in warned(basis(), short)
    assert "are few" not in warned(basis(), long)


def test_cents_and_no_traffic_are_warned_of() -> None:
    words = warned(basis(requests_per_month=0.0, usd_per_kwh=15.0))

    assert "workload.usd_per_kwh: 15 USD looks like cents" in words
    assert "there are no requests" in words


def test_devices_that_are_brought_more_than_they_can_do_are_said_to_be_unstable() -> None:
    # 730 hours are 2.628 M seconds: 100 devices of 10 ms do 26.28 G requests.
    busy = Evidence(
        p50_ms=10.0,
        p95_ms=10.0,
        peak_memory_bytes=None,
        size_bytes=None,
        edge_loss=0.0,
        hybrid_loss=0.0,
        deferral_share=0.1,
    )

    below, above = (
        plan_from(basis(requests_per_month=volume), busy) for volume in (26.2e9, 2 * 26.28e9)
    )

    assert [one.name for one in below.options if one.feasible] == ["edge", "cloud", "hybrid"]
    assert [one.name for one in above.options if one.feasible] == ["cloud"]
    words = (
        "load binds: the edge is unstable at the month's mean, for its 100 devices are brought 2 "
        "times what they can do"
    )
    assert f"edge: {words}" in above.reasons
    assert f"hybrid: {words}" in above.reasons


def replayed(*options: OptionReplay, **changes: object) -> TraceReplay:
    one = TraceReplay(
        trace="r.csv",
        requests=100,
        span_s=100.0,
        per_s=1.0,
        gap_cv2=9.0,
        peak_ratio=None,
        input_tokens=1.0,
        output_tokens=1.0,
        options=options,
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def test_an_option_is_held_to_its_replay_and_not_to_a_formula() -> None:
    late = replace(basis(), objective=Objective(latency_p95_ms=190.0))
    told = {"edge": 250.0, "cloud": 185.0, "hybrid": 195.0, "hybrid at 50%": 188.0}
    options = [OptionReplay(option=name, points=((0.95, ms),)) for name, ms in told.items()]
    known = replace(KNOWN, deferral_curve=((0.5, 0.0), (0.9, 0.0)), replay=replayed(*options))

    found = plan_from(late, known)

    assert [one.latency_p95_ms for one in found.options] == [250.0, 185.0, 195.0]
    assert [one.name for one in found.options if one.feasible] == ["cloud"]
    assert "edge: latency binds: p95 is 250 ms, and 190 ms is asked" in found.reasons
    others = {one.option: one.latency_p95_ms for one in found.tradeoffs}
    assert others["hybrid at 50%"] == 188.0
    assert others["hybrid at 90%"] is not None
    assert found.replay == known.replay


def test_a_tier_that_a_replay_finds_unstable_is_named() -> None:
    swamped = OptionReplay(option="cloud", unstable={"cloud": 1.25})

    found = plan_from(basis(), replace(KNOWN, replay=replayed(swamped)))

    words = "load binds: cloud is unstable in the replay of r.csv, which brings it 1.25 times what "
    assert f"cloud: {words}it can do" in found.reasons
    assert [one.name for one in found.options if one.feasible] == ["edge", "hybrid"]


def test_a_trace_of_another_pace_than_the_months_is_told() -> None:
    # A million a month is 0.38 a second.
    words = "latencies are those of r.csv, with 1 requests a second, and workload"

    assert words in warned(basis(), replace(KNOWN, replay=replayed()))
    assert words in warned(basis(requests_per_month=6e6), replace(KNOWN, replay=replayed()))
    for volume, pace in ((2e6, 1.0), (5e6, 1.0), (1e6, None), (0.0, 1.0)):
        given = basis(requests_per_month=volume)
        assert "latencies" not in warned(given, replace(KNOWN, replay=replayed(per_s=pace)))


def test_arrivals_are_figures_given_by_a_trace_or_assumed() -> None:
    one = OptionReplay(option="cloud", assumed=("cloud: round trips are lognormal",))
    known = replace(KNOWN, replay=replayed(one))
    told, at_once, blind = (
        {figure.name: figure for figure in plan_from(basis(), each).figures}
        for each in (known, replace(known, replay=replayed(per_s=None, gap_cv2=None)), KNOWN)
    )

    name = "gaps between requests, CV²"
    assert (told[name].value, told[name].origin, told[name].source) == (9.0, Origin.GIVEN, "r.csv")
    assert told["pace of the trace"].value == 1.0
    assert told["the replay"].source == "cloud: round trips are lognormal"
    assert name not in at_once
    assert (blind[name].value, blind[name].origin) == (0.0, Origin.ASSUMED)


def test_numbers_of_the_file_have_figures_with_their_source() -> None:
    cloud = CloudCosts(usd_per_gpu_hour=1.5, gpu_s_per_request=0.1, arrival_cv2=8)
    given = replace(
        basis(costs(cloud=cloud), watts=5.0),
        sources={
            "costs.cloud.usd_per_gpu_hour": "table aws of 2026",
            "workload.usd_per_kwh": BY_DEFAULT,
        },
    )

    figures = {one.name: one for one in plan_from(given, KNOWN).figures}

    assert figures["costs.cloud.usd_per_gpu_hour"].source == "table aws of 2026"
    assert figures["costs.cloud.gpu_s_per_request"].source == "edgewise.yaml"
    assert figures["workload.usd_per_kwh"].origin is Origin.ASSUMED
    assert figures["cloud arrivals' CV²"].value == 8
    assert figures["cloud arrivals' CV²"].origin is Origin.ASSUMED
    assert "costs.edge.share" not in figures


def test_a_number_that_nobody_gave_is_assumed_by_the_default() -> None:
    places = ("workload.devices", "workload.horizon_months", "tiers.cloud.rtt_ms.p95")
    given = replace(basis(), sources=dict.fromkeys(places, BY_DEFAULT))
    lasting = replace(given, costs=costs(edge=EdgeCosts(lifetime_months=48)))

    figures = {one.name: one for one in plan_from(given, KNOWN).figures}
    longer = {one.name: one for one in plan_from(lasting, KNOWN).figures}

    for name in ("devices", "written off over", "cloud round trip p95"):
        assert (figures[name].origin, figures[name].source) == (Origin.ASSUMED, BY_DEFAULT)
    for name, source in (("requests", "workload"), ("cloud round trip p50", "tiers.cloud.rtt_ms")):
        assert (figures[name].origin, figures[name].source) == (Origin.GIVEN, source)
    life = longer["written off over"]
    assert (life.value, life.origin, life.source) == (48, Origin.GIVEN, "costs.edge")


def test_a_number_that_was_measured_or_is_anothers_is_not_called_given() -> None:
    tokens = CloudCosts(input_tokens=10, usd_per_million_input_tokens=2.5)
    given = basis(costs(cloud=tokens))

    found = plan_from(given, replace(KNOWN, joules_per_request=0.5)).figures
    said = plan_from(basis(costs(edge=EdgeCosts(joules_per_request=2))), KNOWN).figures
    cached = replace(tokens, usd_per_million_cached_tokens=0.5)
    priced = plan_from(basis(costs(cloud=cached)), KNOWN).figures

    names = {one.name for one in found}
    assert "costs.edge.joules_per_request" not in names
    assert "costs.cloud.usd_per_million_cached_tokens" not in names
    assert "costs.cloud.usd_per_million_cached_tokens" in {one.name for one in priced}
    # The energy of an answer is paid for, so its price is a figure.
    assert "workload.usd_per_kwh" in names
    assert {one.name: one.origin for one in said}["costs.edge.joules_per_request"] is Origin.GIVEN


def test_energy_measured_by_the_profile_is_paid_for() -> None:
    found = plan_from(basis(), replace(KNOWN, joules_per_request=3600.0))
    said = plan_from(
        basis(costs(edge=EdgeCosts(joules_per_request=7200.0))),
        replace(KNOWN, joules_per_request=3600.0),
    )

    # A million answers of 3,600 J are 1,000 kWh at 0.15 USD.
    assert found.monthly_usd.edge == pytest.approx(350)
    assert said.monthly_usd.edge == pytest.approx(500)
    assert Energy().joules_per_request is None


def test_what_a_device_draws_anyhow_is_not_in_the_energy_of_its_answers_too() -> None:
    # Counters saw 3,605 J in a second, of which the device draws 5 J without any work.
    timed = replace(KNOWN, joules_per_request=3605.0, p50_ms=1000.0, p95_ms=2000.0)
    spread = replace(timed, p50_ms=10.0, latency_quantiles=((0.0, 0.0), (0.5, 10.0), (1.0, 3980.0)))
    idle = replace(timed, joules_per_request=4.0)

    found = plan_from(basis(watts=5.0), timed)
    skewed = plan_from(basis(watts=5.0), spread)
    less = plan_from(basis(watts=5.0), idle)
    given = plan_from(basis(costs(edge=EdgeCosts(joules_per_request=3605.0)), watts=5.0), timed)

    # 100 devices of 5 W are 365 kWh, a million answers of 3,600 J are 1,000 kWh, at 0.15 USD.
    edge = {one.line: one.usd_per_month for one in found.bill if one.option == "edge"}
    assert edge["power"] == pytest.approx(54.75)
    assert edge["energy per request"] == pytest.approx(150)
    assert skewed.monthly_usd.edge == pytest.approx(found.monthly_usd.edge)
    assert less.monthly_usd.edge == pytest.approx(200 + 54.75)
    assert given.monthly_usd.edge == pytest.approx(200 + 54.75 + 1e6 * 3605 / 3.6e6 * 0.15)
    assert found.tradeoffs[0].joules_per_request == pytest.approx(365 * 3.6 + 3600)
    figures = {one.name: one for one in found.figures}
    assert figures["energy of an answer, beyond idle"].value == pytest.approx(3600)
    assert "energy of an answer, beyond idle" not in {one.name for one in given.figures}


def test_trade_offs_count_energy_carbon_and_what_leaves_the_device() -> None:
    edge = EdgeCosts(joules_per_request=36.0, grams_per_kwh=400)
    cloud = CloudCosts(joules_per_request=360.0, grams_per_kwh=200)

    near, far, both = plan_from(basis(costs(edge=edge, cloud=cloud), watts=1.0), KNOWN).tradeoffs

    idle = 100 * 730 * 3600 / 1e6
    assert near.joules_per_request == pytest.approx(idle + 36)
    assert far.joules_per_request == 360
    assert both.joules_per_request == pytest.approx(idle + 36 + 90)
    assert [one.exposed_share for one in (near, far, both)] == [0, 1, 0.25]
    # 1e6 requests of 360 J are 100 kWh.
    assert far.grams_per_month == pytest.approx(20_000)
    assert isinstance(near, Tradeoff)
    assert both.grams_per_month is not None


def test_what_goes_to_a_sites_server_has_left_the_device() -> None:
    known = basis()
    site = replace(known, edge=replace(known.edge, kind=TierKind.SITE))

    rows = plan_from(site, KNOWN).tradeoffs

    assert [one.exposed_share for one in rows] == [1, 1, 1]
    assert [one.far_share for one in rows] == [0, 1, 0.25]


def test_a_model_bends_by_what_the_basis_says() -> None:
    assert model_of(basis()).options == ("edge", "cloud", "hybrid")
    assert model_of(replace(basis(), cloud=None)).options == ("edge",)


def test_the_hybrid_at_other_thresholds_is_a_trade_off_beside_the_options() -> None:
    seen = replace(KNOWN, deferral_curve=((0.1, 0.03), (0.5, 0.0)))

    rows = plan_from(basis(), seen).tradeoffs

    assert [one.option for one in rows] == [
        "edge",
        "cloud",
        "hybrid",
        "hybrid at 10%",
        "hybrid at 50%",
    ]
    tenth, half = rows[3:]
    assert tenth.usd_per_month == pytest.approx(200 + 200)
    assert (tenth.exposed_share, tenth.quality_loss) == (0.1, 0.03)
    # A quarter deferred loses as little as half of them, and costs less.
    assert "hybrid" in half.beaten_by
    assert plan_from(replace(basis(), cloud=None), seen).tradeoffs[-1].option == "edge"


def test_prices_that_are_missing_are_asked_for() -> None:
    free = replace(basis(device_usd=0.0), cloud=CloudTier())
    lost = replace(basis(costs(cloud=CloudCosts(input_tokens=5))), cloud=None)

    assert plan_from(free, KNOWN).warnings == (
        "own devices have no price: give workload.device_usd, unless they are there anyhow",
        "the cloud has no price: give tiers.cloud.usd_per_request, or costs.cloud",
    )
    assert "costs.cloud is given and there is no tiers.cloud" in warned(lost)


def test_the_break_even_has_an_interval_where_the_bill_is_straight() -> None:
    # 100 devices of a price in 24..72 over 24 months, at 0.002 USD a request: 50,000 to 150,000.
    unsure = {PRICE: triangular(24, 48, 72)}
    never = {"tiers.cloud.usd_per_request": Distribution(shape=Shape.NORMAL, low=-1e-3, high=1e-3)}
    bent = costs(uncertain=unsure, cloud=CloudCosts(minimum_usd_per_month=1))

    found = plan_from(basis(costs(uncertain=unsure)), KNOWN).certainty
    rarely = plan_from(basis(costs(uncertain=never)), KNOWN).certainty
    bends = plan_from(basis(bent), KNOWN).certainty

    assert found is not None
    assert found.break_even is not None
    # The 5th percentile of the triangle is 24 + 24 · sqrt(0.1).
    low = 100_000 * (24 + 24 * 0.1**0.5) / 48
    assert found.break_even.p5_requests == pytest.approx(low, rel=0.02)
    assert found.break_even.p50_requests == pytest.approx(100_000, rel=0.02)
    assert found.break_even.p95_requests == pytest.approx(200_000 - low, rel=0.02)
    assert found.break_even.never_share == 0
    assert rarely is not None
    assert rarely.break_even is not None
    # Half of the normal lies below 0, where a price is moved to 0.
    assert rarely.break_even.never_share == pytest.approx(0.5, abs=0.02)
    assert rarely.break_even.p95_requests is None
    assert bends is not None
    assert bends.break_even is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"loss": Loss.REGRET, "delta": 0.01}, ""),
        ({"alpha": 0.1}, "a net loss of at most 10.000% at 0.95 confidence"),
        ({"delta": 0.2}, "a net loss of at most 2.000% at 0.8 confidence"),
    ],
)
def test_a_certificate_that_promises_less_than_is_asked_keeps_no_objective(
    changes: dict[str, Any], words: str
) -> None:
    certificate = replace(CERTIFICATE, **changes)
    certified = replace(KNOWN, edge_loss=0.5, deferral_rows=500, certificate=certificate)

    found = plan_from(basis(), certified)

    asked = "a net loss of at most 2.000% at 0.95 confidence is asked"
    expected = (f"quality binds: its certificate promises {words}, and {asked}",) if words else ()
    assert found.options[2].reasons == expected
    assert found.choice == ("cloud" if words else "hybrid")


def test_a_certificate_of_a_loss_that_says_nothing_of_the_one_asked_for_keeps_no_objective() -> (
    None
):
    certified = replace(KNOWN, deferral_rows=500, certificate=CERTIFICATE)
    asked = replace(basis(), objective=Objective(loss=Loss.KEPT_ERROR))

    reasons = plan_from(asked, certified).options[2].reasons

    assert reasons == (
        "quality binds: its certificate promises a net loss of at most 2.000% at 0.95 confidence, "
        "and a kept_error loss of at most 2.000% at 0.95 confidence is asked",
    )


def test_tokens_of_one_kind_without_a_price_are_warned_of() -> None:
    half = CloudCosts(input_tokens=100, output_tokens=50, usd_per_million_input_tokens=2.0)

    words = (
        "output tokens cost nothing, and the others do: give "
        "costs.cloud.usd_per_million_output_tokens"
    )
    assert words in warned(basis(costs(cloud=half)))
    assert words not in warned(basis(costs(cloud=replace(half, output_tokens=0.0))))


@pytest.mark.parametrize(("base_ms", "said"), [(4.0, True), (6.0, False), (100.0, True)])
def test_an_edge_that_was_timed_otherwise_than_its_service_says_is_warned_of(
    base_ms: float, said: bool
) -> None:
    served = replace(basis(), edge=EdgeTier(service=ServiceFormula(base_ms=base_ms)))

    words = warned(served)

    expected = f"tiers.edge.service takes {base_ms:g} ms for a request, and the edge's p50 is 10 ms"
    assert (expected in words) is said
