"""Crossings and flips of straight and of bent bills."""

from collections.abc import Mapping

import pytest
from plan_numbers import model, numbers

from edgewise.plan.cost import CostModel
from edgewise.plan.volume import crossing_of, curve_of, flip_of
from edgewise.records import VolumeDiscount

VOLUME = "workload.requests_per_month"


def bill(cost: CostModel, n: Mapping[str, float], option: str, volume: float) -> float:
    return float(cost.monthly(option, {**n, VOLUME: volume}))


@pytest.mark.parametrize("option", ["edge", "hybrid"])
def test_straight_bills_cross_where_they_are_equal(option: str) -> None:
    n = numbers({"costs.edge.joules_per_request": 3600.0, "costs.cloud.down_kb_per_request": 5.0})

    crossing = crossing_of(model(), n, option)

    assert crossing.requests_per_month is not None
    assert crossing.reasons == ()
    near, far = (bill(model(), n, o, crossing.requests_per_month) for o in (option, "cloud"))
    assert near == pytest.approx(far, rel=1e-12)


def test_a_cloud_cheaper_than_an_answer_of_the_edge_is_never_beaten() -> None:
    # An answer of 72 MJ is 20 kWh, or 3 USD.
    n = numbers({"costs.edge.joules_per_request": 72e6})

    crossing = crossing_of(model(), n, "edge")

    assert crossing.requests_per_month is None
    assert crossing.reasons == (
        "never: one more request costs 2.998 USD more on own devices than in the cloud, "
        "whose price is 0.002 USD",
    )


def test_the_clouds_price_of_a_request_has_its_tokens_in_it() -> None:
    n = numbers(
        {
            "costs.edge.joules_per_request": 3.6e6,
            "tiers.cloud.usd_per_request": 0.001,
            "costs.cloud.input_tokens": 1000.0,
            "costs.cloud.usd_per_million_input_tokens": 4.0,
        }
    )

    (reason,) = crossing_of(model(), n, "edge").reasons

    assert reason.endswith(
        "0.145 USD more on own devices than in the cloud, whose price is 0.005 USD"
    )


def test_where_nothing_costs_anything_there_is_no_crossing() -> None:
    free = numbers({"workload.device_usd": 0.0, "tiers.cloud.usd_per_request": 0.0})

    crossing = crossing_of(model(), free, "edge")

    assert crossing.requests_per_month is None
    assert crossing.reasons == ("neither the edge nor the cloud costs anything",)


def test_a_discount_can_make_the_cloud_cheaper_again() -> None:
    # 200 USD is crossed at 100,000 requests; 90 % off from 50,000 on moves that to 550,000.
    cut = CostModel(horizon_months=24, discounts=(VolumeDiscount(from_requests=50_000, share=0.9),))

    crossing = crossing_of(cut, numbers(), "edge")

    assert crossing.requests_per_month == pytest.approx(550_000)
    assert crossing.reasons == ()


def test_every_crossing_of_a_bent_bill_is_named() -> None:
    # The hybrid saves three quarters of the calls, but not of what nobody pays beyond 200,000.
    cut = CostModel(horizon_months=24, discounts=(VolumeDiscount(from_requests=200_000, share=1),))
    n = numbers({"workload.device_usd": 60.0})

    crossing = crossing_of(cut, n, "hybrid")

    first = 250 / 0.0015
    assert crossing.requests_per_month == pytest.approx(first)
    # 250 + v / 4 * 0.002 reaches the cloud's 400 USD at 300,000.
    assert crossing.reasons == (
        "the cloud's bill bends: the cheaper one changes at 166,667, 300,000 requests a month",
    )


def test_a_minimum_above_the_fleet_makes_own_devices_cheaper_from_the_first_request() -> None:
    n = numbers({"costs.cloud.minimum_usd_per_month": 500.0})

    crossing = crossing_of(model(), n, "edge")

    assert crossing.requests_per_month == 0
    assert crossing.reasons == ("own devices are cheaper from the first request on",)


def test_devices_that_cost_nothing_are_cheaper_from_the_first_request_whatever_bends() -> None:
    cut = CostModel(horizon_months=24, discounts=(VolumeDiscount(from_requests=50_000, share=0.2),))
    free = numbers({"workload.device_usd": 0.0})

    crossings = [crossing_of(one, free, "edge") for one in (cut, model())]

    assert [one.requests_per_month for one in crossings] == [0, 0]
    assert crossings[0].reasons == ("own devices are cheaper from the first request on",)


def test_servers_that_stay_cheaper_at_any_volume_are_said_to() -> None:
    free = {"tiers.cloud.usd_per_request": 0.0, "costs.cloud.usd_per_gpu_hour": 0.01}
    n = numbers({**free, "workload.device_usd": 1e12})

    crossing = crossing_of(model(), n, "edge")

    assert crossing.requests_per_month is None
    assert crossing.reasons == (
        "the cloud is no dearer at any volume up to 1e+13 requests a month",
    )


@pytest.mark.parametrize("option", ["edge", "hybrid"])
def test_at_a_flip_both_cost_the_same_whatever_bends_the_bill(option: str) -> None:
    cost = CostModel(
        horizon_months=24, discounts=(VolumeDiscount(from_requests=300_000, share=0.3),)
    )
    n = numbers(
        {
            "workload.fixed_usd": 1200.0,
            "workload.usd_per_device_month": 0.5,
            "costs.edge.share": 0.8,
            "costs.edge.spares": 0.1,
            "costs.edge.lifetime_months": 30.0,
            "costs.cloud.minimum_usd_per_month": 100.0,
        }
    )

    flip = flip_of(cost, n, option)

    assert flip.devices is not None
    assert flip.device_usd is not None
    for changed in ({"workload.devices": flip.devices}, {"workload.device_usd": flip.device_usd}):
        there = {**n, **changed}
        near, far = (float(cost.monthly(o, there)) for o in (option, "cloud"))
        assert near == pytest.approx(far)
    assert flip.reasons == ()


def test_payback_is_the_purchase_over_what_a_month_saves() -> None:
    n = numbers({"workload.fixed_usd": 200.0, "workload.usd_per_device_month": 5.0})

    flip = flip_of(model(), n, "edge")

    assert flip.payback_months == pytest.approx((4800 + 200) / (2000 - 500))


def test_without_requests_nothing_flips_and_it_is_said_why() -> None:
    flip = flip_of(model(), numbers({VOLUME: 0.0}), "edge")

    assert (flip.devices, flip.device_usd, flip.payback_months) == (None, None, None)
    assert flip.reasons == ("there are no requests, so nothing is saved",)


def test_a_hybrid_that_sends_all_on_saves_nothing_and_says_so() -> None:
    n = numbers(deferral=1.0)

    flip, crossing = flip_of(model(), n, "hybrid"), crossing_of(model(), n, "hybrid")

    assert (flip.devices, flip.device_usd) == (None, None)
    assert flip.reasons == ("own answers cost what the cloud's do, before any device",)
    assert crossing.requests_per_month is None
    assert crossing.reasons == (
        "never: one more request costs as much on own devices as in the cloud, whose price is "
        "0.002 USD",
    )


def test_answers_dearer_than_the_clouds_are_said_to_be() -> None:
    flip = flip_of(model(), numbers({"costs.edge.joules_per_request": 72e6}), "edge")

    assert (flip.devices, flip.device_usd, flip.payback_months) == (None, None, None)
    assert flip.reasons == (
        "own answers cost 2,998,000.00 USD a month more than the cloud's, before any device",
    )


def test_a_curve_without_a_cloud_has_the_edge_alone() -> None:
    curve = curve_of(CostModel(horizon_months=24, has_cloud=False), numbers(), None)

    assert {point.cloud for point in curve} == {None}
    assert curve[0].edge == pytest.approx(200)


def test_a_crossing_beyond_any_traffic_is_none() -> None:
    crossing = crossing_of(model(), numbers({"tiers.cloud.usd_per_request": 1e-300}), "edge")

    assert crossing.requests_per_month is None
    assert crossing.reasons == (
        "the cloud is no dearer at any volume up to 1e+13 requests a month",
    )


def test_a_fleet_that_pays_back_after_ages_says_so() -> None:
    # Calls of 2,000 USD a month, and a fleet that runs for a thousandth of a dollar less.
    n = numbers({"workload.usd_per_device_month": 19.99999})

    flip = flip_of(model(), n, "edge")

    assert flip.payback_months is None
    assert flip.reasons[-1] == "it does not pay back within 1,000,000 months"
